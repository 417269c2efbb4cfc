# SPDX-License-Identifier: Apache-2.0
"""The routes of Network v2.0, with the names of Neutron's policies.  Nothing here is written."""

from kilonova.api.http.route import DefaultPolicy, Route, Service
from kilonova.api.network import quotas, resources
from kilonova.api.network.listing import ARGUMENTS
from kilonova.api.versions import network_v20

READER = DefaultPolicy.READER

ROUTES = (
    Route("GET", "", network_v20, "versions", DefaultPolicy.ANYBODY, note="{resources: [...]}"),
    Route("GET", "/networks", resources.list_networks, "get_network", READER,
        note="{networks: [...]}", query=ARGUMENTS),
    Route("GET", "/networks/{id}", resources.show_network, "get_network", READER, note="{network}"),
    Route("GET", "/subnets", resources.list_subnets, "get_subnet", READER, note="{subnets: [...]}", query=ARGUMENTS),
    Route("GET", "/subnets/{id}", resources.show_subnet, "get_subnet", READER, note="{subnet}"),
    Route("GET", "/ports", resources.list_ports, "get_port", READER, note="{ports: [...]}; own project's",
        query=ARGUMENTS),
    Route("GET", "/ports/{id}", resources.show_port, "get_port", READER, note="{port}"),
    Route("GET", "/security-groups", resources.list_security_groups, "get_security_group", READER,
        note="{security_groups: [default]}", query=ARGUMENTS),
    Route("GET", "/security-groups/{id}", resources.show_security_group, "get_security_group", READER,
        note="{security_group}"),
    Route("GET", "/security-group-rules", resources.list_rules, "get_security_group_rule", READER,
        note="{security_group_rules: [...]}", query=ARGUMENTS),
    Route("GET", "/security-group-rules/{id}", resources.show_rule, "get_security_group_rule", READER,
        note="{security_group_rule}"),
    Route("GET", "/availability_zones", resources.list_zones, "get_availability_zone", READER,
        note="{availability_zones: [...]}"),
    Route("GET", "/extensions", resources.list_extensions, "get_extension", READER, note="{extensions: [...]}"),
    Route("GET", "/extensions/{alias}", resources.show_extension, "get_extension", READER, note="{extension}"),
    Route("GET", "/floatingips", resources.list_floating_ips, "get_floatingip", READER, note="{floatingips: []}"),
    Route("GET", "/routers", resources.list_routers, "get_router", READER, note="{routers: []}"),
    Route("GET", "/quotas", quotas.list_quotas, "get_quota", READER, note="{quotas: []}"),
    Route("GET", "/quotas/{project_id}", quotas.show, "get_quota", READER, note="{quota}: all -1"),
    Route("GET", "/quotas/{project_id}/default", quotas.show, "get_quota", READER, note="{quota}: all -1"),
    Route("GET", "/quotas/{project_id}/details", quotas.show_details, "get_quota", READER,
        note="{quota}, each with limit, used, reserved"),
    Route("DELETE", "/quotas/{project_id}", quotas.delete, "delete_quota", DefaultPolicy.ADMIN, 204),
)  # fmt: skip

SERVICE = Service("/network/v2.0", ROUTES, network=True)
