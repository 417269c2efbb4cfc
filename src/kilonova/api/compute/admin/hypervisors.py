# SPDX-License-Identifier: Apache-2.0
"""Hypervisors: the resources of hosts, and claims on them.

Source: Compute API reference, "Hypervisors".
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import TypedDict

from kilonova.api.compute.integer_ids import number_of, pick, shown_id
from kilonova.api.http.call import Call, Page, Reply
from kilonova.api.http.faults import not_implemented
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import OMIT, Audience, Member, View, many, one, paged
from kilonova.base.errors import HypervisorError, InvalidInput, KilonovaError, NotFound
from kilonova.db.readers import hosts
from kilonova.db.readers.servers import ServerQuery, page
from kilonova.db.transaction import Snapshot
from kilonova.objects.service import ComputeNode, Service
from kilonova.rpcapi.to_host import HOST_UPTIME, HostUptime

ARGUMENTS = frozenset({"limit", "marker", "with_servers", "hypervisor_hostname_pattern"})


PAGED = v2(33)


class HypervisorServer(TypedDict):
    """A server on a hypervisor."""

    uuid: str
    name: str


@dataclass(frozen=True, slots=True)
class Hypervisor:
    """A node; `uptime` None is unknown, `servers` None were not requested."""

    node: ComputeNode
    uptime: str | None = None
    servers: list[HypervisorServer] | None = None


_NUMBERS: Mapping[str, Callable[[ComputeNode], int]] = {
    "current_workload": lambda _: 0,
    "disk_available_least": lambda node: node.inventory.disk_available_gib,
    "free_disk_gb": lambda node: node.inventory.disk_gib - node.disk_gib_used,
    "free_ram_mb": lambda node: node.inventory.memory_mib - node.memory_mib_used,
    "local_gb": lambda node: node.inventory.disk_gib,
    "local_gb_used": lambda node: node.disk_gib_used,
    "memory_mb": lambda node: node.inventory.memory_mib,
    "memory_mb_used": lambda node: node.memory_mib_used,
    "running_vms": lambda node: node.running_vms,
    "vcpus": lambda node: node.inventory.vcpus,
    "vcpus_used": lambda node: node.vcpus_used,
}
"""Memory in MiB, disk in GiB.  Free is physical minus claimed; with overcommitment it is negative."""


def _number(name: str) -> Member[Hypervisor, Audience]:
    get = _NUMBERS[name]
    return Member(name, int, lambda shown, _: get(shown.node), until=v2(87))


def _sum(name: str) -> Member[Sequence[ComputeNode], Audience]:
    get = _NUMBERS[name]
    return Member(name, int, lambda nodes, _: sum(get(node) for node in nodes))


_SERVICE = View[Service, Audience](
    "HypervisorService",
    Member("id", int, lambda service, _: number_of(service.id), until=v2(52)),
    Member("id", str, lambda service, _: service.id, since=v2(53)),
    Member("host", str, lambda service, _: service.host),
    Member("disabled_reason", str | None, lambda service, _: service.disabled_reason),
)
M = Member[Hypervisor, Audience]
_SERVERS = (
    M("servers", list[HypervisorServer], lambda shown, _: shown.servers or OMIT, until=v2(74), optional=True),
    M(
        "servers",
        list[HypervisorServer],
        lambda shown, _: OMIT if shown.servers is None else shown.servers,
        since=v2(75),
        optional=True,
    ),
)
_BASE = View(
    "",
    M("id", int, lambda shown, _: number_of(shown.node.id), until=v2(52)),
    M("id", str, lambda shown, _: shown.node.id, since=v2(53)),
    M("hypervisor_hostname", str, lambda shown, _: shown.node.inventory.node),
    M("state", str, lambda shown, _: "up" if _is_up(shown.node) else "down"),
    M("status", str, lambda shown, _: "disabled" if shown.node.service.disabled else "enabled"),
)
_SUMMARY = _BASE.but("HypervisorSummary", *_SERVERS)
HYPERVISOR = _BASE.but(
    "Hypervisor",
    M("host_ip", str, lambda shown, _: shown.node.inventory.host_ip),
    M("hypervisor_type", str, lambda shown, _: shown.node.inventory.hypervisor_type),
    M("hypervisor_version", int, lambda shown, _: shown.node.inventory.hypervisor_version),
    M("service", _SERVICE, lambda shown, _: shown.node.service),
    M("uptime", str | None, lambda shown, _: shown.uptime, since=v2(88)),
    *map(_number, _NUMBERS),
    M("cpu_info", str, lambda shown, _: json.dumps(dict(shown.node.inventory.cpu_info)), until=v2(27)),
    M("cpu_info", dict[str, Any], lambda shown, _: dict(shown.node.inventory.cpu_info), since=v2(28), until=v2(87)),
    *_SERVERS,
)
_SUMMARIES, _DETAILS = paged("hypervisors", _SUMMARY, since=PAGED), paged("hypervisors", HYPERVISOR, since=PAGED)
_ONE, _SUMMARY_LIST = one("hypervisor", HYPERVISOR), many("hypervisors", _SUMMARY)
_UPTIME = one("hypervisor", _BASE.but("HypervisorUptime", M("uptime", str | None, lambda shown, _: shown.uptime)))
_STATISTICS = one(
    "hypervisor_statistics",
    View[Sequence[ComputeNode], Audience](
        "HypervisorStatistics", Member("count", int, lambda nodes, _: len(nodes)), *map(_sum, _NUMBERS)
    ),
)


async def list_brief(call: Call) -> Reply:
    """List hypervisors, with names only."""
    return await _list(call, _SUMMARIES)


async def list_detail(call: Call) -> Reply:
    """List hypervisors with their details."""
    return await _list(call, _DETAILS)


async def _list(call: Call, reply: View[Page[Hypervisor], Audience]) -> Reply:
    pattern = call.query.text("hypervisor_hostname_pattern") if call.version >= v2(53) else None
    nodes = await call.db.read(hosts.list_nodes)
    if pattern is not None:
        if call.query.text("limit") is not None or call.query.text("marker") is not None:
            raise InvalidInput(
                "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported."
            )
        nodes = _matching(nodes, pattern)
    page = Page(nodes)
    if call.version >= PAGED and pattern is None:
        window = call.query.page(call.deps.settings.max_limit)
        entries = window.behind(nodes, lambda node: str(shown_id(node.id, call.version)))[: window.limit]
        page = call.page(entries, window.limit, lambda node: str(shown_id(node.id, call.version)))
    servers = await _servers(call, page.entries)
    uptimes = await _uptimes(call, page.entries) if reply is _DETAILS else {}
    shown = [Hypervisor(node, uptimes.get(node.id), servers.get(node.inventory.node)) for node in page.entries]
    return reply.reply(Page(shown, page.next), call)


def _matching(nodes: Sequence[ComputeNode], pattern: str) -> list[ComputeNode]:
    found = [node for node in nodes if pattern in node.inventory.node]
    if not found:
        raise NotFound(f"No hypervisor matching '{pattern[:255]}' could be found.")
    return found


async def show(call: Call) -> Reply:
    """Show a hypervisor."""
    node = await _find(call)
    servers = await _servers(call, [node])
    uptimes = await _uptimes(call, [node])
    return _ONE.reply(Hypervisor(node, uptimes.get(node.id), servers.get(node.inventory.node)), call)


async def _find(call: Call) -> ComputeNode:
    if call.params["hypervisor_id"] == "statistics":  # (until 2.87; not a malformed id)
        raise NotFound("Hypervisor statistics are not available from microversion 2.88.")
    nodes = await call.db.read(hosts.list_nodes)
    return pick(nodes, call.params["hypervisor_id"], call.version, "Compute host")


async def uptime(call: Call) -> Reply:
    """Show the uptime of a hypervisor (until 2.87)."""
    node = await _find(call)
    host = node.service.host
    if not _is_up(node):
        raise InvalidInput(f"Compute service of {host} is unavailable at this time.")
    try:
        text = (await call.deps.rpc.call(HOST_UPTIME, HostUptime(), host)).text
    except HypervisorError as exc:
        raise not_implemented(f"The uptime of {host} is not known: {exc}") from exc
    return _UPTIME.reply(Hypervisor(node, text), call)


async def _uptimes(call: Call, nodes: Sequence[ComputeNode]) -> dict[str, str]:
    """The uptimes of reachable hosts by the node's id; they are part of a hypervisor from 2.88."""
    found: dict[str, str] = {}
    if call.version < v2(88):
        return found

    async def read(node: ComputeNode) -> None:
        with contextlib.suppress(KilonovaError):  # shown as null
            found[node.id] = (await call.deps.rpc.call(HOST_UPTIME, HostUptime(), node.service.host)).text

    async with asyncio.TaskGroup() as group:
        for node in nodes:
            if _is_up(node):
                group.create_task(read(node))
    return found


async def statistics(call: Call) -> Reply:
    """Show sums over all hosts whose service is enabled (until 2.87)."""
    nodes = [node for node in await call.db.read(hosts.list_nodes) if not node.service.disabled]
    return _STATISTICS.reply(nodes, call)


async def search(call: Call) -> Reply:
    """Search hypervisors by a part of their name (until 2.52)."""
    nodes = _matching(await call.db.read(hosts.list_nodes), call.params["hypervisor_id"])
    return _SUMMARY_LIST.reply([Hypervisor(node) for node in nodes], call)


async def servers_of(call: Call) -> Reply:
    """List the servers of hypervisors by a part of their name (until 2.52)."""
    nodes = _matching(await call.db.read(hosts.list_nodes), call.params["hypervisor_id"])
    servers = await call.db.read(_servers_of, [node.inventory.node for node in nodes])
    return _SUMMARY_LIST.reply([Hypervisor(node, servers=servers[node.inventory.node]) for node in nodes], call)


async def _servers(call: Call, nodes: Sequence[ComputeNode]) -> Mapping[str, list[HypervisorServer]]:
    """The servers of each node, by the node's name, if the request includes `with_servers`."""
    if call.version < v2(53) or not call.query.boolean("with_servers"):
        return {}
    return await call.db.read(_servers_of, [node.inventory.node for node in nodes])


def _servers_of(snapshot: Snapshot, nodes: Sequence[str]) -> dict[str, list[HypervisorServer]]:
    return {
        node: [
            {"uuid": instance.id, "name": instance.name}
            for instance in page(snapshot, ServerQuery(equals={"node": node}, limit=100_000))
        ]
        for node in nodes
    }


def _is_up(node: ComputeNode) -> bool:
    return node.service.up and not node.service.forced_down


ROUTES = (
    Route("GET", "/os-hypervisors", list_brief, "os_compute_api:os-hypervisors:list", DefaultPolicy.ADMIN,
        reply=_SUMMARIES, query=ARGUMENTS, strict=v2(53)),
    Route("GET", "/os-hypervisors/detail", list_detail, "os_compute_api:os-hypervisors:list-detail",
        DefaultPolicy.ADMIN, reply=_DETAILS, query=ARGUMENTS, strict=v2(53)),
    Route("GET", "/os-hypervisors/statistics", statistics, "os_compute_api:os-hypervisors:statistics",
        DefaultPolicy.ADMIN, reply=_STATISTICS, max=v2(87)),
    Route("GET", "/os-hypervisors/{hypervisor_id}", show, "os_compute_api:os-hypervisors:show", DefaultPolicy.ADMIN,
        reply=_ONE, query=frozenset({"with_servers"}), strict=v2(53)),
    Route("GET", "/os-hypervisors/{hypervisor_id}/uptime", uptime, "os_compute_api:os-hypervisors:uptime",
        DefaultPolicy.ADMIN, reply=_UPTIME, max=v2(87)),
    Route("GET", "/os-hypervisors/{hypervisor_id}/search", search, "os_compute_api:os-hypervisors:search",
        DefaultPolicy.ADMIN, reply=_SUMMARY_LIST, max=v2(52)),
    Route("GET", "/os-hypervisors/{hypervisor_id}/servers", servers_of, "os_compute_api:os-hypervisors:servers",
        DefaultPolicy.ADMIN, reply=_SUMMARY_LIST, max=v2(52)),
)  # fmt: skip
