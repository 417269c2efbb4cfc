# SPDX-License-Identifier: Apache-2.0
"""/os-hosts, until 2.42: the data of os-services and os-hypervisors in an older form.

Source: Compute API reference, "Hosts (os-hosts) (DEPRECATED)".  The power of a host and its maintenance mode are not
supported, as in Nova's libvirt driver.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from typing_extensions import TypedDict

from kilonova.api.compute.admin.service_lookup import all_services
from kilonova.api.compute.admin.services import shown_zone
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.faults import HttpError, not_implemented
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import Member, View, many
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.readers import hosts
from kilonova.db.readers.servers import ServerQuery, page
from kilonova.db.transaction import Snapshot
from kilonova.objects.instance import Instance
from kilonova.objects.service import ComputeNode, Service
from kilonova.rpcapi.api_to_conductor import UPDATE_SERVICE, UpdateService

_NO_END = 1 << 31


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


_Word = Annotated[Literal["enable", "disable"], BeforeValidator(_lower)]


class HostChanges(Body):
    """At least one member."""

    status: _Word | None = None
    maintenance_mode: _Word | None = None


class HostResource(TypedDict):
    """Resources of a host; `project` is a project's id, or (total), (used_now), (used_max)."""

    host: str
    project: str
    cpu: int
    memory_mb: int
    disk_gb: int


async def list_hosts(call: Call) -> Reply:
    """List enabled services with their zones (until 2.42)."""
    zone = call.query.text("zone")
    found = [
        service
        for service in await all_services(call)
        if not service.disabled and zone in (None, "", shown_zone(service))
    ]
    return _HOSTS.reply(found, call)


async def show(call: Call) -> Reply:
    """Show resources of a host: total, used, the maximum of its servers, and that of each project (until 2.42)."""
    node = await _find(call)
    servers = await call.db.read(_servers, node)
    resources = [
        _resource(node, "(total)", node.inventory.vcpus, node.inventory.memory_mib, node.inventory.disk_gib),
        _resource(node, "(used_now)", node.vcpus_used, node.memory_mib_used, node.disk_gib_used),
        _sum(node, "(used_max)", servers),
    ]
    for project in sorted({server.project_id for server in servers}):
        resources.append(_sum(node, project, [server for server in servers if server.project_id == project]))
    return _RESOURCES.reply(resources, call)


def _servers(snapshot: Snapshot, node: ComputeNode) -> list[Instance]:
    return page(snapshot, ServerQuery(equals={"host": node.service.host}, limit=_NO_END))


def _sum(node: ComputeNode, project: str, servers: Iterable[Instance]) -> HostResource:
    flavors = [server.flavor for server in servers]
    disk = sum(flavor.disk_gib + flavor.ephemeral_gib for flavor in flavors)
    return _resource(node, project, sum(f.vcpus for f in flavors), sum(f.memory_mib for f in flavors), disk)


def _resource(node: ComputeNode, project: str, vcpus: int, memory_mib: int, disk_gib: int) -> HostResource:
    return {"host": node.service.host, "project": project, "cpu": vcpus, "memory_mb": memory_mib, "disk_gb": disk_gib}


_H = Member[Service, Call]
_HOSTS = many(
    "hosts",
    View(
        "HostService",
        _H("host_name", str, lambda service, _: service.host),
        _H("service", str, lambda service, _: service.topic),
        _H("zone", str, lambda service, _: shown_zone(service)),
    ),
)
_RESOURCES = many("host", View[HostResource, Call]("", Member("resource", HostResource, lambda resource, _: resource)))
_UPDATED = View[tuple[str, bool], Call](
    "",
    Member("host", str, lambda updated, _: updated[0]),
    Member("status", str, lambda updated, _: "disabled" if updated[1] else "enabled"),
)


async def update(call: Call, body: HostChanges) -> Reply:
    """Enable or disable a host (until 2.42)."""
    if body.status is None and body.maintenance_mode is None:
        raise InvalidInput("Invalid input. 'status' or 'maintenance_mode' is required.", path="status")
    node = await _find(call)
    if body.maintenance_mode is not None:
        raise _not_supported()
    disabled = body.status == "disable"
    await call.deps.rpc.call(UPDATE_SERVICE, UpdateService(node.service.id, disabled=disabled))
    return _UPDATED.reply((node.service.host, disabled), call)


async def power(call: Call) -> Reply:
    """Start, shut down or reboot a host: not implemented (501)."""
    await _find(call)
    raise _not_supported()


def _not_supported() -> HttpError:
    return not_implemented("The requested functionality is not supported.")


async def _find(call: Call) -> ComputeNode:
    name = call.params["host"]
    for node in await call.db.read(hosts.list_nodes):
        if node.service.host == name:
            return node
    raise NotFound(f"Compute host {name[:255]} could not be found.")


ROUTES = (
    Route("GET", "/os-hosts", list_hosts, "os_compute_api:os-hosts:list", DefaultPolicy.ADMIN, reply=_HOSTS,
        query=frozenset({"zone"}), max=v2(42)),
    Route("GET", "/os-hosts/{host}", show, "os_compute_api:os-hosts:show", DefaultPolicy.ADMIN,
        reply=_RESOURCES, max=v2(42)),
    Route("PUT", "/os-hosts/{host}", update, "os_compute_api:os-hosts:update", DefaultPolicy.ADMIN,
        reply=_UPDATED, body=HostChanges, max=v2(42)),
    Route("GET", "/os-hosts/{host}/startup", power, "os_compute_api:os-hosts:start", DefaultPolicy.ADMIN,
        note="501: not implemented", max=v2(42)),
    Route("GET", "/os-hosts/{host}/shutdown", power, "os_compute_api:os-hosts:shutdown", DefaultPolicy.ADMIN,
        note="501: not implemented", max=v2(42)),
    Route("GET", "/os-hosts/{host}/reboot", power, "os_compute_api:os-hosts:reboot", DefaultPolicy.ADMIN,
        note="501: not implemented", max=v2(42)),
)  # fmt: skip
