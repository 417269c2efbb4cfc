# SPDX-License-Identifier: Apache-2.0
"""The handlers of Network v2.0.  Networks are shared; ports and security groups belong to projects."""

from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.network import inventory, view
from kilonova.api.network.listing import listed, shown
from kilonova.base.errors import NotFound

# Without the extension of availability zones: clients would list each zone of Compute twice.
_EXTENSIONS = {
    "net-mtu": "Network MTU",
    "port-security": "Port Security",
    "security-group": "security-group",
}


async def list_networks(call: Call) -> Reply:
    """List networks."""
    return listed(call, "networks", await _networks(call))


async def show_network(call: Call) -> Reply:
    """Show a network."""
    return shown(call, "network", "Network", await _networks(call))


async def list_subnets(call: Call) -> Reply:
    """List subnets."""
    return listed(call, "subnets", await _subnets(call))


async def show_subnet(call: Call) -> Reply:
    """Show a subnet."""
    return shown(call, "subnet", "Subnet", await _subnets(call))


async def list_ports(call: Call) -> Reply:
    """List the ports of the project's servers.  Administrators see all ports."""
    devices = frozenset(call.query.all("device_id"))
    return listed(call, "ports", await _ports(call, devices or None))


async def show_port(call: Call) -> Reply:
    """Show a port."""
    return shown(call, "port", "Port", await _ports(call, None))


async def list_security_groups(call: Call) -> Reply:
    """List security groups: the project's default one."""
    return listed(call, "security_groups", [view.security_group(call.context.project_id)])


async def show_security_group(call: Call) -> Reply:
    """Show the project's security group."""
    return shown(call, "security_group", "Security group", [view.security_group(call.context.project_id)])


async def list_rules(call: Call) -> Reply:
    """List the rules of the project's security group."""
    return listed(call, "security_group_rules", view.security_group_rules(call.context.project_id))


async def show_rule(call: Call) -> Reply:
    """Show a security group rule."""
    rules = view.security_group_rules(call.context.project_id)
    return shown(call, "security_group_rule", "Security group rule", rules)


async def list_extensions(call: Call) -> Reply:
    """List API extensions."""
    return json_reply({"extensions": [_extension(alias) for alias in _EXTENSIONS]})


async def show_extension(call: Call) -> Reply:
    """Show an API extension."""
    alias = call.params["alias"]
    if alias not in _EXTENSIONS:
        raise NotFound(f"Extension with alias {alias[:64]} does not exist")
    return json_reply({"extension": _extension(alias)})


def _extension(alias: str) -> dict[str, Any]:
    name = _EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": name, "updated": "2016-01-01T00:00:00-00:00", "links": []}


async def list_zones(call: Call) -> Reply:
    """List the availability zones of networks."""
    zones = {zone for found in await call.db.read(inventory.networks) for zone in found.zones}
    return json_reply(
        {"availability_zones": [{"name": z, "resource": "network", "state": "available"} for z in sorted(zones)]}
    )


async def list_floating_ips(call: Call) -> Reply:
    """List floating IPs: always empty.  A server's floating address exists only with the server."""
    return json_reply({"floatingips": []})


async def list_routers(call: Call) -> Reply:
    """List routers: always empty.  Each host routes its own networks."""
    return json_reply({"routers": []})


async def _networks(call: Call) -> list[dict[str, Any]]:
    return [view.network(found) for found in await call.db.read(inventory.networks)]


async def _subnets(call: Call) -> list[dict[str, Any]]:
    return [subnet for found in await call.db.read(inventory.networks) for subnet in view.subnets(found)]


async def _ports(call: Call, devices: frozenset[str] | None) -> list[dict[str, Any]]:
    found = await call.db.read(inventory.ports, call.scope, devices)
    return [view.port(port, admin=call.context.is_admin) for port in found]
