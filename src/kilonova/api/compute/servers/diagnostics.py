# SPDX-License-Identifier: Apache-2.0
"""The resources that a running server uses, read from its host.

Source: Compute API reference, "Servers diagnostics".  Before 2.48 the answer has the hypervisor's own names.
"""

from dataclasses import dataclass
from typing import Literal

from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import ListOf, Member, Others, View
from kilonova.base.errors import InvalidState
from kilonova.objects.diagnostics import DiskFigures, GuestDiagnostics, NicFigures
from kilonova.objects.instance import Instance
from kilonova.rpcapi.to_host import DIAGNOSE, Diagnose


@dataclass(frozen=True, slots=True)
class _Measured:
    found: GuestDiagnostics
    server: Instance
    uptime_s: int


class CpuDetails(TypedDict):
    """The use of one virtual CPU."""

    id: int
    time: int
    utilisation: None


class MemoryDetails(TypedDict):
    """The use of memory in MiB."""

    maximum: int
    used: int | None


def _cpus(measured: _Measured, _call: Call) -> list[CpuDetails]:
    return [{"id": n, "time": cpu.time_ns, "utilisation": None} for n, cpu in enumerate(measured.found.cpus)]


def _memory(measured: _Measured, _call: Call) -> MemoryDetails:
    used = measured.found.memory_used_kib
    return {"maximum": measured.found.memory_maximum_kib // 1024, "used": None if used is None else used // 1024}


NIC = View[NicFigures, Call](
    "NicDiagnostics",
    Member("mac_address", str, lambda nic, _: nic.mac),
    Member("rx_octets", int, lambda nic, _: nic.rx_octets),
    Member("rx_packets", int, lambda nic, _: nic.rx_packets),
    Member("rx_drop", int, lambda nic, _: nic.rx_drop),
    Member("rx_errors", int, lambda nic, _: nic.rx_errors),
    Member("rx_rate", None, lambda _nic, _: None),
    Member("tx_octets", int, lambda nic, _: nic.tx_octets),
    Member("tx_packets", int, lambda nic, _: nic.tx_packets),
    Member("tx_drop", int, lambda nic, _: nic.tx_drop),
    Member("tx_errors", int, lambda nic, _: nic.tx_errors),
    Member("tx_rate", None, lambda _nic, _: None),
)
DISK = View[DiskFigures, Call](
    "DiskDiagnostics",
    Member("read_bytes", int, lambda disk, _: disk.read_bytes),
    Member("read_requests", int, lambda disk, _: disk.read_requests),
    Member("write_bytes", int, lambda disk, _: disk.write_bytes),
    Member("write_requests", int, lambda disk, _: disk.write_requests),
    Member("errors_count", None, lambda _disk, _: None),
)


def _hypervisor_names(measured: _Measured, _call: Call) -> dict[str, int]:
    """The measurements with Nova's names for those of libvirt."""
    found = measured.found
    shown = {f"cpu{n}_time": cpu.time_ns for n, cpu in enumerate(found.cpus)}
    for disk in found.disks:
        shown |= {
            f"{disk.device}_read": disk.read_bytes,
            f"{disk.device}_read_req": disk.read_requests,
            f"{disk.device}_write": disk.write_bytes,
            f"{disk.device}_write_req": disk.write_requests,
            f"{disk.device}_errors": -1,
        }
    for nic in found.nics:
        shown |= {
            f"{nic.device}_rx": nic.rx_octets,
            f"{nic.device}_rx_packets": nic.rx_packets,
            f"{nic.device}_rx_drop": nic.rx_drop,
            f"{nic.device}_rx_errors": nic.rx_errors,
            f"{nic.device}_tx": nic.tx_octets,
            f"{nic.device}_tx_packets": nic.tx_packets,
            f"{nic.device}_tx_drop": nic.tx_drop,
            f"{nic.device}_tx_errors": nic.tx_errors,
        }
    return {**shown, "memory": found.memory_maximum_kib}


FIXED_FORM = v2(48)
M = Member[_Measured, Call]

DIAGNOSTICS = View[_Measured, Call](
    "ServerDiagnostics",
    M("state", str, lambda measured, _: measured.found.state, FIXED_FORM),
    M("driver", str, lambda measured, _: measured.found.driver, FIXED_FORM),
    M("hypervisor", str | None, lambda measured, _: measured.found.hypervisor, FIXED_FORM),
    M("hypervisor_os", Literal["linux"], lambda _measured, _: "linux", FIXED_FORM),
    M("uptime", int, lambda measured, _: measured.uptime_s, FIXED_FORM),
    M("config_drive", bool, lambda measured, _: measured.server.config_drive, FIXED_FORM),
    M("num_cpus", int, lambda measured, _: len(measured.found.cpus), FIXED_FORM),
    M("num_nics", int, lambda measured, _: len(measured.found.nics), FIXED_FORM),
    M("num_disks", int, lambda measured, _: len(measured.found.disks), FIXED_FORM),
    M("cpu_details", list[CpuDetails], _cpus, FIXED_FORM),
    M("nic_details", ListOf(NIC), lambda measured, _: measured.found.nics, FIXED_FORM),
    M("disk_details", ListOf(DISK), lambda measured, _: measured.found.disks, FIXED_FORM),
    M("memory_details", MemoryDetails, _memory, FIXED_FORM),
    others=Others(int, _hypervisor_names, until=v2(47)),
)
"""Null if a value is not measured."""


async def show(call: Call) -> Reply:
    """Show the diagnostics of a server; 409 unless it runs."""
    instance = await find(call)
    if instance.host is None:
        raise InvalidState(f"Instance {instance.id} is not ready", vm_state=instance.vm_state)
    found = await call.deps.rpc.call(DIAGNOSE, Diagnose(instance.id), instance.host)
    running_s = (call.deps.clock.now() - instance.launched_at).total_seconds() if instance.launched_at else 0.0
    # The clock may have been set back.
    return DIAGNOSTICS.reply(_Measured(found, instance, max(0, int(running_s))), call)


ROUTES = (
    Route("GET", "/servers/{server_id}/diagnostics", show, "os_compute_api:os-server-diagnostics",
        DefaultPolicy.ADMIN, reply=DIAGNOSTICS, note="before 2.48 with the names of the hypervisor"),
)  # fmt: skip
