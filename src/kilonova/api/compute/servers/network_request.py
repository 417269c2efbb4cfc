# SPDX-License-Identifier: Apache-2.0
"""The networks in the request of a new server, checked."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from kilonova.api.compute.servers.models import NewServer
from kilonova.api.http.ids import is_uuid
from kilonova.api.http.microversion import Microversion, v2
from kilonova.api.network import inventory
from kilonova.base.errors import InvalidInput
from kilonova.db.readers import addresses
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.transaction import Snapshot
from kilonova.networks.ids import network_id
from kilonova.objects.service import ComputeNode

_PATH = "server.networks"
_TAG = re.compile("[^,/]{1,60}")
_WHERE = "Invalid input for field/attribute server.networks."


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """`ids` of networks in the order of the NICs, and the `tags` of the NICs.  `any` without ids means the host's
    default network.  `fixed_ips`: the IPv4 address of each NIC, empty if any address will do."""

    any: bool
    ids: tuple[str, ...] = ()
    tags: tuple[str | None, ...] = ()
    fixed_ips: tuple[str, ...] = ()


def parse(server: NewServer, version: Microversion) -> NetworkRequest:
    """Parse the networks: "none", "auto", not given (below 2.37), or a list.  Raises InvalidInput."""
    networks = server.networks
    if "networks" not in server.model_fields_set:
        if version >= v2(37):
            message = "Invalid input for field/attribute server. 'networks' is a required property"
            raise InvalidInput(message, path=_PATH)
        return NetworkRequest(any=True)
    if networks in ("none", "auto") and version >= v2(37):
        return NetworkRequest(any=networks == "auto")
    if not isinstance(networks, list):
        raise InvalidInput(f'{_WHERE} It is a list, "auto" or "none".', path=_PATH)
    ids = tuple(_id_of(entry) for entry in networks)
    tags = tuple(_tag_of(entry, version) for entry in networks)
    if len(set(ids)) != len(ids):
        raise InvalidInput(f"{_WHERE} A server has one NIC at most on each network here.", path=_PATH)
    return NetworkRequest(any=True, ids=ids, tags=tags, fixed_ips=tuple(_fixed_ip_of(entry) for entry in networks))


def _tag_of(entry: dict[str, Any], version: Microversion) -> str | None:
    """Accepted from 2.32 to 2.36 and from 2.42 on: Nova lost it in between."""
    if "tag" not in entry:
        return None
    if not (v2(32) <= version <= v2(36) or version >= v2(42)):
        raise InvalidInput(f"{_WHERE} A tag is accepted from 2.32 to 2.36 and from 2.42 on.", path=_PATH)
    tag = entry["tag"]
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        raise InvalidInput(f"{_WHERE} A tag has 1 to 60 characters and neither comma nor slash.", path=_PATH)
    return tag


def _id_of(entry: Any) -> str:
    if not isinstance(entry, dict) or set(entry) - {"uuid", "tag", "fixed_ip", "port"}:
        raise InvalidInput(f"{_WHERE} Each is an object with the uuid of a network.", path=_PATH)
    if entry.get("port") is not None:
        raise InvalidInput(f"{_WHERE} A port cannot be chosen here: name a network by its uuid.", path=_PATH)
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


def check_count(request: NetworkRequest, most: int) -> None:
    """A fixed address can belong to one server only.  Raises InvalidInput, in Nova's words."""
    if most > 1 and any(request.fixed_ips):
        message = "Failed to launch instances: max_count cannot be greater than 1 if an fixed_ip is specified."
        raise InvalidInput(message, path=_PATH)


def names(snapshot: Snapshot, request: NetworkRequest) -> tuple[str, ...]:
    """The names of the networks.  Raises InvalidInput for a network that no host has, and for an address that no server
    can have now."""
    nodes = read_hosts.list_nodes(snapshot)
    known = {network.id: network.name for network in inventory.networks_of(nodes)}
    for wanted, fixed_ip in zip(request.ids, request.fixed_ips, strict=True):
        if wanted not in known:
            raise InvalidInput(f"Network {wanted} could not be found.", path=_PATH)
        if fixed_ip:
            _check_fixed_ip(snapshot, nodes, known[wanted], fixed_ip)
    return tuple(known[wanted] for wanted in request.ids)


def _check_fixed_ip(snapshot: Snapshot, nodes: Iterable[ComputeNode], name: str, fixed_ip: str) -> None:
    """Check that at least one host can assign the address now.  Raises InvalidInput."""
    value = int(IPv4Address(fixed_ip))
    offers = [(node.service.host, offer) for node in nodes if (offer := node.inventory.network(name)) is not None]
    if not any(IPv4Address(value) in offer.subnet for _, offer in offers):
        message = f"Fixed IP address {fixed_ip} is not a valid ip address for network {network_id(name)}."
        raise InvalidInput(message, path=_PATH)
    places = {addresses.place_of(host, o) for host, o in offers if o.bounds[0] <= value <= o.bounds[1]}
    if not places:
        message = f"Fixed IP address {fixed_ip} of network {network_id(name)} is outside the range for servers."
        raise InvalidInput(message, path=_PATH)
    if places <= addresses.taken(snapshot, value, places):
        raise InvalidInput(f"Fixed IP address {fixed_ip} is already in use.", path=_PATH)
