# SPDX-License-Identifier: Apache-2.0
"""The routes of Network v2.0, with the names of Neutron's policies.  Nothing here is written."""

from kilonova.api.http.route import Role, Row, Service
from kilonova.api.network import quotas, resources
from kilonova.api.network.listing import ARGUMENTS
from kilonova.api.versions import network_v20

READER = Role.READER

ROWS = (
    Row("GET", "", network_v20, "versions", Role.ANYBODY, reply="{resources: [...]}"),
    Row("GET", "/networks", resources.list_networks, "get_network", READER, reply="{networks: [...]}", query=ARGUMENTS),
    Row("GET", "/networks/{id}", resources.show_network, "get_network", READER, reply="{network}"),
    Row("GET", "/subnets", resources.list_subnets, "get_subnet", READER, reply="{subnets: [...]}", query=ARGUMENTS),
    Row("GET", "/subnets/{id}", resources.show_subnet, "get_subnet", READER, reply="{subnet}"),
    Row("GET", "/ports", resources.list_ports, "get_port", READER, reply="{ports: [...]}; own project's",
        query=ARGUMENTS),
    Row("GET", "/ports/{id}", resources.show_port, "get_port", READER, reply="{port}"),
    Row("GET", "/security-groups", resources.list_security_groups, "get_security_group", READER,
        reply="{security_groups: [default]}", query=ARGUMENTS),
    Row("GET", "/security-groups/{id}", resources.show_security_group, "get_security_group", READER,
        reply="{security_group}"),
    Row("GET", "/security-group-rules", resources.list_rules, "get_security_group_rule", READER,
        reply="{security_group_rules: [...]}", query=ARGUMENTS),
    Row("GET", "/security-group-rules/{id}", resources.show_rule, "get_security_group_rule", READER,
        reply="{security_group_rule}"),
    Row("GET", "/availability_zones", resources.list_zones, "get_availability_zone", READER,
        reply="{availability_zones: [...]}"),
    Row("GET", "/extensions", resources.list_extensions, "get_extension", READER, reply="{extensions: [...]}"),
    Row("GET", "/extensions/{alias}", resources.show_extension, "get_extension", READER, reply="{extension}"),
    Row("GET", "/floatingips", resources.list_floating_ips, "get_floatingip", READER, reply="{floatingips: []}"),
    Row("GET", "/routers", resources.list_routers, "get_router", READER, reply="{routers: []}"),
    Row("GET", "/quotas", quotas.list_quotas, "get_quota", READER, reply="{quotas: []}"),
    Row("GET", "/quotas/{project_id}", quotas.show, "get_quota", READER, reply="{quota}: all -1"),
    Row("GET", "/quotas/{project_id}/default", quotas.show, "get_quota", READER, reply="{quota}: all -1"),
    Row("GET", "/quotas/{project_id}/details", quotas.show_details, "get_quota", READER,
        reply="{quota}, each with limit, used, reserved"),
    Row("DELETE", "/quotas/{project_id}", quotas.delete, "delete_quota", Role.ADMIN, 204),
)  # fmt: skip

SERVICE = Service("/network/v2.0", ROWS, network=True)
