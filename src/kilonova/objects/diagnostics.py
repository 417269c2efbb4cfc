# SPDX-License-Identifier: Apache-2.0
"""What a hypervisor has measured of one running guest since its start."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CpuFigures:
    """Processor time of one virtual CPU, in nanoseconds."""

    time_ns: int


@dataclass(frozen=True, slots=True)
class NicFigures:
    """Octets and packets, as the guest receives and sends them.  `device` is the host's end."""

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
    """Bytes and requests.  `device` is the guest's name for it."""

    device: str
    read_bytes: int = 0
    read_requests: int = 0
    write_bytes: int = 0
    write_requests: int = 0


@dataclass(frozen=True, slots=True)
class GuestDiagnostics:
    """`state` is the hypervisor's word ("running", "paused"), `driver` and `hypervisor` who measured ("libvirt",
    "kvm").  Memory in KiB: what the guest may have, and what of it is in use (None: it does not tell)."""

    state: str
    driver: str
    hypervisor: str
    memory_maximum_kib: int
    memory_used_kib: int | None = None
    cpus: tuple[CpuFigures, ...] = ()
    nics: tuple[NicFigures, ...] = ()
    disks: tuple[DiskFigures, ...] = ()
