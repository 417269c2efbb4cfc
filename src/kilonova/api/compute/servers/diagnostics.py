# SPDX-License-Identifier: Apache-2.0
"""What a running server uses, read from its host now.

Source: Compute API reference, "Servers diagnostics".  Before 2.48 the answer has the hypervisor's own names.
"""

from typing import Any

from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.base.errors import InvalidState
from kilonova.objects.diagnostics import GuestDiagnostics, NicFigures
from kilonova.objects.instance import Instance
from kilonova.rpcapi.to_host import DIAGNOSE, Diagnose

FIXED_FORM = v2(48)


async def show(call: Call) -> Reply:
    """GET /servers/{id}/diagnostics; 409 unless it runs."""
    instance = await find(call)
    if instance.host is None:
        raise InvalidState(f"Instance {instance.id} is not ready", vm_state=instance.vm_state)
    found = await call.deps.rpc.call(DIAGNOSE, Diagnose(instance.id), instance.host)
    if call.version < FIXED_FORM:
        return json_reply(free_form(found))
    running_s = (call.deps.clock.now() - instance.launched_at).total_seconds() if instance.launched_at else 0.0
    return json_reply(fixed_form(found, instance, max(0, int(running_s))))  # (the clock may have been put back)


def fixed_form(found: GuestDiagnostics, instance: Instance, uptime_s: int) -> dict[str, Any]:
    """What is not measured is null."""
    used = found.memory_used_kib
    return {
        "state": found.state,
        "driver": found.driver,
        "hypervisor": found.hypervisor,
        "hypervisor_os": "linux",
        "uptime": uptime_s,
        "config_drive": instance.config_drive,
        "num_cpus": len(found.cpus),
        "num_nics": len(found.nics),
        "num_disks": len(found.disks),
        "cpu_details": [{"id": n, "time": cpu.time_ns, "utilisation": None} for n, cpu in enumerate(found.cpus)],
        "nic_details": [_nic(nic) for nic in found.nics],
        "disk_details": [
            {
                "read_bytes": disk.read_bytes,
                "read_requests": disk.read_requests,
                "write_bytes": disk.write_bytes,
                "write_requests": disk.write_requests,
                "errors_count": None,
            }
            for disk in found.disks
        ],
        "memory_details": {
            "maximum": found.memory_maximum_kib // 1024,
            "used": None if used is None else used // 1024,
        },
    }


_COUNTS = ("octets", "packets", "drop", "errors")


def _nic(nic: NicFigures) -> dict[str, Any]:
    shown: dict[str, Any] = {"mac_address": nic.mac}
    for way in ("rx", "tx"):
        shown |= {f"{way}_{name}": getattr(nic, f"{way}_{name}") for name in _COUNTS} | {f"{way}_rate": None}
    return shown


def free_form(found: GuestDiagnostics) -> dict[str, int]:
    """As Nova names what libvirt measures."""
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
            f"{nic.device}_{way}{suffix}": getattr(nic, f"{way}_{name}")
            for way in ("rx", "tx")
            for suffix, name in (("", "octets"), ("_packets", "packets"), ("_drop", "drop"), ("_errors", "errors"))
        }
    return {**shown, "memory": found.memory_maximum_kib}


ROUTES = (
    Route("GET", "/servers/{server_id}/diagnostics", show, "os_compute_api:os-server-diagnostics",
        DefaultPolicy.ADMIN, note="what is measured of it; the hypervisor's own names before 2.48"),
)  # fmt: skip
