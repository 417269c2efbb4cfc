# SPDX-License-Identifier: Apache-2.0
"""The routes of Identity v3, with the names of Keystone's policies."""

from kilonova.api.identity import auth, credentials, domain, limits, models, projects, roles, services, tokens, users
from kilonova.api.route import Role, Row, Service
from kilonova.api.versions import identity_v3

ANYBODY, TOKEN, OWNER, READER, ADMIN = Role.ANYBODY, Role.TOKEN, Role.OWNER, Role.READER, Role.IDENTITY_ADMIN

P = "identity:"
CREDENTIALS = "/users/{user_id}/application_credentials"
GRANT = "/projects/{project_id}/users/{user_id}/roles"

NAMED = frozenset({"name", "enabled", "domain_id"})

TOKENS = (
    Row("GET", "", identity_v3, "versions", ANYBODY, reply="{version}"),
    Row("POST", "/auth/tokens", auth.create_token, P + "authenticate", ANYBODY, 201,
        reply="{token}, and X-Subject-Token", body=models.AuthRequest),
    Row("GET", "/auth/tokens", tokens.show_token, P + "validate_token", TOKEN, reply="{token}",
        query=frozenset({"nocatalog"})),
    Row("DELETE", "/auth/tokens", tokens.revoke_token, P + "revoke_token", TOKEN, 204),
    Row("GET", "/auth/catalog", tokens.show_catalog, P + "get_auth_catalog", READER, reply="{catalog}"),
    Row("GET", "/auth/projects", tokens.list_projects, P + "get_auth_projects", TOKEN, reply="{projects: [...]}"),
    Row("GET", "/auth/domains", tokens.list_domains, P + "get_auth_domains", TOKEN, reply="{domains: []}"),
)  # fmt: skip

PEOPLE = (
    Row("GET", "/users", users.list_users, P + "list_users", ADMIN, reply="{users: [...]}", query=NAMED),
    Row("POST", "/users", users.create_user, P + "create_user", ADMIN, 201, reply="{user}", body=models.CreateUser),
    Row("GET", "/users/{user_id}", users.show_user, P + "get_user", OWNER, reply="{user}"),
    Row("PATCH", "/users/{user_id}", users.update_user, P + "update_user", ADMIN, reply="{user}",
        body=models.UpdateUser),
    Row("DELETE", "/users/{user_id}", users.delete_user, P + "delete_user", ADMIN, 204),
    Row("POST", "/users/{user_id}/password", users.change_password, P + "change_password", OWNER, 204,
        body=models.ChangePassword),
    Row("GET", "/users/{user_id}/projects", projects.list_projects_of_user, P + "list_user_projects", OWNER,
        reply="{projects: [...]}"),
    Row("GET", CREDENTIALS, credentials.list_credentials, P + "list_application_credentials", OWNER,
        reply="{application_credentials: [...]}", query=frozenset({"name"})),
    Row("POST", CREDENTIALS, credentials.create_credential, P + "create_application_credential", OWNER, 201,
        reply="{application_credential}, with its secret", body=models.CreateCredential),
    Row("GET", CREDENTIALS + "/{credential_id}", credentials.show_credential, P + "get_application_credential", OWNER,
        reply="{application_credential}"),
    Row("DELETE", CREDENTIALS + "/{credential_id}", credentials.delete_credential,
        P + "delete_application_credential", OWNER, 204),
)  # fmt: skip

PLACES = (
    Row("GET", "/projects", projects.list_projects, P + "list_projects", TOKEN, reply="{projects: [...]}",
        query=NAMED),
    Row("POST", "/projects", projects.create_project, P + "create_project", ADMIN, 201, reply="{project}",
        body=models.CreateProject),
    Row("GET", "/projects/{project_id}", projects.show_project, P + "get_project", READER, reply="{project}"),
    Row("PATCH", "/projects/{project_id}", projects.update_project, P + "update_project", ADMIN, reply="{project}",
        body=models.UpdateProject),
    Row("DELETE", "/projects/{project_id}", projects.delete_project, P + "delete_project", ADMIN, 204),
    Row("GET", GRANT, roles.list_roles_of_user, P + "list_grants", ADMIN, reply="{roles: [...]}"),
    Row("GET", GRANT + "/{role_id}", roles.check_role, P + "check_grant", ADMIN, 204),
    Row("PUT", GRANT + "/{role_id}", roles.grant_role, P + "create_grant", ADMIN, 204),
    Row("DELETE", GRANT + "/{role_id}", roles.revoke_role, P + "revoke_grant", ADMIN, 204),
    Row("GET", "/roles", roles.list_roles, P + "list_roles", ADMIN, reply="{roles: [...]}",
        query=frozenset({"name"})),
    Row("GET", "/roles/{role_id}", roles.show_role, P + "get_role", ADMIN, reply="{role}"),
    Row("GET", "/role_assignments", roles.list_assignments, P + "list_role_assignments", ADMIN,
        reply="{role_assignments: [...]}", query=roles.ASSIGNMENT_ARGUMENTS),
    Row("GET", "/domains", domain.list_domains, P + "list_domains", TOKEN, reply="{domains: [...]}",
        query=frozenset({"name"})),
    Row("GET", "/domains/{domain_id}", domain.show_domain, P + "get_domain", TOKEN, reply="{domain}"),
)  # fmt: skip

CATALOG = (
    Row("GET", "/services", services.list_services, P + "list_services", ADMIN, reply="{services: [...]}",
        query=services.SERVICE_ARGUMENTS),
    Row("GET", "/services/{service_id}", services.show_service, P + "get_service", ADMIN, reply="{service}"),
    Row("GET", "/endpoints", services.list_endpoints, P + "list_endpoints", ADMIN, reply="{endpoints: [...]}",
        query=services.ENDPOINT_ARGUMENTS),
    Row("GET", "/endpoints/{endpoint_id}", services.show_endpoint, P + "get_endpoint", ADMIN, reply="{endpoint}"),
    Row("GET", "/regions", services.list_regions, P + "list_regions", TOKEN, reply="{regions: [RegionOne]}"),
    Row("GET", "/regions/{region_id}", services.show_region, P + "get_region", TOKEN, reply="{region}"),
)  # fmt: skip

LIMITS = (
    Row("GET", "/registered_limits", limits.list_registered, P + "list_registered_limits", TOKEN,
        reply="{registered_limits: [...]}", query=limits.ARGUMENTS),
    Row("GET", "/limits", limits.list_limits, P + "list_limits", TOKEN, reply="{limits: [...]}",
        query=limits.ARGUMENTS),
    Row("POST", "/limits", limits.create_limits, P + "create_limits", ADMIN, 201, reply="{limits: [...]}",
        body=limits.CreateLimits),
    Row("GET", "/limits/{limit_id}", limits.show_limit, P + "get_limit", TOKEN, reply="{limit}"),
    Row("PATCH", "/limits/{limit_id}", limits.update_limit, P + "update_limit", ADMIN, reply="{limit}",
        body=limits.UpdateLimit),
    Row("DELETE", "/limits/{limit_id}", limits.delete_limit, P + "delete_limit", ADMIN, 204),
)  # fmt: skip

SERVICE = Service("/identity/v3", (*TOKENS, *PEOPLE, *PLACES, *CATALOG, *LIMITS), identity=True)
