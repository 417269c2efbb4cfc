# SPDX-License-Identifier: Apache-2.0
"""Hypervisors: what each host has and what is claimed of it.

Source: Compute API reference, "Hypervisors".
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from kilonova.api.call import Call, Reply, json_reply
from kilonova.api.compute.old_ids import pick, shown_id
from kilonova.api.faults import not_implemented
from kilonova.api.microversion import v2
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.readers import hosts
from kilonova.db.readers.servers import ServerQuery, page
from kilonova.objects.instance import Instance
from kilonova.objects.service import ComputeNode

ARGUMENTS = frozenset({"limit", "marker", "with_servers", "hypervisor_hostname_pattern"})

_View = Callable[[ComputeNode, Call], dict[str, Any]]


async def list_brief(call: Call) -> Reply:
    """GET /os-hypervisors."""
    return await _list(call, _brief)


async def list_detail(call: Call) -> Reply:
    """GET /os-hypervisors/detail."""
    return await _list(call, _detail)


async def _list(call: Call, view: _View) -> Reply:
    pattern = call.query.text("hypervisor_hostname_pattern") if call.version >= v2(53) else None
    nodes = await call.db.read(hosts.list_nodes)
    if pattern is not None:
        nodes = _matching(nodes, pattern)
    answer: dict[str, Any] = {}
    if call.version >= v2(33) and pattern is None:
        window = call.query.page(call.deps.settings.max_limit)
        if window.marker is not None:
            nodes = _behind(nodes, window.marker, call)
        nodes = nodes[: window.limit]
        if nodes and len(nodes) == window.limit:
            answer = call.next_page("hypervisors_links", str(shown_id(nodes[-1].id, call.version)))
    servers = await _servers(call, nodes)
    return json_reply({"hypervisors": [{**view(node, call), **servers(node)} for node in nodes], **answer})


def _matching(nodes: Sequence[ComputeNode], pattern: str) -> list[ComputeNode]:
    found = [node for node in nodes if pattern in node.inventory.node]
    if not found:
        raise NotFound(f"No hypervisor matching '{pattern[:255]}' could be found.")
    return found


def _behind(nodes: Sequence[ComputeNode], marker: str, call: Call) -> list[ComputeNode]:
    for at, node in enumerate(nodes):
        if str(shown_id(node.id, call.version)) == marker:
            return list(nodes[at + 1 :])
    raise InvalidInput(f"marker [{marker[:255]}] not found", path="marker")


async def show(call: Call) -> Reply:
    """GET /os-hypervisors/{id}."""
    node = await _find(call)
    servers = await _servers(call, [node])
    return json_reply({"hypervisor": {**_detail(node, call), **servers(node)}})


async def _find(call: Call) -> ComputeNode:
    nodes = await call.db.read(hosts.list_nodes)
    return pick(nodes, call.params["hypervisor_id"], call.version, "Compute host")


async def uptime(call: Call) -> Reply:
    """GET /os-hypervisors/{id}/uptime: no driver of ours tells it."""
    await _find(call)
    raise not_implemented("The host's uptime is not known here.")


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
    return json_reply({"hypervisors": [_brief(node, call) for node in nodes]})


async def servers_of(call: Call) -> Reply:
    """GET /os-hypervisors/{pattern}/servers, below 2.53."""
    nodes = _matching(await call.db.read(hosts.list_nodes), call.params["hypervisor_id"])
    by_node = await call.db.read(_instances_of, [node.inventory.node for node in nodes])
    shown: list[dict[str, Any]] = []
    for node in nodes:
        entry = _brief(node, call)
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


def _instances_of(connection: sa.Connection, nodes: Sequence[str]) -> dict[str, list[Instance]]:
    return {node: page(connection, ServerQuery(equals={"node": node}, limit=100_000)) for node in nodes}


def _brief(node: ComputeNode, call: Call) -> dict[str, Any]:
    return {
        "id": shown_id(node.id, call.version),
        "hypervisor_hostname": node.inventory.node,
        "state": "up" if node.service.up and not node.service.forced_down else "down",
        "status": "disabled" if node.service.disabled else "enabled",
    }


def _detail(node: ComputeNode, call: Call) -> dict[str, Any]:
    inventory, service = node.inventory, node.service
    cpu_info: Any = dict(inventory.cpu_info)
    if call.version < v2(28):
        cpu_info = json.dumps(cpu_info)
    return {
        **_brief(node, call),
        **_numbers(node),
        "cpu_info": cpu_info,
        "host_ip": inventory.host_ip,
        "hypervisor_type": inventory.hypervisor_type,
        "hypervisor_version": inventory.hypervisor_version,
        "service": {
            "id": shown_id(service.id, call.version),
            "host": service.host,
            "disabled_reason": service.disabled_reason,
        },
    }


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
