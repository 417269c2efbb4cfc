# SPDX-License-Identifier: Apache-2.0
"""The handlers of Network v2.0.  Networks are everybody's; ports and groups are a project's own."""

from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.network import inventory as facts
from kilonova.api.network import view
from kilonova.api.network.listing import listed, shown
from kilonova.base.errors import NotFound

# Not the one of availability zones: clients would list each zone of Compute again, and could choose none for a network.
_EXTENSIONS = {
    "net-mtu": "Network MTU",
    "port-security": "Port Security",
    "security-group": "security-group",
}


async def list_networks(call: Call) -> Reply:
    """GET /networks."""
    return listed(call, "networks", await _networks(call))


async def show_network(call: Call) -> Reply:
    """GET /networks/{id}."""
    return shown(call, "network", "Network", await _networks(call))


async def list_subnets(call: Call) -> Reply:
    """GET /subnets."""
    return listed(call, "subnets", await _subnets(call))


async def show_subnet(call: Call) -> Reply:
    """GET /subnets/{id}."""
    return shown(call, "subnet", "Subnet", await _subnets(call))


async def list_ports(call: Call) -> Reply:
    """GET /ports."""
    devices = frozenset(call.query.all("device_id"))
    return listed(call, "ports", await _ports(call, devices or None))


async def show_port(call: Call) -> Reply:
    """GET /ports/{id}."""
    return shown(call, "port", "Port", await _ports(call, None))


async def list_security_groups(call: Call) -> Reply:
    """GET /security-groups: the caller's project has one."""
    return listed(call, "security_groups", [view.security_group(call.context.project_id)])


async def show_security_group(call: Call) -> Reply:
    """GET /security-groups/{id}."""
    return shown(call, "security_group", "Security group", [view.security_group(call.context.project_id)])


async def list_rules(call: Call) -> Reply:
    """GET /security-group-rules."""
    return listed(call, "security_group_rules", view.security_group_rules(call.context.project_id))


async def show_rule(call: Call) -> Reply:
    """GET /security-group-rules/{id}."""
    rules = view.security_group_rules(call.context.project_id)
    return shown(call, "security_group_rule", "Security group rule", rules)


async def list_extensions(call: Call) -> Reply:
    """GET /extensions."""
    return json_reply({"extensions": [_extension(alias) for alias in _EXTENSIONS]})


async def show_extension(call: Call) -> Reply:
    """GET /extensions/{alias}."""
    alias = call.params["alias"]
    if alias not in _EXTENSIONS:
        raise NotFound(f"Extension with alias {alias[:64]} does not exist")
    return json_reply({"extension": _extension(alias)})


def _extension(alias: str) -> dict[str, Any]:
    name = _EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": name, "updated": "2016-01-01T00:00:00-00:00", "links": []}


async def list_zones(call: Call) -> Reply:
    """GET /availability_zones."""
    zones = {zone for found in await call.db.read(facts.networks) for zone in found.zones}
    return json_reply(
        {"availability_zones": [{"name": z, "resource": "network", "state": "available"} for z in sorted(zones)]}
    )


async def list_floating_ips(call: Call) -> Reply:
    """GET /floatingips: what servers show as floating comes and goes with them; there is nothing to hold or move."""
    return json_reply({"floatingips": []})


async def list_routers(call: Call) -> Reply:
    """GET /routers: what leads out of a network is its host's own."""
    return json_reply({"routers": []})


async def _networks(call: Call) -> list[dict[str, Any]]:
    return [view.network(found) for found in await call.db.read(facts.networks)]


async def _subnets(call: Call) -> list[dict[str, Any]]:
    return [subnet for found in await call.db.read(facts.networks) for subnet in view.subnets(found)]


async def _ports(call: Call, devices: frozenset[str] | None) -> list[dict[str, Any]]:
    found = await call.db.read(facts.ports, call.scope, devices)
    return [view.port(port, admin=call.context.is_admin) for port in found]
