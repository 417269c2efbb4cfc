# SPDX-License-Identifier: Apache-2.0
"""The routes of Compute v2.1, with the names of Nova's policies."""

from kilonova.api.compute import (
    flavors,
    hypervisors,
    instance_actions,
    keypairs,
    limits,
    remote_consoles,
    server_create,
    server_list,
    server_metadata,
    server_networks,
    server_tags,
    servers,
    services,
    zones,
)
from kilonova.api.compute.actions import table
from kilonova.api.compute.server_models import CreateServer, UpdateServer
from kilonova.api.microversion import MIN, v2
from kilonova.api.route import Role, Row, Service
from kilonova.api.versions import compute_v21

ANYBODY, READER, MEMBER, ADMIN = Role.ANYBODY, Role.READER, Role.MEMBER, Role.ADMIN
STRICT = v2(75)
"""From here on, query arguments that are not known are refused."""

P = "os_compute_api:"
NO_QUERY: frozenset[str] = frozenset()

SERVERS = (
    Row("GET", "/servers", server_list.list_brief, P + "servers:index", READER,
        reply="{servers: [{id, name, links}]}", query=server_list.ARGUMENTS, strict=STRICT),
    Row("GET", "/servers/detail", server_list.list_detail, P + "servers:detail", READER,
        reply="{servers: [...]}", query=server_list.ARGUMENTS, strict=STRICT),
    Row("POST", "/servers", server_create.create, P + "servers:create", MEMBER, 202,
        reply="{server} and Location, or {reservation_id}", body=CreateServer),
    Row("GET", "/servers/{server_id}", servers.show, P + "servers:show", READER, reply="{server}"),
    Row("PUT", "/servers/{server_id}", servers.update, P + "servers:update", MEMBER,
        reply="{server}; the short form below 2.75", body=UpdateServer),
    Row("DELETE", "/servers/{server_id}", servers.delete, P + "servers:delete", MEMBER, 204),
    Row("POST", "/servers/{server_id}/action", table.act, P + "servers:action", READER, 202,
        reply="by the action; each has a role of its own", whole=True, actions=table.ACTIONS),
    Row("POST", "/servers/{server_id}/remote-consoles", remote_consoles.create, P + "os-remote-consoles", MEMBER,
        reply="{remote_console: {protocol, type, url}}", body=remote_consoles.CreateRemoteConsole, min=v2(6)),
    Row("GET", "/servers/{server_id}/metadata", server_metadata.list_metadata, P + "server-metadata:index", READER,
        reply="{metadata}"),
    Row("POST", "/servers/{server_id}/metadata", server_metadata.merge_metadata, P + "server-metadata:create", MEMBER,
        reply="{metadata}", body=server_metadata.AllMetadata),
    Row("PUT", "/servers/{server_id}/metadata", server_metadata.replace_metadata, P + "server-metadata:update_all",
        MEMBER, reply="{metadata}", body=server_metadata.AllMetadata),
    Row("GET", "/servers/{server_id}/metadata/{key}", server_metadata.show_metadata, P + "server-metadata:show",
        READER, reply="{meta}"),
    Row("PUT", "/servers/{server_id}/metadata/{key}", server_metadata.set_metadata, P + "server-metadata:update",
        MEMBER, reply="{meta}", body=server_metadata.OneMetadata),
    Row("DELETE", "/servers/{server_id}/metadata/{key}", server_metadata.delete_metadata,
        P + "server-metadata:delete", MEMBER, 204),
    Row("GET", "/servers/{server_id}/tags", server_tags.list_tags, P + "os-server-tags:index", READER,
        reply="{tags}", min=v2(26)),
    Row("PUT", "/servers/{server_id}/tags", server_tags.replace_tags, P + "os-server-tags:update_all", MEMBER,
        reply="{tags}", body=server_tags.Tags, min=v2(26)),
    Row("DELETE", "/servers/{server_id}/tags", server_tags.delete_tags, P + "os-server-tags:delete_all", MEMBER, 204,
        min=v2(26)),
    Row("GET", "/servers/{server_id}/tags/{tag}", server_tags.has_tag, P + "os-server-tags:show", READER, 204,
        min=v2(26)),
    Row("PUT", "/servers/{server_id}/tags/{tag}", server_tags.add_tag, P + "os-server-tags:update", MEMBER, 201,
        reply="201 and Location, or 204 when it has it", also=(204,), min=v2(26)),
    Row("DELETE", "/servers/{server_id}/tags/{tag}", server_tags.delete_tag, P + "os-server-tags:delete", MEMBER, 204,
        min=v2(26)),
    Row("GET", "/servers/{server_id}/ips", server_networks.list_ips, P + "ips:index", READER, reply="{addresses}"),
    Row("GET", "/servers/{server_id}/ips/{network}", server_networks.show_ips, P + "ips:show", READER,
        reply="{network: [...]}"),
    Row("GET", "/servers/{server_id}/os-interface", server_networks.list_interfaces,
        P + "os-attach-interfaces:list", READER, reply="{interfaceAttachments: [...]}"),
    Row("GET", "/servers/{server_id}/os-interface/{port_id}", server_networks.show_interface,
        P + "os-attach-interfaces:show", READER, reply="{interfaceAttachment}"),
    Row("GET", "/servers/{server_id}/os-security-groups", server_networks.list_security_groups,
        P + "os-security-groups:list", READER, reply="{security_groups: [default]}"),
    Row("GET", "/servers/{server_id}/os-instance-actions", instance_actions.list_actions,
        P + "os-instance-actions:list", READER, reply="{instanceActions: [...]}",
        query=instance_actions.ARGUMENTS, strict=v2(58)),
    Row("GET", "/servers/{server_id}/os-instance-actions/{request_id}", instance_actions.show_action,
        P + "os-instance-actions:show", READER, reply="{instanceAction}; events from 2.51, before for admins"),
)  # fmt: skip

CATALOGUE = (
    Row("GET", "/flavors", flavors.list_brief, P + "flavors", READER,
        reply="{flavors: [...]}", query=flavors.ARGUMENTS, strict=STRICT),
    Row("GET", "/flavors/detail", flavors.list_detail, P + "flavors", READER,
        reply="{flavors: [...]}", query=flavors.ARGUMENTS, strict=STRICT),
    Row("POST", "/flavors", flavors.create, P + "os-flavor-manage:create", ADMIN,
        reply="{flavor}", body=flavors.CreateFlavor),
    Row("GET", "/flavors/{flavor_id}", flavors.show, P + "flavors", READER, reply="{flavor}"),
    Row("DELETE", "/flavors/{flavor_id}", flavors.delete, P + "os-flavor-manage:delete", ADMIN, 202),
    Row("GET", "/flavors/{flavor_id}/os-extra_specs", flavors.list_extra_specs,
        P + "os-flavor-extra-specs:index", READER, reply="{extra_specs}"),
    Row("GET", "/flavors/{flavor_id}/os-extra_specs/{key}", flavors.show_extra_spec,
        P + "os-flavor-extra-specs:show", READER, reply="{key: value}"),
    Row("GET", "/os-keypairs", keypairs.list_keypairs, P + "os-keypairs:index", READER,
        reply="{keypairs: [{keypair}]}", query=keypairs.ARGUMENTS, strict=STRICT),
    Row("POST", "/os-keypairs", keypairs.create, P + "os-keypairs:create", MEMBER, 201,
        reply="{keypair}; 200 at 2.1", also=(200,), body=keypairs.CreateKeypair),
    Row("GET", "/os-keypairs/{name}", keypairs.show, P + "os-keypairs:show", READER,
        reply="{keypair}", query=frozenset({"user_id"}), strict=STRICT),
    Row("DELETE", "/os-keypairs/{name}", keypairs.delete, P + "os-keypairs:delete", MEMBER, 204,
        reply="no body; 202 at 2.1", also=(202,), query=frozenset({"user_id"}), strict=STRICT),
)  # fmt: skip

HOSTS = (
    Row("GET", "/os-hypervisors", hypervisors.list_brief, P + "os-hypervisors:list", ADMIN,
        reply="{hypervisors: [...]}", query=hypervisors.ARGUMENTS, strict=v2(53)),
    Row("GET", "/os-hypervisors/detail", hypervisors.list_detail, P + "os-hypervisors:list-detail", ADMIN,
        reply="{hypervisors: [...]}", query=hypervisors.ARGUMENTS, strict=v2(53)),
    Row("GET", "/os-hypervisors/statistics", hypervisors.statistics, P + "os-hypervisors:statistics", ADMIN,
        reply="{hypervisor_statistics}", max=v2(87)),
    Row("GET", "/os-hypervisors/{hypervisor_id}", hypervisors.show, P + "os-hypervisors:show", ADMIN,
        reply="{hypervisor}", query=frozenset({"with_servers"}), strict=v2(53)),
    Row("GET", "/os-hypervisors/{hypervisor_id}/uptime", hypervisors.uptime, P + "os-hypervisors:uptime", ADMIN,
        reply="501: not known", max=v2(87)),
    Row("GET", "/os-hypervisors/{hypervisor_id}/search", hypervisors.search, P + "os-hypervisors:search", ADMIN,
        reply="{hypervisors: [...]}", max=v2(52)),
    Row("GET", "/os-hypervisors/{hypervisor_id}/servers", hypervisors.servers_of, P + "os-hypervisors:servers", ADMIN,
        reply="{hypervisors: [...]}", max=v2(52)),
    Row("GET", "/os-services", services.list_services, P + "os-services:list", ADMIN,
        reply="{services: [...]}", query=services.ARGUMENTS, strict=STRICT),
    Row("PUT", "/os-services/{service_id}", services.update, P + "os-services:update", ADMIN,
        reply="{service}", body=services.ServiceChanges, min=v2(53)),
    Row("PUT", "/os-services/enable", services.enable, P + "os-services:update", ADMIN,
        reply="{service}", body=services.ServiceByHost, max=v2(52)),
    Row("PUT", "/os-services/disable", services.disable, P + "os-services:update", ADMIN,
        reply="{service}", body=services.ServiceByHost, max=v2(52)),
    Row("PUT", "/os-services/disable-log-reason", services.disable_with_reason, P + "os-services:update", ADMIN,
        reply="{service}", body=services.ServiceByHost, max=v2(52)),
    Row("PUT", "/os-services/force-down", services.force_down, P + "os-services:update", ADMIN,
        reply="{service}", body=services.ServiceByHost, min=v2(11), max=v2(52)),
    Row("GET", "/os-availability-zone", zones.list_zones, P + "os-availability-zone:list", READER,
        reply="{availabilityZoneInfo: [...]}", query=NO_QUERY, strict=STRICT),
    Row("GET", "/os-availability-zone/detail", zones.list_zones_detail, P + "os-availability-zone:detail", ADMIN,
        reply="{availabilityZoneInfo: [...]}", query=NO_QUERY, strict=STRICT),
)  # fmt: skip

REST = (
    Row("GET", "", compute_v21, "versions", ANYBODY, reply="{version}", min=MIN),
    Row("GET", "/limits", limits.show_limits, P + "limits", READER,
        reply="{limits}", query=limits.ARGUMENTS, strict=STRICT),
    Row("GET", "/os-aggregates", limits.list_aggregates, P + "os-aggregates:index", ADMIN, reply="{aggregates: []}"),
    Row("GET", "/extensions", limits.list_extensions, P + "extensions", READER, reply="{extensions: []}"),
)  # fmt: skip

SERVICE = Service("/compute/v2.1", (*REST, *SERVERS, *CATALOGUE, *HOSTS), microversions=True)
