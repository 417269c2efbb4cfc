# SPDX-License-Identifier: Apache-2.0
"""The routes of Identity v3, with the names of Keystone's policies."""

from kilonova.api import versions
from kilonova.api.http.route import Service
from kilonova.api.identity import (
    assignments,
    auth,
    catalog_entries,
    credentials,
    domain,
    groups,
    implied_roles,
    limits,
    projects,
    roles,
    tokens,
    unsupported,
    users,
)

ROUTES = (
    versions.IDENTITY_ROUTE,
    *auth.ROUTES,
    *tokens.ROUTES,
    *users.ROUTES,
    *credentials.ROUTES,
    *groups.ROUTES,
    *projects.ROUTES,
    *domain.ROUTES,
    *roles.ROUTES,
    *implied_roles.ROUTES,
    *assignments.ROUTES,
    *catalog_entries.ROUTES,
    *limits.ROUTES,
    *unsupported.ROUTES,
)

SERVICE = Service("/identity/v3", ROUTES, identity=True)
