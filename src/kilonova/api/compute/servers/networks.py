# SPDX-License-Identifier: Apache-2.0
"""A server's networks: those that are asked for, and the routes that show those it has."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from kilonova.api.compute.servers import view as server_view
from kilonova.api.compute.servers.models import NewServer
from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.ids import is_uuid
from kilonova.api.http.microversion import Microversion, v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.network import inventory as facts
from kilonova.api.network import view
from kilonova.api.network.inventory import Port
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.readers import addresses
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.addresses import ANY_HOST
from kilonova.db.transaction import Snapshot
from kilonova.networks.ids import cidr_of, network_id, security_group_id, subnet_id
from kilonova.objects.instance import Instance, nic_tag
from kilonova.objects.service import ComputeNode

_PATH = "server.networks"
_TAG = re.compile("[^,/]{1,60}")
_WHERE = "Invalid input for field/attribute server.networks."


@dataclass(frozen=True, slots=True)
class Wish:
    """`ids` of networks in the order of NICs, with the `tags` of these; `any` with none means the default one of the
    host.  `fixed_ips`: for each of them the address in IPv4 text, empty where any will do."""

    any: bool
    ids: tuple[str, ...] = ()
    tags: tuple[str | None, ...] = ()
    fixed_ips: tuple[str, ...] = ()


def wish(asked: NewServer, version: Microversion) -> Wish:
    """What a request says of networks: "none", "auto", nothing (below 2.37), or a list.  Raises InvalidInput."""
    networks = asked.networks
    if "networks" not in asked.model_fields_set:
        if version >= v2(37):
            message = "Invalid input for field/attribute server. 'networks' is a required property"
            raise InvalidInput(message, path=_PATH)
        return Wish(any=True)
    if networks in ("none", "auto") and version >= v2(37):
        return Wish(any=networks == "auto")
    if not isinstance(networks, list):
        raise InvalidInput(f'{_WHERE} It is a list, "auto" or "none".', path=_PATH)
    ids = tuple(_id_of(entry) for entry in networks)
    tags = tuple(_tag_of(entry, version) for entry in networks)
    if len(set(ids)) != len(ids):
        raise InvalidInput(f"{_WHERE} A server has one NIC at most on each network here.", path=_PATH)
    return Wish(any=True, ids=ids, tags=tags, fixed_ips=tuple(_fixed_ip_of(entry) for entry in networks))


def _tag_of(entry: dict[str, Any], version: Microversion) -> str | None:
    """From 2.32 to 2.36 and from 2.42 on: in between Nova had forgotten it."""
    if "tag" not in entry:
        return None
    if not (v2(32) <= version <= v2(36) or version >= v2(42)):
        raise InvalidInput(f"{_WHERE} A tag is taken from 2.32 to 2.36 and from 2.42 on.", path=_PATH)
    tag = entry["tag"]
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        raise InvalidInput(f"{_WHERE} A tag has 1 to 60 characters and neither comma nor slash.", path=_PATH)
    return tag


def _id_of(entry: Any) -> str:
    if not isinstance(entry, dict) or set(entry) - {"uuid", "tag", "fixed_ip", "port"}:
        raise InvalidInput(f"{_WHERE} Each is an object with the uuid of a network.", path=_PATH)
    for unkept in ("port",):
        if entry.get(unkept) is not None:
            raise InvalidInput(f"{_WHERE} A {unkept} cannot be chosen here: name a network by its uuid.", path=_PATH)
    wanted = entry.get("uuid")
    if not isinstance(wanted, str) or not is_uuid(wanted):
        raise InvalidInput(f"{_WHERE} Each has the uuid of a network.", path=_PATH)
    return wanted


def _fixed_ip_of(entry: dict[str, Any]) -> str:
    wanted = entry.get("fixed_ip")
    if wanted is None:
        return ""
    try:
        return str(IPv4Address(wanted if isinstance(wanted, str) else ""))
    except ValueError as exc:
        raise InvalidInput(f"{_WHERE} A fixed_ip is an IPv4 address.", path=_PATH) from exc


def check_count(wish: Wish, most: int) -> None:
    """An address is one server's.  Raises InvalidInput, in Nova's words."""
    if most > 1 and any(wish.fixed_ips):
        said = "Failed to launch instances: max_count cannot be greater than 1 if an fixed_ip is specified."
        raise InvalidInput(said, path=_PATH)


def names(snapshot: Snapshot, wish: Wish) -> tuple[str, ...]:
    """The names of networks.  Raises InvalidInput for one that no host has, and for an address of it that no server can
    have now."""
    nodes = read_hosts.list_nodes(snapshot)
    known = {network.id: network.name for network in facts.networks_of(nodes)}
    for wanted, fixed_ip in zip(wish.ids, wish.fixed_ips, strict=True):
        if wanted not in known:
            raise InvalidInput(f"Network {wanted} could not be found.", path=_PATH)
        if fixed_ip:
            _check_fixed_ip(snapshot, nodes, known[wanted], fixed_ip)
    return tuple(known[wanted] for wanted in wish.ids)


def _check_fixed_ip(snapshot: Snapshot, nodes: Iterable[ComputeNode], name: str, fixed_ip: str) -> None:
    """Some host has the address to give, and there it is free.  Raises InvalidInput."""
    value = int(IPv4Address(fixed_ip))
    offers = [(node.service.host, offer) for node in nodes if (offer := node.inventory.network(name)) is not None]
    if not any(IPv4Address(value) in offer.subnet for _, offer in offers):
        said = f"Fixed IP address {fixed_ip} is not a valid ip address for network {network_id(name)}."
        raise InvalidInput(said, path=_PATH)
    holders = {ANY_HOST if o.shared else host for host, o in offers if o.bounds[0] <= value <= o.bounds[1]}
    if not holders:
        said = f"Fixed IP address {fixed_ip} of network {network_id(name)} is not one that servers are given."
        raise InvalidInput(said, path=_PATH)
    if holders <= addresses.holders(snapshot, name, value, holders):
        raise InvalidInput(f"Fixed IP address {fixed_ip} is already in use.", path=_PATH)


async def list_ips(call: Call) -> Reply:
    """GET /servers/{id}/ips."""
    return json_reply({"addresses": server_view.addresses(await find(call), full=False)})


async def show_ips(call: Call) -> Reply:
    """GET /servers/{id}/ips/{network}."""
    name = call.params["network"]
    shown = server_view.addresses(await find(call), full=False)
    if name not in shown:
        raise NotFound("Network label is not found")
    return json_reply({name: shown[name]})


async def list_interfaces(call: Call) -> Reply:
    """GET /servers/{id}/os-interface."""
    instance = await find(call)
    shown = [_interface(instance, port, call.version) for port in facts.ports_of(instance)]
    return json_reply({"interfaceAttachments": shown})


async def show_interface(call: Call) -> Reply:
    """GET /servers/{id}/os-interface/{port}."""
    wanted = call.params["port_id"]
    instance = await find(call)
    for port in facts.ports_of(instance):
        if port.id == wanted:
            return json_reply({"interfaceAttachment": _interface(instance, port, call.version)})
    raise NotFound(f"Instance {instance.id} does not have a port with id {wanted[:64]}")


def _interface(instance: Instance, port: Port, version: Microversion) -> dict[str, Any]:
    address = port.address
    shown: dict[str, Any] = {
        "port_state": view.port_state(port),
        "port_id": port.id,
        "net_id": network_id(address.network),
        "mac_addr": address.mac,
        "fixed_ips": [{"subnet_id": subnet_id(address.network, cidr_of(address)), "ip_address": address.address}],
    }
    if version >= v2(70):
        shown["tag"] = instance.device_tags.get(nic_tag(address.network))
    return shown


async def list_security_groups(call: Call) -> Reply:
    """GET /servers/{id}/os-security-groups."""
    instance = await find(call)
    groups = [_group(instance.project_id)] if instance.addresses else []
    return json_reply({"security_groups": groups})


def _group(project_id: str) -> dict[str, Any]:
    return {
        "id": security_group_id(project_id),
        "name": view.DEFAULT_GROUP,
        "description": view.DEFAULT_GROUP_DESCRIPTION,
        "tenant_id": project_id,
        "rules": [],
    }


ROUTES = (
    Route("GET", "/servers/{server_id}/ips", list_ips, "os_compute_api:ips:index", DefaultPolicy.READER,
        note="{addresses}"),
    Route("GET", "/servers/{server_id}/ips/{network}", show_ips, "os_compute_api:ips:show", DefaultPolicy.READER,
        note="{network: [...]}"),
    Route("GET", "/servers/{server_id}/os-interface", list_interfaces, "os_compute_api:os-attach-interfaces:list",
        DefaultPolicy.READER, note="{interfaceAttachments: [...]}"),
    Route("GET", "/servers/{server_id}/os-interface/{port_id}", show_interface,
        "os_compute_api:os-attach-interfaces:show", DefaultPolicy.READER, note="{interfaceAttachment}"),
    Route("GET", "/servers/{server_id}/os-security-groups", list_security_groups,
        "os_compute_api:os-security-groups:list", DefaultPolicy.READER, note="{security_groups: [default]}"),
)  # fmt: skip
