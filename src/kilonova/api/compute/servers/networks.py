# SPDX-License-Identifier: Apache-2.0
"""The addresses, interfaces and security groups of a server.

Source: Compute API reference, "Servers IPs", "Port interfaces" and "Server security groups".
"""

from dataclasses import dataclass

from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from kilonova.api.compute.servers.resource import find
from kilonova.api.compute.servers.view import ADDRESS, ADDRESSES, Addresses, addresses
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import EmptyList, ListOf, Member, Others, View, many, one
from kilonova.api.network import inventory
from kilonova.api.network.inventory import Port
from kilonova.api.network.view import DEFAULT_GROUP, DEFAULT_GROUP_DESCRIPTION, port_state
from kilonova.base.errors import NotFound
from kilonova.networks.ids import cidr_of, network_id, security_group_id, subnet_id
from kilonova.objects.instance import Instance, nic_tag


class FixedIp(TypedDict):
    """One address of an interface."""

    subnet_id: str
    ip_address: str


@dataclass(frozen=True, slots=True)
class _Interface:
    server: Instance
    port: Port


def _fixed_ips(interface: _Interface, _call: Call) -> list[FixedIp]:
    address = interface.port.address
    return [{"subnet_id": subnet_id(address.network, cidr_of(address)), "ip_address": address.address}]


def _tag(interface: _Interface, _call: Call) -> str | None:
    return interface.server.device_tags.get(nic_tag(interface.port.address.network))


IPS = View[Instance, Call]("", Member("addresses", ADDRESSES, lambda server, _: addresses(server)))
IPS_OF_NETWORK = View[Addresses, Call]("", others=Others(ListOf(ADDRESS), lambda found, _: found))
INTERFACE = View[_Interface, Call](
    "Interface",
    Member("port_state", str, lambda interface, _: port_state(interface.port)),
    Member("port_id", str, lambda interface, _: interface.port.id),
    Member("net_id", str, lambda interface, _: network_id(interface.port.address.network)),
    Member("mac_addr", str, lambda interface, _: interface.port.address.mac),
    Member("fixed_ips", list[FixedIp], _fixed_ips),
    Member("tag", str | None, _tag, since=v2(70)),
)
INTERFACES, ONE_INTERFACE = many("interfaceAttachments", INTERFACE), one("interfaceAttachment", INTERFACE)
SECURITY_GROUP = View[str, Call](
    "ServerSecurityGroup",
    Member("id", str, lambda project_id, _: security_group_id(project_id)),
    Member("name", str, lambda _project_id, _call: DEFAULT_GROUP),
    Member("description", str, lambda _project_id, _call: DEFAULT_GROUP_DESCRIPTION),
    Member("tenant_id", str, lambda project_id, _: project_id),
    Member("rules", EmptyList, lambda _project_id, _call: []),
)
SECURITY_GROUPS = many("security_groups", SECURITY_GROUP)


async def list_ips(call: Call) -> Reply:
    """List the addresses of a server by network."""
    return IPS.reply(await find(call), call)


async def show_ips(call: Call) -> Reply:
    """Show the addresses of a server on one network."""
    name = call.params["network"]
    found = addresses(await find(call))
    if name not in found:
        raise NotFound("Network label is not found")
    return IPS_OF_NETWORK.reply({name: found[name]}, call)


async def list_interfaces(call: Call) -> Reply:
    """List the network interfaces of a server."""
    instance = await find(call)
    return INTERFACES.reply([_Interface(instance, port) for port in inventory.ports_of(instance)], call)


async def show_interface(call: Call) -> Reply:
    """Show one network interface of a server."""
    port_id = call.params["port_id"]
    instance = await find(call)
    for port in inventory.ports_of(instance):
        if port.id == port_id:
            return ONE_INTERFACE.reply(_Interface(instance, port), call)
    raise NotFound(f"Instance {instance.id} does not have a port with id {port_id[:64]}")


async def list_security_groups(call: Call) -> Reply:
    """List the security groups of a server."""
    instance = await find(call)
    return SECURITY_GROUPS.reply([instance.project_id] if instance.addresses else [], call)


ROUTES = (
    Route("GET", "/servers/{server_id}/ips", list_ips, "os_compute_api:ips:index", DefaultPolicy.READER,
        reply=IPS),
    Route("GET", "/servers/{server_id}/ips/{network}", show_ips, "os_compute_api:ips:show", DefaultPolicy.READER,
        reply=IPS_OF_NETWORK),
    Route("GET", "/servers/{server_id}/os-interface", list_interfaces, "os_compute_api:os-attach-interfaces:list",
        DefaultPolicy.READER, reply=INTERFACES),
    Route("GET", "/servers/{server_id}/os-interface/{port_id}", show_interface,
        "os_compute_api:os-attach-interfaces:show", DefaultPolicy.READER, reply=ONE_INTERFACE),
    Route("GET", "/servers/{server_id}/os-security-groups", list_security_groups,
        "os_compute_api:os-security-groups:list", DefaultPolicy.READER, reply=SECURITY_GROUPS),
)  # fmt: skip
