# SPDX-License-Identifier: Apache-2.0
"""The handlers of Network v2.0.  Networks are shared; ports and security groups belong to projects."""

from typing import Any

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Handler, Route
from kilonova.api.http.views import EmptyList, Member, View, many, one
from kilonova.api.network import inventory, view
from kilonova.api.network.listing import ARGUMENTS, Entries, listed, listing, shown, single
from kilonova.base.errors import NotFound

NO_QUERY: frozenset[str] = frozenset()

# Without the extension of availability zones: clients would list each zone of Compute twice.
_EXTENSIONS = {
    "net-mtu": "Network MTU",
    "port-security": "Port Security",
    "security-group": "security-group",
}


async def list_networks(call: Call) -> Reply:
    """List networks."""
    return listed(call, _NETWORKS, await _networks(call))


async def show_network(call: Call) -> Reply:
    """Show a network."""
    return shown(call, _NETWORK, "Network", await _networks(call))


async def list_subnets(call: Call) -> Reply:
    """List subnets."""
    return listed(call, _SUBNETS, await _subnets(call))


async def show_subnet(call: Call) -> Reply:
    """Show a subnet."""
    return shown(call, _SUBNET, "Subnet", await _subnets(call))


async def list_ports(call: Call) -> Reply:
    """List the ports of the project's servers.  Administrators see all ports."""
    devices = frozenset(call.query.all("device_id"))
    return listed(call, _PORTS, await _ports(call, devices or None))


async def show_port(call: Call) -> Reply:
    """Show a port."""
    return shown(call, _PORT, "Port", await _ports(call, None))


async def list_security_groups(call: Call) -> Reply:
    """List security groups: the project's default one."""
    return listed(call, _GROUPS, _groups(call))


async def show_security_group(call: Call) -> Reply:
    """Show the project's security group."""
    return shown(call, _GROUP, "Security group", _groups(call))


async def list_rules(call: Call) -> Reply:
    """List the rules of the project's security group."""
    return listed(call, _RULES, _rules(call))


async def show_rule(call: Call) -> Reply:
    """Show a security group rule."""
    return shown(call, _RULE, "Security group rule", _rules(call))


async def list_extensions(call: Call) -> Reply:
    """List API extensions."""
    return _EXTENSIONS_REPLY.reply(_EXTENSIONS, call)


async def show_extension(call: Call) -> Reply:
    """Show an API extension."""
    alias = call.params["alias"]
    if alias not in _EXTENSIONS:
        raise NotFound(f"Extension with alias {alias[:64]} does not exist")
    return _EXTENSION_REPLY.reply(alias, call)


async def list_zones(call: Call) -> Reply:
    """List the availability zones of networks."""
    zones = {zone for found in await call.db.read(inventory.networks) for zone in found.zones}
    return _ZONES.reply(sorted(zones), call)


async def list_floating_ips(call: Call) -> Reply:
    """List floating IPs: always empty.  A server's floating address exists only with the server."""
    return _FLOATING_IPS.reply([], call)


async def list_routers(call: Call) -> Reply:
    """List routers: always empty.  Each host routes its own networks."""
    return _ROUTERS.reply([], call)


async def _networks(call: Call) -> Entries:
    return [view.NETWORK.show(found, call) for found in await call.db.read(inventory.networks)]


async def _subnets(call: Call) -> Entries:
    found = await call.db.read(inventory.networks)
    return [view.SUBNET.show(subnet, call) for network in found for subnet in view.subnets_of(network)]


async def _ports(call: Call, devices: frozenset[str] | None) -> Entries:
    show = view.PORT.maker(call.version, admin=call.is_admin)
    return [show(port, call) for port in await call.db.read(inventory.ports, call.scope, devices)]


def _groups(call: Call) -> Entries:
    return [view.SECURITY_GROUP.show(call.context.project_id, call)]


def _rules(call: Call) -> Entries:
    return [view.SECURITY_GROUP_RULE.show(rule, call) for rule in view.rules_of(call.context.project_id)]


_NETWORKS, _NETWORK = listing("networks", view.NETWORK), single("network", view.NETWORK)
_SUBNETS, _SUBNET = listing("subnets", view.SUBNET), single("subnet", view.SUBNET)
_PORTS, _PORT = listing("ports", view.PORT), single("port", view.PORT)
_GROUPS, _GROUP = listing("security_groups", view.SECURITY_GROUP), single("security_group", view.SECURITY_GROUP)
_RULES = listing("security_group_rules", view.SECURITY_GROUP_RULE)
_RULE = single("security_group_rule", view.SECURITY_GROUP_RULE)
_EXTENSION = View[str, Call](
    "NetworkExtension",
    Member("alias", str, lambda alias, _: alias),
    Member("name", str, lambda alias, _: _EXTENSIONS[alias]),
    Member("description", str, lambda alias, _: _EXTENSIONS[alias]),
    Member("updated", str, lambda _, __: "2016-01-01T00:00:00-00:00"),
    Member("links", EmptyList, lambda _, __: []),
)
_EXTENSIONS_REPLY, _EXTENSION_REPLY = many("extensions", _EXTENSION), one("extension", _EXTENSION)
_ZONE = View[str, Call](
    "NetworkZone",
    Member("name", str, lambda zone, _: zone),
    Member("resource", str, lambda _, __: "network"),
    Member("state", str, lambda _, __: "available"),
)
_ZONES = many("availability_zones", _ZONE)
_FLOATING_IPS = View[list[str], Call]("", Member("floatingips", EmptyList, lambda found, _: found))
_ROUTERS = View[list[str], Call]("", Member("routers", EmptyList, lambda found, _: found))


def _route(path: str, handler: Handler, rule: str, reply: View[Any, Any], query: frozenset[str] = NO_QUERY) -> Route:
    return Route("GET", path, handler, rule, DefaultPolicy.READER, reply=reply, query=query)


ROUTES = (
    _route("/networks", list_networks, "get_network", _NETWORKS, ARGUMENTS),
    _route("/networks/{id}", show_network, "get_network", _NETWORK),
    _route("/subnets", list_subnets, "get_subnet", _SUBNETS, ARGUMENTS),
    _route("/subnets/{id}", show_subnet, "get_subnet", _SUBNET),
    _route("/ports", list_ports, "get_port", _PORTS, ARGUMENTS),
    _route("/ports/{id}", show_port, "get_port", _PORT),
    _route("/security-groups", list_security_groups, "get_security_group", _GROUPS, ARGUMENTS),
    _route("/security-groups/{id}", show_security_group, "get_security_group", _GROUP),
    _route("/security-group-rules", list_rules, "get_security_group_rule", _RULES, ARGUMENTS),
    _route("/security-group-rules/{id}", show_rule, "get_security_group_rule", _RULE),
    _route("/availability_zones", list_zones, "get_availability_zone", _ZONES),
    _route("/extensions", list_extensions, "get_extension", _EXTENSIONS_REPLY),
    _route("/extensions/{alias}", show_extension, "get_extension", _EXTENSION_REPLY),
    _route("/floatingips", list_floating_ips, "get_floatingip", _FLOATING_IPS),
    _route("/routers", list_routers, "get_router", _ROUTERS),
)
