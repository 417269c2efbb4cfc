# SPDX-License-Identifier: Apache-2.0
"""The routes of Identity v3."""

from kilonova.api.identity import auth, projects
from kilonova.api.identity.models import AuthRequest
from kilonova.api.route import Role, Row, Service
from kilonova.api.versions import identity_v3

ROWS = (
    Row("GET", "", identity_v3, "versions", Role.ANYBODY, reply="{version}"),
    Row(
        "POST",
        "/auth/tokens",
        auth.create_token,
        "identity:authenticate",
        Role.ANYBODY,
        success=201,
        reply="{token}, and X-Subject-Token",
        body=AuthRequest,
    ),
    Row(
        "GET",
        "/auth/tokens",
        auth.show_token,
        "identity:validate_token",
        Role.READER,
        reply="{token}",
        query=frozenset({"nocatalog"}),
    ),
    Row("GET", "/auth/catalog", auth.show_catalog, "identity:get_auth_catalog", Role.READER, reply="{catalog}"),
    Row(
        "GET",
        "/projects",
        projects.list_projects,
        "identity:list_projects",
        Role.READER,
        reply="{projects: [...]}",
        query=frozenset({"name", "domain_id"}),
    ),
    Row("GET", "/projects/{project_id}", projects.show_project, "identity:get_project", Role.READER, reply="{project}"),
)

SERVICE = Service("/identity/v3", ROWS, identity=True)
