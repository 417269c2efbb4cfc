# SPDX-License-Identifier: Apache-2.0
"""The routes of Compute v2.1, with the names of Nova's policies."""

from kilonova.api.compute import (
    extensions,
)
from kilonova.api.compute.admin import (
    aggregates,
    audit_log,
    hypervisors,
    limits,
    quotas,
    server_groups,
    services,
    usage,
    zones,
)
from kilonova.api.compute.admin import os_hosts as old_hosts
from kilonova.api.compute.admin.quota_models import UpdateQuotaClassSet, UpdateQuotaSet
from kilonova.api.compute.catalog import extra_specs as flavor_extras
from kilonova.api.compute.catalog import flavors, image_proxy, keypairs
from kilonova.api.compute.fields import AllMetadata, OneMetadata
from kilonova.api.compute.servers import consoles as remote_consoles
from kilonova.api.compute.servers import create as server_create
from kilonova.api.compute.servers import diagnostics, migrations, volume_attachments
from kilonova.api.compute.servers import history as instance_actions
from kilonova.api.compute.servers import listing as server_list
from kilonova.api.compute.servers import metadata as server_metadata
from kilonova.api.compute.servers import networks as server_networks
from kilonova.api.compute.servers import password as server_password
from kilonova.api.compute.servers import resource as servers
from kilonova.api.compute.servers import tags as server_tags
from kilonova.api.compute.servers import topology as server_topology
from kilonova.api.compute.servers.actions import table
from kilonova.api.compute.servers.listing import STRICT
from kilonova.api.compute.servers.models import CreateServer, UpdateServer
from kilonova.api.http.microversion import MIN, v2
from kilonova.api.http.route import DefaultPolicy, Route, Service
from kilonova.api.image import images
from kilonova.api.versions import compute_v21

ANYBODY, READER, MEMBER, ADMIN = DefaultPolicy.ANYBODY, DefaultPolicy.READER, DefaultPolicy.MEMBER, DefaultPolicy.ADMIN
P = "os_compute_api:"
NO_QUERY: frozenset[str] = frozenset()

SERVERS = (
    Route("GET", "/servers", server_list.list_brief, P + "servers:index", READER,
        note="{servers: [{id, name, links}]}", query=server_list.ARGUMENTS, strict=STRICT),
    Route("GET", "/servers/detail", server_list.list_detail, P + "servers:detail", READER,
        note="{servers: [...]}", query=server_list.ARGUMENTS, strict=STRICT),
    Route("POST", "/servers", server_create.create, P + "servers:create", MEMBER, 202,
        note="{server} and Location, or {reservation_id}", body=CreateServer),
    Route("GET", "/servers/{server_id}", servers.show, P + "servers:show", READER, note="{server}"),
    Route("PUT", "/servers/{server_id}", servers.update, P + "servers:update", MEMBER,
        note="{server}; the short form below 2.75", body=UpdateServer),
    Route("DELETE", "/servers/{server_id}", servers.delete, P + "servers:delete", MEMBER, 204),
    Route("POST", "/servers/{server_id}/action", table.act, P + "servers:action", DefaultPolicy.TOKEN, 202,
        note="by the action; each has a role of its own", whole=True, actions=table.ACTIONS),
    Route("POST", "/servers/{server_id}/remote-consoles", remote_consoles.create, P + "os-remote-consoles", MEMBER,
        note="{remote_console: {protocol, type, url}}", body=remote_consoles.CreateRemoteConsole, min=v2(6)),
    Route("GET", "/servers/{server_id}/metadata", server_metadata.list_metadata, P + "server-metadata:index", READER,
        note="{metadata}"),
    Route("POST", "/servers/{server_id}/metadata", server_metadata.merge_metadata, P + "server-metadata:create", MEMBER,
        note="{metadata}", body=server_metadata.AllMetadata),
    Route("PUT", "/servers/{server_id}/metadata", server_metadata.replace_metadata, P + "server-metadata:update_all",
        MEMBER, note="{metadata}", body=server_metadata.AllMetadata),
    Route("GET", "/servers/{server_id}/metadata/{key}", server_metadata.show_metadata, P + "server-metadata:show",
        READER, note="{meta}"),
    Route("PUT", "/servers/{server_id}/metadata/{key}", server_metadata.set_metadata, P + "server-metadata:update",
        MEMBER, note="{meta}", body=server_metadata.OneMetadata),
    Route("DELETE", "/servers/{server_id}/metadata/{key}", server_metadata.delete_metadata,
        P + "server-metadata:delete", MEMBER, 204),
    Route("GET", "/servers/{server_id}/tags", server_tags.list_tags, P + "os-server-tags:index", READER,
        note="{tags}", min=v2(26)),
    Route("PUT", "/servers/{server_id}/tags", server_tags.replace_tags, P + "os-server-tags:update_all", MEMBER,
        note="{tags}", body=server_tags.Tags, min=v2(26)),
    Route("DELETE", "/servers/{server_id}/tags", server_tags.delete_tags, P + "os-server-tags:delete_all", MEMBER, 204,
        min=v2(26)),
    Route("GET", "/servers/{server_id}/tags/{tag}", server_tags.has_tag, P + "os-server-tags:show", READER, 204,
        min=v2(26)),
    Route("PUT", "/servers/{server_id}/tags/{tag}", server_tags.add_tag, P + "os-server-tags:update", MEMBER, 201,
        note="201 and Location, or 204 when it has it", also=(204,), min=v2(26)),
    Route("DELETE", "/servers/{server_id}/tags/{tag}", server_tags.delete_tag, P + "os-server-tags:delete", MEMBER, 204,
        min=v2(26)),
    Route("GET", "/servers/{server_id}/ips", server_networks.list_ips, P + "ips:index", READER, note="{addresses}"),
    Route("GET", "/servers/{server_id}/ips/{network}", server_networks.show_ips, P + "ips:show", READER,
        note="{network: [...]}"),
    Route("GET", "/servers/{server_id}/os-interface", server_networks.list_interfaces,
        P + "os-attach-interfaces:list", READER, note="{interfaceAttachments: [...]}"),
    Route("GET", "/servers/{server_id}/os-interface/{port_id}", server_networks.show_interface,
        P + "os-attach-interfaces:show", READER, note="{interfaceAttachment}"),
    Route("GET", "/servers/{server_id}/os-security-groups", server_networks.list_security_groups,
        P + "os-security-groups:list", READER, note="{security_groups: [default]}"),
    Route("GET", "/servers/{server_id}/os-volume_attachments", volume_attachments.list_attachments,
        P + "os-volumes-attachments:index", READER, note="{volumeAttachments: []}",
        query=volume_attachments.ARGUMENTS, strict=STRICT),
    Route("GET", "/servers/{server_id}/os-volume_attachments/{volume_id}", volume_attachments.show_attachment,
        P + "os-volumes-attachments:show", READER, note="404: no server has a volume"),
    Route("GET", "/servers/{server_id}/diagnostics", diagnostics.show, P + "os-server-diagnostics", ADMIN,
        note="what is measured of it; the hypervisor's own names before 2.48"),
    Route("GET", "/servers/{server_id}/os-server-password", server_password.show, P + "os-server-password:show", READER,
        note="{password}: empty"),
    Route("DELETE", "/servers/{server_id}/os-server-password", server_password.clear, P + "os-server-password:clear",
        MEMBER, 204),
    Route("GET", "/servers/{server_id}/migrations", migrations.list_of_server, P + "servers:migrations:index", ADMIN,
        note="{migrations: []}: live ones only", min=v2(23)),
    Route("GET", "/servers/{server_id}/migrations/{migration_id}", migrations.show_of_server,
        P + "servers:migrations:show", ADMIN, note="404: live ones only", min=v2(23)),
    Route("GET", "/servers/{server_id}/topology", server_topology.show_topology, "compute:server:topology:index",
        READER, note="{nodes: [], pagesize_kb: null}", min=v2(78)),
    Route("GET", "/servers/{server_id}/os-instance-actions", instance_actions.list_actions,
        P + "os-instance-actions:list", READER, note="{instanceActions: [...]}",
        query=instance_actions.ARGUMENTS, strict=v2(58)),
    Route("GET", "/servers/{server_id}/os-instance-actions/{request_id}", instance_actions.show_action,
        P + "os-instance-actions:show", READER, note="{instanceAction}; events from 2.51, before for admins"),
)  # fmt: skip

CATALOGUE = (
    Route("GET", "/flavors", flavors.list_brief, P + "flavors", READER,
        note="{flavors: [...]}", query=flavors.ARGUMENTS, strict=STRICT),
    Route("GET", "/flavors/detail", flavors.list_detail, P + "flavors", READER,
        note="{flavors: [...]}", query=flavors.ARGUMENTS, strict=STRICT),
    Route("POST", "/flavors", flavors.create, P + "os-flavor-manage:create", ADMIN,
        note="{flavor}", body=flavors.CreateFlavor),
    Route("GET", "/flavors/{flavor_id}", flavors.show, P + "flavors", READER, note="{flavor}"),
    Route("PUT", "/flavors/{flavor_id}", flavors.update, P + "os-flavor-manage:update", ADMIN,
        note="{flavor}", body=flavors.UpdateFlavor, min=v2(55)),
    Route("DELETE", "/flavors/{flavor_id}", flavors.delete, P + "os-flavor-manage:delete", ADMIN, 202),
    Route("GET", "/flavors/{flavor_id}/os-extra_specs", flavor_extras.list_specs,
        P + "os-flavor-extra-specs:index", READER, note="{extra_specs}"),
    Route("POST", "/flavors/{flavor_id}/os-extra_specs", flavor_extras.add_specs,
        P + "os-flavor-extra-specs:create", ADMIN, note="{extra_specs}", body=flavor_extras.ExtraSpecs),
    Route("GET", "/flavors/{flavor_id}/os-extra_specs/{key}", flavor_extras.show_spec,
        P + "os-flavor-extra-specs:show", READER, note="{key: value}"),
    Route("PUT", "/flavors/{flavor_id}/os-extra_specs/{key}", flavor_extras.set_spec,
        P + "os-flavor-extra-specs:update", ADMIN, note="{key: value}", body=flavor_extras.OneSpec),
    Route("DELETE", "/flavors/{flavor_id}/os-extra_specs/{key}", flavor_extras.delete_spec,
        P + "os-flavor-extra-specs:delete", ADMIN),
    Route("GET", "/flavors/{flavor_id}/os-flavor-access", flavor_extras.list_access, P + "os-flavor-access", ADMIN,
        note="{flavor_access: [{flavor_id, tenant_id}]}; 404 for a public flavor"),
    Route("POST", "/flavors/{flavor_id}/action", flavor_extras.change_access, P + "os-flavor-access:action",
        DefaultPolicy.TOKEN, note="{flavor_access: [...]}", whole=True, actions=flavor_extras.ACTIONS),
    Route("GET", "/os-keypairs", keypairs.list_keypairs, P + "os-keypairs:index", READER,
        note="{keypairs: [{keypair}]}", query=keypairs.ARGUMENTS, strict=STRICT),
    Route("POST", "/os-keypairs", keypairs.create, P + "os-keypairs:create", MEMBER, 201,
        note="{keypair}; 200 at 2.1", also=(200,), body=keypairs.CreateKeypair),
    Route("GET", "/os-keypairs/{name}", keypairs.show, P + "os-keypairs:show", READER,
        note="{keypair}", query=frozenset({"user_id"}), strict=STRICT),
    Route("DELETE", "/os-keypairs/{name}", keypairs.delete, P + "os-keypairs:delete", MEMBER, 204,
        note="no body; 202 at 2.1", also=(202,), query=frozenset({"user_id"}), strict=STRICT),
)  # fmt: skip

IMAGES = (
    Route("GET", "/images", image_proxy.list_brief, P + "images:index", READER, note="{images: [{id, name, links}]}",
        max=v2(35)),
    Route("GET", "/images/detail", image_proxy.list_detail, P + "images:detail", READER, note="{images: [...]}",
        max=v2(35)),
    Route("GET", "/images/{image_id}", image_proxy.show, P + "images:show", READER, note="{image}", max=v2(35)),
    Route("DELETE", "/images/{image_id}", images.delete, P + "images:delete", MEMBER, 204, max=v2(35)),
    Route("GET", "/images/{image_id}/metadata", image_proxy.list_metadata, P + "image-metadata:index", READER,
        note="{metadata}", max=v2(38)),
    Route("POST", "/images/{image_id}/metadata", image_proxy.merge_metadata, P + "image-metadata:create", MEMBER,
        note="{metadata}", body=AllMetadata, max=v2(38)),
    Route("PUT", "/images/{image_id}/metadata", image_proxy.replace_metadata, P + "image-metadata:update_all", MEMBER,
        note="{metadata}", body=AllMetadata, max=v2(38)),
    Route("GET", "/images/{image_id}/metadata/{key}", image_proxy.show_metadata, P + "image-metadata:show", READER,
        note="{meta}", max=v2(38)),
    Route("PUT", "/images/{image_id}/metadata/{key}", image_proxy.set_metadata, P + "image-metadata:update", MEMBER,
        note="{meta}", body=OneMetadata, max=v2(38)),
    Route("DELETE", "/images/{image_id}/metadata/{key}", image_proxy.delete_metadata, P + "image-metadata:delete",
        MEMBER, 204, max=v2(38)),
)  # fmt: skip

GROUPS = (
    Route("GET", "/os-server-groups", server_groups.list_groups, P + "os-server-groups:index", READER,
        note="{server_groups: [...]}", query=server_groups.ARGUMENTS, strict=STRICT),
    Route("POST", "/os-server-groups", server_groups.create, P + "os-server-groups:create", MEMBER,
        note="{server_group}", body=server_groups.CreateServerGroup, min=server_groups.ONE_POLICY),
    Route("POST", "/os-server-groups", server_groups.create_old, P + "os-server-groups:create", MEMBER,
        note="{server_group}", body=server_groups.CreateOldServerGroup, max=v2(63)),
    Route("GET", "/os-server-groups/{group_id}", server_groups.show, P + "os-server-groups:show", READER,
        note="{server_group}"),
    Route("DELETE", "/os-server-groups/{group_id}", server_groups.delete, P + "os-server-groups:delete", MEMBER, 204),
)  # fmt: skip

HOSTS = (
    Route("GET", "/os-hypervisors", hypervisors.list_brief, P + "os-hypervisors:list", ADMIN,
        note="{hypervisors: [...]}", query=hypervisors.ARGUMENTS, strict=v2(53)),
    Route("GET", "/os-hypervisors/detail", hypervisors.list_detail, P + "os-hypervisors:list-detail", ADMIN,
        note="{hypervisors: [...]}", query=hypervisors.ARGUMENTS, strict=v2(53)),
    Route("GET", "/os-hypervisors/statistics", hypervisors.statistics, P + "os-hypervisors:statistics", ADMIN,
        note="{hypervisor_statistics}", max=v2(87)),
    Route("GET", "/os-hypervisors/{hypervisor_id}", hypervisors.show, P + "os-hypervisors:show", ADMIN,
        note="{hypervisor}", query=frozenset({"with_servers"}), strict=v2(53)),
    Route("GET", "/os-hypervisors/{hypervisor_id}/uptime", hypervisors.uptime, P + "os-hypervisors:uptime", ADMIN,
        note="{hypervisor}", max=v2(87)),
    Route("GET", "/os-hypervisors/{hypervisor_id}/search", hypervisors.search, P + "os-hypervisors:search", ADMIN,
        note="{hypervisors: [...]}", max=v2(52)),
    Route("GET", "/os-hypervisors/{hypervisor_id}/servers", hypervisors.servers_of, P + "os-hypervisors:servers", ADMIN,
        note="{hypervisors: [...]}", max=v2(52)),
    Route("GET", "/os-migrations", migrations.list_migrations, P + "os-migrations:index", ADMIN,
        note="{migrations: [...]}", query=migrations.ARGUMENTS, strict=migrations.PAGED),
    Route("GET", "/os-services", services.list_services, P + "os-services:list", ADMIN,
        note="{services: [...]}", query=services.ARGUMENTS, strict=STRICT),
    Route("PUT", "/os-services/{service_id}", services.update, P + "os-services:update", ADMIN,
        note="{service}", body=services.ServiceChanges, min=v2(53)),
    Route("DELETE", "/os-services/{service_id}", services.delete, P + "os-services:delete", ADMIN, 204),
    Route("PUT", "/os-services/enable", services.enable, P + "os-services:update", ADMIN,
        note="{service}", body=services.ServiceByHost, max=v2(52)),
    Route("PUT", "/os-services/disable", services.disable, P + "os-services:update", ADMIN,
        note="{service}", body=services.ServiceByHost, max=v2(52)),
    Route("PUT", "/os-services/disable-log-reason", services.disable_with_reason, P + "os-services:update", ADMIN,
        note="{service}", body=services.ServiceByHost, max=v2(52)),
    Route("PUT", "/os-services/force-down", services.force_down, P + "os-services:update", ADMIN,
        note="{service}", body=services.ServiceByHost, min=v2(11), max=v2(52)),
    Route("PUT", "/os-services/{service_id}", services.no_such_word, P + "os-services:update", ADMIN,
        note="404: any other word", max=v2(52)),
    Route("GET", "/os-hosts", old_hosts.list_hosts, P + "os-hosts:list", ADMIN, note="{hosts: [...]}",
        query=frozenset({"zone"}), max=v2(42)),
    Route("GET", "/os-hosts/{host}", old_hosts.show, P + "os-hosts:show", ADMIN, note="{host: [{resource}]}",
        max=v2(42)),
    Route("PUT", "/os-hosts/{host}", old_hosts.update, P + "os-hosts:update", ADMIN, note="{host, status}",
        body=old_hosts.HostChanges, max=v2(42)),
    Route("GET", "/os-hosts/{host}/startup", old_hosts.power, P + "os-hosts:start", ADMIN, note="501", max=v2(42)),
    Route("GET", "/os-hosts/{host}/shutdown", old_hosts.power, P + "os-hosts:shutdown", ADMIN, note="501", max=v2(42)),
    Route("GET", "/os-hosts/{host}/reboot", old_hosts.power, P + "os-hosts:reboot", ADMIN, note="501", max=v2(42)),
    Route("GET", "/os-instance_usage_audit_log", audit_log.show_last, P + "os-instance-usage-audit-log:list", ADMIN,
        note="{instance_usage_audit_logs}: of no host"),
    Route("GET", "/os-instance_usage_audit_log/{before}", audit_log.show_before, P + "os-instance-usage-audit-log:show",
        ADMIN, note="{instance_usage_audit_log}: of no host"),
    Route("GET", "/os-availability-zone", zones.list_zones, P + "os-availability-zone:list", READER,
        note="{availabilityZoneInfo: [...]}", query=NO_QUERY, strict=STRICT),
    Route("GET", "/os-availability-zone/detail", zones.list_zones_detail, P + "os-availability-zone:detail", ADMIN,
        note="{availabilityZoneInfo: [...]}", query=NO_QUERY, strict=STRICT),
)  # fmt: skip

AGGREGATES = (
    Route("GET", "/os-aggregates", aggregates.list_all, P + "os-aggregates:index", ADMIN, note="{aggregates: [...]}"),
    Route("POST", "/os-aggregates", aggregates.create, P + "os-aggregates:create", ADMIN,
        note="{aggregate}, without hosts and metadata", body=aggregates.CreateAggregate),
    Route("GET", "/os-aggregates/{aggregate_id}", aggregates.show, P + "os-aggregates:show", ADMIN, note="{aggregate}"),
    Route("PUT", "/os-aggregates/{aggregate_id}", aggregates.update, P + "os-aggregates:update", ADMIN,
        note="{aggregate}", body=aggregates.UpdateAggregate),
    Route("DELETE", "/os-aggregates/{aggregate_id}", aggregates.delete, P + "os-aggregates:delete", ADMIN),
    Route("POST", "/os-aggregates/{aggregate_id}/action", aggregates.act, P + "os-aggregates:action",
        DefaultPolicy.TOKEN, note="{aggregate}", whole=True, actions=aggregates.ACTIONS),
    Route("POST", "/os-aggregates/{aggregate_id}/images", aggregates.cache_images, "compute:aggregates:images", ADMIN,
        202, body=aggregates.CacheImages, min=v2(81)),
)  # fmt: skip

REST = (
    Route("GET", "", compute_v21, "versions", ANYBODY, note="{version}", min=MIN),
    Route("GET", "/limits", limits.show_limits, P + "limits", READER,
        note="{limits}", query=limits.ARGUMENTS, strict=STRICT),
    Route("GET", "/os-quota-sets/{project_id}", quotas.show, P + "os-quota-sets:show", READER,
        note="{quota_set}", query=quotas.ARGUMENTS, strict=STRICT),
    Route("GET", "/os-quota-sets/{project_id}/defaults", quotas.show_defaults, P + "os-quota-sets:defaults", READER,
        note="{quota_set}", query=quotas.ARGUMENTS, strict=STRICT),
    Route("GET", "/os-quota-sets/{project_id}/detail", quotas.show_detail, P + "os-quota-sets:detail", READER,
        note="{quota_set}, each with limit, in_use, reserved", query=quotas.ARGUMENTS, strict=STRICT),
    Route("PUT", "/os-quota-sets/{project_id}", quotas.update, P + "os-quota-sets:update", ADMIN,
        note="{quota_set}", body=UpdateQuotaSet, query=quotas.ARGUMENTS, strict=STRICT),
    Route("DELETE", "/os-quota-sets/{project_id}", quotas.delete, P + "os-quota-sets:delete", ADMIN, 202,
        query=quotas.ARGUMENTS, strict=STRICT),
    Route("GET", "/os-quota-class-sets/{class_id}", quotas.show_class, P + "os-quota-class-sets:show", ADMIN,
        note="{quota_class_set}", query=NO_QUERY, strict=STRICT),
    Route("PUT", "/os-quota-class-sets/{class_id}", quotas.update_class, P + "os-quota-class-sets:update", ADMIN,
        note="{quota_class_set}", body=UpdateQuotaClassSet, query=NO_QUERY, strict=STRICT),
    Route("GET", "/os-simple-tenant-usage", usage.list_usages, P + "os-simple-tenant-usage:list", ADMIN,
        note="{tenant_usages: [...]}", query=usage.ARGUMENTS, strict=STRICT),
    Route("GET", "/os-simple-tenant-usage/{project_id}", usage.show_usage, P + "os-simple-tenant-usage:show", READER,
        note="{tenant_usage}; {} if there was none", query=usage.ARGUMENTS, strict=STRICT),
    Route("GET", "/extensions", extensions.list_extensions, P + "extensions", READER, note="{extensions: [...]}"),
    Route("GET", "/extensions/{alias}", extensions.show, P + "extensions", READER, note="{extension}"),
)  # fmt: skip

SERVICE = Service(
    "/compute/v2.1", (*REST, *SERVERS, *CATALOGUE, *IMAGES, *GROUPS, *HOSTS, *AGGREGATES), microversions=True
)
