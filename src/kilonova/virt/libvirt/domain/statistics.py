# SPDX-License-Identifier: Apache-2.0
"""Figures of running guests, in bulk.

Only groups that libvirt answers by itself (cgroups, the host's own network devices).  Balloon, block and vCPU figures
ask the guest's QEMU, also with NOWAIT: a frozen one would hold the call up, and with it the host lane.  So memory comes
from `info`, which libvirt knows, and the disk's size from the file.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import libvirt

from kilonova.objects.ids import InstanceId
from kilonova.virt.driver import GuestFigures

GROUPS = libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL | libvirt.VIR_DOMAIN_STATS_INTERFACE
FLAGS = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
RUNNING = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time in nanoseconds, memory in KiB, traffic in bytes."""

    cpu_ns: int
    memory_kib: int
    received: int
    sent: int


def ping(conn: libvirt.virConnect) -> None:
    """The daemon answers."""
    conn.getLibVersion()


def read_usage(conn: libvirt.virConnect, ours: Set[InstanceId], by_name: bool) -> Mapping[InstanceId, Usage]:
    """Of the running guests among `ours`.  `by_name`: they are asked for one by one, beside others that are being
    destroyed."""
    found: dict[InstanceId, Usage] = {}
    if not by_name:
        rows = conn.getAllDomainStats(GROUPS, FLAGS | RUNNING)
    else:
        domains = [domain for domain in (_running(conn, one) for one in ours) if domain is not None]
        rows = conn.domainListGetStats(domains, GROUPS, FLAGS) if domains else []
    for domain, stats in rows:
        instance_id = InstanceId(domain.UUIDString())
        if instance_id in ours:
            devices = range(stats.get("net.count", 0))
            found[instance_id] = Usage(
                cpu_ns=stats.get("cpu.time", 0),
                memory_kib=_memory_kib(domain),
                received=sum(stats.get(f"net.{n}.rx.bytes", 0) for n in devices),
                sent=sum(stats.get(f"net.{n}.tx.bytes", 0) for n in devices),
            )
    return found


def _running(conn: libvirt.virConnect, instance_id: InstanceId) -> libvirt.virDomain | None:
    try:
        domain = conn.lookupByUUIDString(instance_id)
        return domain if domain.isActive() else None
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def _memory_kib(domain: libvirt.virDomain) -> int:
    try:
        return int(domain.info()[2])
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return 0  # it went away between the two calls
        raise


def sizes(paths: Mapping[InstanceId, Path]) -> Mapping[InstanceId, int]:
    """Bytes that each file occupies; those that are not there are left out."""
    found: dict[InstanceId, int] = {}
    for instance_id, path in paths.items():
        if path.exists():
            found[instance_id] = path.stat().st_blocks * 512
    return found


def figures(usage: Usage, disk_bytes: int) -> GuestFigures:
    """In the port's units."""
    return GuestFigures(usage.cpu_ns / 1e9, usage.memory_kib * 1024, disk_bytes, usage.received, usage.sent)
