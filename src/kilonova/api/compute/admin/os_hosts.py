# SPDX-License-Identifier: Apache-2.0
"""/os-hosts, below 2.43: what os-services and os-hypervisors say, as it was said before.

Source: Compute API reference, "Hosts (os-hosts) (DEPRECATED)".  The power of a host, and its maintenance mode, are what
Nova's libvirt driver does not do either.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from kilonova.api.compute.admin.service_lookup import all_services
from kilonova.api.compute.admin.services import shown_zone
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.faults import HttpError, not_implemented
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.readers import hosts
from kilonova.db.readers.servers import ServerQuery, page
from kilonova.db.transaction import Snapshot
from kilonova.objects.instance import Instance
from kilonova.objects.service import ComputeNode
from kilonova.rpcapi.api_to_conductor import UPDATE_SERVICE, UpdateService

_NO_END = 1 << 31


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


_Word = Annotated[Literal["enable", "disable"], BeforeValidator(_lower)]


class HostChanges(Body):
    """One of them at least."""

    status: _Word | None = None
    maintenance_mode: _Word | None = None


async def list_hosts(call: Call) -> Reply:
    """GET /os-hosts: each enabled service with its zone."""
    zone = call.query.text("zone")
    found = [
        {"host_name": service.host, "service": service.topic, "zone": shown_zone(service)}
        for service in await all_services(call)
        if not service.disabled and zone in (None, "", shown_zone(service))
    ]
    return json_reply({"hosts": found})


async def show(call: Call) -> Reply:
    """GET /os-hosts/{host}: what it has, what is used of it, what its servers may use, and what each project's may."""
    node = await _find(call)
    servers = await call.db.read(_servers, node)
    resources = [
        _resource(node, "(total)", node.inventory.vcpus, node.inventory.memory_mib, node.inventory.disk_gib),
        _resource(node, "(used_now)", node.vcpus_used, node.memory_mib_used, node.disk_gib_used),
        _sum(node, "(used_max)", servers),
    ]
    for project in sorted({server.project_id for server in servers}):
        resources.append(_sum(node, project, [server for server in servers if server.project_id == project]))
    return json_reply({"host": [{"resource": resource} for resource in resources]})


def _servers(snapshot: Snapshot, node: ComputeNode) -> list[Instance]:
    return page(snapshot, ServerQuery(equals={"host": node.service.host}, limit=_NO_END))


def _sum(node: ComputeNode, project: str, servers: Iterable[Instance]) -> dict[str, Any]:
    flavors = [server.flavor for server in servers]
    disk = sum(flavor.disk_gib + flavor.ephemeral_gib for flavor in flavors)
    return _resource(node, project, sum(f.vcpus for f in flavors), sum(f.memory_mib for f in flavors), disk)


def _resource(node: ComputeNode, project: str, vcpus: int, memory_mib: int, disk_gib: int) -> dict[str, Any]:
    return {"host": node.service.host, "project": project, "cpu": vcpus, "memory_mb": memory_mib, "disk_gb": disk_gib}


async def update(call: Call, body: HostChanges) -> Reply:
    """PUT /os-hosts/{host}: enable and disable, as in os-services."""
    if body.status is None and body.maintenance_mode is None:
        raise InvalidInput("Invalid input. 'status' or 'maintenance_mode' is required.", path="status")
    node = await _find(call)
    if body.maintenance_mode is not None:
        raise _not_here()
    disabled = body.status == "disable"
    await call.deps.rpc.call(UPDATE_SERVICE, UpdateService(node.service.id, disabled=disabled))
    return json_reply({"host": node.service.host, "status": "disabled" if disabled else "enabled"})


async def power(call: Call) -> Reply:
    """GET /os-hosts/{host}/startup, shutdown, reboot: 501."""
    await _find(call)
    raise _not_here()


def _not_here() -> HttpError:
    return not_implemented("The requested functionality is not supported.")


async def _find(call: Call) -> ComputeNode:
    name = call.params["host"]
    for node in await call.db.read(hosts.list_nodes):
        if node.service.host == name:
            return node
    raise NotFound(f"Compute host {name[:255]} could not be found.")


ROUTES = (
    Route("GET", "/os-hosts", list_hosts, "os_compute_api:os-hosts:list", DefaultPolicy.ADMIN, note="{hosts: [...]}",
        query=frozenset({"zone"}), max=v2(42)),
    Route("GET", "/os-hosts/{host}", show, "os_compute_api:os-hosts:show", DefaultPolicy.ADMIN,
        note="{host: [{resource}]}", max=v2(42)),
    Route("PUT", "/os-hosts/{host}", update, "os_compute_api:os-hosts:update", DefaultPolicy.ADMIN,
        note="{host, status}", body=HostChanges, max=v2(42)),
    Route("GET", "/os-hosts/{host}/startup", power, "os_compute_api:os-hosts:start", DefaultPolicy.ADMIN, note="501",
        max=v2(42)),
    Route("GET", "/os-hosts/{host}/shutdown", power, "os_compute_api:os-hosts:shutdown", DefaultPolicy.ADMIN,
        note="501", max=v2(42)),
    Route("GET", "/os-hosts/{host}/reboot", power, "os_compute_api:os-hosts:reboot", DefaultPolicy.ADMIN, note="501",
        max=v2(42)),
)  # fmt: skip
