# SPDX-License-Identifier: Apache-2.0
"""All measurements of one running guest, by one call of libvirt's bulk statistics.

Unlike the figures of all guests (`statistics`), the call needs an answer of the guest's own process: it does not return
while the guest is frozen.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import libvirt

from kilonova.base.errors import InvalidState
from kilonova.objects.diagnostics import CpuFigures, DiskFigures, GuestDiagnostics, NicFigures
from kilonova.objects.guest import NOT_RESPONDING
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.libvirt.connection.guest_calls import GuestCalls
from kilonova.virt.libvirt.domain import guest
from kilonova.virt.libvirt.domain.guests import Guests
from kilonova.virt.libvirt.xml import domain as domain_xml

GROUPS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)

Stats = Mapping[str, Any]

DIAGNOSTICS_LIMIT_S = 8.0


class LibvirtDiagnostics:
    """See Diagnostics."""

    def __init__(self, calls: GuestCalls, guests: Guests) -> None:
        self._calls, self._guests = calls, guests

    async def read(self, instance_id: InstanceId) -> GuestDiagnostics:
        state = await self._guests.state(instance_id)
        if state is not None and state.reason == NOT_RESPONDING:
            raise InvalidState(f"Guest {instance_id} does not respond: it cannot be measured.")
        if state is None or state.power is not PowerState.RUNNING:
            raise not_running(instance_id)
        # Among the in-doubt calls, although it changes nothing: a read that exceeds its deadline causes a liveness
        # probe of the guest.
        return await self._calls.job("ask", instance_id, partial(read, instance_id=instance_id), DIAGNOSTICS_LIMIT_S)


def read(conn: libvirt.virConnect, instance_id: InstanceId) -> GuestDiagnostics:
    """Raises InvalidState when the guest does not run.  Values that libvirt's driver does not measure are left out."""
    domain = guest.running(conn, instance_id)
    if domain is None:
        raise not_running(instance_id)
    document = domain.XMLDesc(0)
    found = conn.domainListGetStats([domain], GROUPS, 0)
    if not found:
        raise not_running(instance_id)
    return parsed(found[0][1], kind=domain_xml.domain_kind(document), macs=domain_xml.macs(document))


def not_running(instance_id: InstanceId) -> InvalidState:
    return InvalidState(f"Guest {instance_id} is not running: there is nothing to measure.")


def parsed(stats: Stats, *, kind: str, macs: Mapping[str, str]) -> GuestDiagnostics:
    """libvirt's typed parameters as this service's record."""
    return GuestDiagnostics(
        state="running",
        driver="libvirt",
        hypervisor=kind,
        memory_maximum_kib=stats.get("balloon.maximum", 0),
        memory_used_kib=_memory_used(stats),
        cpus=tuple(CpuFigures(stats.get(f"vcpu.{n}.time", 0)) for n in range(stats.get("vcpu.current", 0))),
        nics=tuple(_nic(stats, n, macs) for n in range(stats.get("net.count", 0))),
        disks=tuple(_disk(stats, n) for n in range(stats.get("block.count", 0))),
    )


def _memory_used(stats: Stats) -> int | None:
    """Known only for a guest whose balloon driver reported recently."""
    if "balloon.available" in stats and "balloon.unused" in stats:
        return stats["balloon.available"] - stats["balloon.unused"]
    return None


def _nic(stats: Stats, n: int, macs: Mapping[str, str]) -> NicFigures:
    device = stats.get(f"net.{n}.name", "")
    counts = {
        f"{way}_{ours}": stats.get(f"net.{n}.{way}.{theirs}", 0)
        for way in ("rx", "tx")
        for ours, theirs in (("octets", "bytes"), ("packets", "pkts"), ("errors", "errs"), ("drop", "drop"))
    }
    return NicFigures(device, macs.get(device, ""), **counts)


def _disk(stats: Stats, n: int) -> DiskFigures:
    return DiskFigures(
        device=stats.get(f"block.{n}.name", ""),
        read_bytes=stats.get(f"block.{n}.rd.bytes", 0),
        read_requests=stats.get(f"block.{n}.rd.reqs", 0),
        write_bytes=stats.get(f"block.{n}.wr.bytes", 0),
        write_requests=stats.get(f"block.{n}.wr.reqs", 0),
    )
