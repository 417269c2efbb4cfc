# SPDX-License-Identifier: Apache-2.0
"""Figures of running guests, in bulk. Uses only groups that libvirt answers by itself (cgroups, the host's own network
devices). Balloon, block and vCPU figures need an answer of the guest's QEMU, also with NOWAIT: a frozen guest would
block the call, and with it the *host* pool.  So the memory comes from `info`, which libvirt answers by itself, and the
disk's size from the file.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import libvirt

from kilonova.base.threads import Workers
from kilonova.objects.ids import InstanceId
from kilonova.virt.capabilities import GuestFigures
from kilonova.virt.libvirt.connection.hypervisor_connection import HypervisorConnection
from kilonova.virt.libvirt.domain.guests import Guests

GROUPS = libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL | libvirt.VIR_DOMAIN_STATS_INTERFACE
FLAGS = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
RUNNING = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING


STATISTICS_LIMIT_S = 5.0


class LibvirtStatistics:
    """See GuestStatistics.  `root_disk` is the path of a guest's root disk."""

    def __init__(
        self,
        connection: HypervisorConnection,
        guests: Guests,
        files: Workers,
        root_disk: Callable[[InstanceId], Path],
    ) -> None:
        self._connection, self._guests, self._files, self._root_disk = connection, guests, files, root_disk

    async def guest_figures(self) -> Mapping[InstanceId, GuestFigures]:
        """Guests that are being destroyed are left out: a host-wide call would wait for them."""
        read = partial(read_usage, ours=self._guests.owned(), by_name=self._guests.any_destroyed)
        used = await self._connection.host.run(read, deadline_s=STATISTICS_LIMIT_S)
        sizes = await self._files.run(disk_sizes, {i: self._root_disk(i) for i in used})
        return {i: figures(usage, sizes.get(i, 0)) for i, usage in used.items()}


class LibvirtReachability:
    """See Reachability."""

    def __init__(self, connection: HypervisorConnection) -> None:
        self._connection = connection

    async def ping(self) -> None:
        await self._connection.host.run(ping)

    def abandoned_calls(self) -> int:
        return self._connection.abandoned


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time in nanoseconds, memory in KiB, traffic in bytes."""

    cpu_ns: int
    memory_kib: int
    received: int
    sent: int


def ping(conn: libvirt.virConnect) -> None:
    """Raises libvirtError unless the daemon answers."""
    conn.getLibVersion()


def read_usage(conn: libvirt.virConnect, ours: Set[InstanceId], by_name: bool) -> Mapping[InstanceId, Usage]:
    """The usage of the running guests among `ours`. `by_name`: they are read one by one, while others are being
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
            return 0  # it was removed between the two calls
        raise


def disk_sizes(paths: Mapping[InstanceId, Path]) -> Mapping[InstanceId, int]:
    """Bytes that each file occupies; missing files are left out."""
    found: dict[InstanceId, int] = {}
    for instance_id, path in paths.items():
        if path.exists():
            found[instance_id] = path.stat().st_blocks * 512
    return found


def figures(usage: Usage, disk_bytes: int) -> GuestFigures:
    """In the port's units."""
    return GuestFigures(usage.cpu_ns / 1e9, usage.memory_kib * 1024, disk_bytes, usage.received, usage.sent)
