# SPDX-License-Identifier: Apache-2.0
"""The measurements of one running guest since its start, by its hypervisor."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CpuFigures:
    """Processor time of one virtual CPU, in nanoseconds."""

    time_ns: int


@dataclass(frozen=True, slots=True)
class NicFigures:
    """Octets and packets, from the guest's point of view.  `device` is the host's end."""

    device: str
    mac: str
    rx_octets: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_drop: int = 0
    tx_octets: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_drop: int = 0


@dataclass(frozen=True, slots=True)
class DiskFigures:
    """Bytes and requests.  `device` is the guest's name of the disk."""

    device: str
    read_bytes: int = 0
    read_requests: int = 0
    write_bytes: int = 0
    write_requests: int = 0


@dataclass(frozen=True, slots=True)
class GuestDiagnostics:
    """`state` is the hypervisor's word ("running", "paused"); `driver` and `hypervisor` name the source of the data
    ("libvirt", "kvm").  Memory in KiB: the guest's maximum, and the part in use (None: the guest does not report it).
    """

    state: str
    driver: str
    hypervisor: str
    memory_maximum_kib: int
    memory_used_kib: int | None = None
    cpus: tuple[CpuFigures, ...] = ()
    nics: tuple[NicFigures, ...] = ()
    disks: tuple[DiskFigures, ...] = ()
