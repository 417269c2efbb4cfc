# SPDX-License-Identifier: Apache-2.0
"""Hypervisors: what each host has and what is claimed of it.

Source: Compute API reference, "Hypervisors".
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from kilonova.api.compute.integer_ids import pick, shown_id
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.faults import not_implemented
from kilonova.api.http.microversion import Microversion, v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.base.errors import HypervisorError, InvalidInput, KilonovaError, NotFound
from kilonova.db.readers import hosts
from kilonova.db.readers.servers import ServerQuery, page
from kilonova.db.transaction import Snapshot
from kilonova.objects.instance import Instance
from kilonova.objects.service import ComputeNode
from kilonova.rpcapi.to_host import HOST_UPTIME, HostUptime

ARGUMENTS = frozenset({"limit", "marker", "with_servers", "hypervisor_hostname_pattern"})


async def list_brief(call: Call) -> Reply:
    """GET /os-hypervisors."""
    return await _list(call, detailed=False)


async def list_detail(call: Call) -> Reply:
    """GET /os-hypervisors/detail."""
    return await _list(call, detailed=True)


async def _list(call: Call, *, detailed: bool) -> Reply:
    pattern = call.query.text("hypervisor_hostname_pattern") if call.version >= v2(53) else None
    nodes = await call.db.read(hosts.list_nodes)
    if pattern is not None:
        if call.query.text("limit") is not None or call.query.text("marker") is not None:
            raise InvalidInput(
                "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported."
            )
        nodes = _matching(nodes, pattern)
    answer: dict[str, Any] = {}
    if call.version >= v2(33) and pattern is None:
        window = call.query.page(call.deps.settings.max_limit)
        nodes = window.behind(nodes, lambda node: str(shown_id(node.id, call.version)))[: window.limit]
        if nodes and len(nodes) == window.limit:
            answer = call.next_page("hypervisors_links", str(shown_id(nodes[-1].id, call.version)))
    servers = await _servers(call, nodes)
    uptimes = await _uptimes(call, nodes) if detailed else {}

    def shown(node: ComputeNode) -> dict[str, Any]:
        return detail(node, call.version, uptimes.get(node.id)) if detailed else _brief(node, call.version)

    return json_reply({"hypervisors": [{**shown(node), **servers(node)} for node in nodes], **answer})


def _matching(nodes: Sequence[ComputeNode], pattern: str) -> list[ComputeNode]:
    found = [node for node in nodes if pattern in node.inventory.node]
    if not found:
        raise NotFound(f"No hypervisor matching '{pattern[:255]}' could be found.")
    return found


async def show(call: Call) -> Reply:
    """GET /os-hypervisors/{id}."""
    node = await _find(call)
    servers = await _servers(call, [node])
    uptimes = await _uptimes(call, [node])
    return json_reply({"hypervisor": {**detail(node, call.version, uptimes.get(node.id)), **servers(node)}})


async def _find(call: Call) -> ComputeNode:
    if call.params["hypervisor_id"] == "statistics":  # until 2.87; it is no malformed id of a hypervisor's
        raise NotFound("There are no statistics of hypervisors from 2.88 on.")
    nodes = await call.db.read(hosts.list_nodes)
    return pick(nodes, call.params["hypervisor_id"], call.version, "Compute host")


async def uptime(call: Call) -> Reply:
    """GET /os-hypervisors/{id}/uptime, below 2.88."""
    node = await _find(call)
    host = node.service.host
    if not _is_up(node):
        raise InvalidInput(f"Compute service of {host} is unavailable at this time.")
    try:
        text = (await call.deps.rpc.call(HOST_UPTIME, HostUptime(), host)).text
    except HypervisorError as exc:
        raise not_implemented(f"The uptime of {host} is not known: {exc}") from exc
    return json_reply({"hypervisor": {**_brief(node, call.version), "uptime": text}})


async def _uptimes(call: Call, nodes: Sequence[ComputeNode]) -> dict[str, str]:
    """What the hosts that can be reached say, by node; from 2.88 it is part of what is shown."""
    found: dict[str, str] = {}
    if call.version < v2(88):
        return found

    async def ask(node: ComputeNode) -> None:
        with contextlib.suppress(KilonovaError):  # shown as null
            found[node.id] = (await call.deps.rpc.call(HOST_UPTIME, HostUptime(), node.service.host)).text

    async with asyncio.TaskGroup() as group:
        for node in nodes:
            if _is_up(node):
                group.create_task(ask(node))
    return found


async def statistics(call: Call) -> Reply:
    """GET /os-hypervisors/statistics: sums over all hosts whose service is enabled."""
    nodes = [node for node in await call.db.read(hosts.list_nodes) if not node.service.disabled]
    sums: dict[str, int] = dict.fromkeys(_numbers(None), 0)
    for node in nodes:
        for name, value in _numbers(node).items():
            sums[name] += value
    return json_reply({"hypervisor_statistics": {"count": len(nodes), **sums}})


async def search(call: Call) -> Reply:
    """GET /os-hypervisors/{pattern}/search, below 2.53."""
    nodes = _matching(await call.db.read(hosts.list_nodes), call.params["hypervisor_id"])
    return json_reply({"hypervisors": [_brief(node, call.version) for node in nodes]})


async def servers_of(call: Call) -> Reply:
    """GET /os-hypervisors/{pattern}/servers, below 2.53."""
    nodes = _matching(await call.db.read(hosts.list_nodes), call.params["hypervisor_id"])
    by_node = await call.db.read(_instances_of, [node.inventory.node for node in nodes])
    shown: list[dict[str, Any]] = []
    for node in nodes:
        entry = _brief(node, call.version)
        if found := by_node.get(node.inventory.node):
            entry["servers"] = [{"uuid": instance.id, "name": instance.name} for instance in found]
        shown.append(entry)
    return json_reply({"hypervisors": shown})


async def _servers(call: Call, nodes: Sequence[ComputeNode]) -> Callable[[ComputeNode], dict[str, Any]]:
    """What to add to each node's entry when servers were asked for; before 2.75 an empty list is left out."""
    if call.version < v2(53) or not call.query.boolean("with_servers"):
        return lambda _node: {}
    by_node = await call.db.read(_instances_of, [node.inventory.node for node in nodes])

    def entry(node: ComputeNode) -> dict[str, Any]:
        found = by_node.get(node.inventory.node, [])
        if not found and call.version < v2(75):
            return {}
        return {"servers": [{"uuid": instance.id, "name": instance.name} for instance in found]}

    return entry


def _instances_of(snapshot: Snapshot, nodes: Sequence[str]) -> dict[str, list[Instance]]:
    return {node: page(snapshot, ServerQuery(equals={"node": node}, limit=100_000)) for node in nodes}


def _is_up(node: ComputeNode) -> bool:
    return node.service.up and not node.service.forced_down


def _brief(node: ComputeNode, version: Microversion) -> dict[str, Any]:
    return {
        "id": shown_id(node.id, version),
        "hypervisor_hostname": node.inventory.node,
        "state": "up" if _is_up(node) else "down",
        "status": "disabled" if node.service.disabled else "enabled",
    }


def detail(node: ComputeNode, version: Microversion, uptime: str | None) -> dict[str, Any]:
    """Everything of a node.  From 2.88 resources are not the hypervisor's to tell, but its uptime is; None: unknown."""
    inventory, service = node.inventory, node.service
    shown: dict[str, Any] = {
        **_brief(node, version),
        "host_ip": inventory.host_ip,
        "hypervisor_type": inventory.hypervisor_type,
        "hypervisor_version": inventory.hypervisor_version,
        "service": {
            "id": shown_id(service.id, version),
            "host": service.host,
            "disabled_reason": service.disabled_reason,
        },
    }
    if version >= v2(88):
        return {**shown, "uptime": uptime}
    cpu_info = dict(inventory.cpu_info)
    return {**shown, **_numbers(node), "cpu_info": json.dumps(cpu_info) if version < v2(28) else cpu_info}


def _numbers(node: ComputeNode | None) -> dict[str, int]:
    """Memory in MiB, disk in GiB; free is physical minus claimed and, with overcommitment, negative."""
    if node is None:
        names = ("current_workload", "disk_available_least", "free_disk_gb", "free_ram_mb", "local_gb", "local_gb_used")
        return dict.fromkeys((*names, "memory_mb", "memory_mb_used", "running_vms", "vcpus", "vcpus_used"), 0)
    inventory = node.inventory
    return {
        "current_workload": 0,
        "disk_available_least": inventory.disk_available_gib,
        "free_disk_gb": inventory.disk_gib - node.disk_gib_used,
        "free_ram_mb": inventory.memory_mib - node.memory_mib_used,
        "local_gb": inventory.disk_gib,
        "local_gb_used": node.disk_gib_used,
        "memory_mb": inventory.memory_mib,
        "memory_mb_used": node.memory_mib_used,
        "running_vms": node.running_vms,
        "vcpus": inventory.vcpus,
        "vcpus_used": node.vcpus_used,
    }


ROUTES = (
    Route("GET", "/os-hypervisors", list_brief, "os_compute_api:os-hypervisors:list", DefaultPolicy.ADMIN,
        note="{hypervisors: [...]}", query=ARGUMENTS, strict=v2(53)),
    Route("GET", "/os-hypervisors/detail", list_detail, "os_compute_api:os-hypervisors:list-detail",
        DefaultPolicy.ADMIN, note="{hypervisors: [...]}", query=ARGUMENTS, strict=v2(53)),
    Route("GET", "/os-hypervisors/statistics", statistics, "os_compute_api:os-hypervisors:statistics",
        DefaultPolicy.ADMIN, note="{hypervisor_statistics}", max=v2(87)),
    Route("GET", "/os-hypervisors/{hypervisor_id}", show, "os_compute_api:os-hypervisors:show", DefaultPolicy.ADMIN,
        note="{hypervisor}", query=frozenset({"with_servers"}), strict=v2(53)),
    Route("GET", "/os-hypervisors/{hypervisor_id}/uptime", uptime, "os_compute_api:os-hypervisors:uptime",
        DefaultPolicy.ADMIN, note="{hypervisor}", max=v2(87)),
    Route("GET", "/os-hypervisors/{hypervisor_id}/search", search, "os_compute_api:os-hypervisors:search",
        DefaultPolicy.ADMIN, note="{hypervisors: [...]}", max=v2(52)),
    Route("GET", "/os-hypervisors/{hypervisor_id}/servers", servers_of, "os_compute_api:os-hypervisors:servers",
        DefaultPolicy.ADMIN, note="{hypervisors: [...]}", max=v2(52)),
)  # fmt: skip
