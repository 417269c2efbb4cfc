# SPDX-License-Identifier: Apache-2.0
"""All routes of Compute v2.1.  Each module of a resource declares its own, with the names of Nova's policies."""

from kilonova.api.compute import extensions
from kilonova.api.compute.admin import (
    aggregates,
    audit_log,
    hypervisors,
    limits,
    os_hosts,
    quotas,
    server_groups,
    services,
    usage,
    verify,
    zones,
)
from kilonova.api.compute.catalog import extra_specs, flavors, image_proxy, keypairs
from kilonova.api.compute.servers import (
    cancel,
    consoles,
    create,
    diagnostics,
    history,
    listing,
    metadata,
    migrations,
    networks,
    password,
    placement,
    resource,
    tags,
    topology,
    volume_attachments,
)
from kilonova.api.compute.servers.actions import table
from kilonova.api.http.route import Service
from kilonova.api.versions import COMPUTE_ROUTE

SERVERS = (
    *listing.ROUTES,
    *create.ROUTES,
    *resource.ROUTES,
    *table.ROUTES,
    *consoles.ROUTES,
    *metadata.ROUTES,
    *tags.ROUTES,
    *networks.ROUTES,
    *volume_attachments.ROUTES,
    *diagnostics.ROUTES,
    *password.ROUTES,
    *migrations.ROUTES,
    *topology.ROUTES,
    *history.ROUTES,
    *placement.ROUTES,
    *cancel.ROUTES,
)
CATALOG = (*flavors.ROUTES, *extra_specs.ROUTES, *keypairs.ROUTES, *image_proxy.ROUTES)
ADMIN = (
    *server_groups.ROUTES,
    *hypervisors.ROUTES,
    *services.ROUTES,
    *os_hosts.ROUTES,
    *audit_log.ROUTES,
    *zones.ROUTES,
    *aggregates.ROUTES,
    *limits.ROUTES,
    *quotas.ROUTES,
    *usage.ROUTES,
    *verify.ROUTES,
)

SERVICE = Service("/compute/v2.1", (COMPUTE_ROUTE, *SERVERS, *CATALOG, *ADMIN, *extensions.ROUTES), microversions=True)
