# SPDX-License-Identifier: Apache-2.0
"""The routes of Identity v3, with the names of Keystone's policies."""

from collections.abc import Iterator
from dataclasses import replace

from kilonova.api.http.microversion import MIN
from kilonova.api.http.route import DefaultPolicy, Route, Service
from kilonova.api.identity import (
    assignments,
    auth,
    catalog_entries,
    credentials,
    domain,
    groups,
    implied_roles,
    limits,
    models,
    projects,
    roles,
    tokens,
    unsupported,
    users,
)
from kilonova.api.identity.filters import TAGS, arguments
from kilonova.api.versions import identity_v3

ANYBODY, TOKEN, OWNER, READER, ADMIN = (
    DefaultPolicy.ANYBODY,
    DefaultPolicy.TOKEN,
    DefaultPolicy.OWNER,
    DefaultPolicy.READER,
    DefaultPolicy.IDENTITY_ADMIN,
)
SYSTEM, DOMAIN, MY_USER, MY_PROJECT = (
    DefaultPolicy.SYSTEM_READER,
    DefaultPolicy.DOMAIN_READER,
    DefaultPolicy.USER_READER,
    DefaultPolicy.PROJECT_READER,
)

P = "identity:"
USER, PROJECT, GROUP = "/users/{user_id}", "/projects/{project_id}", "/groups/{group_id}"
CREDENTIALS = USER + "/application_credentials"
IMPLIES = "/roles/{role_id}/implies"
EC2 = USER + "/credentials/OS-EC2"
SERVICE_, ENDPOINT, REGION = "/services/{service_id}", "/endpoints/{endpoint_id}", "/regions/{region_id}"

OF_PROJECTS = arguments("name", "enabled", "domain_id", "parent_id", "is_domain", *TAGS)
OF_USERS = arguments("name", "enabled", "domain_id", "default_project_id")
OF_GROUPS = arguments("name", "domain_id")

TOKENS = (
    Route("GET", "", identity_v3, "versions", ANYBODY, note="{version}"),
    Route("POST", "/auth/tokens", auth.create_token, P + "authenticate", ANYBODY, 201,
        note="{token}, and X-Subject-Token", body=models.AuthRequest),
    Route("GET", "/auth/tokens", tokens.show_token, P + "validate_token", TOKEN, note="{token}",
        query=frozenset({"nocatalog"})),
    Route("DELETE", "/auth/tokens", tokens.revoke_token, P + "revoke_token", TOKEN, 204),
    Route("GET", "/auth/catalog", tokens.show_catalog, P + "get_auth_catalog", READER, note="{catalog}"),
    Route("GET", "/auth/projects", tokens.list_projects, P + "get_auth_projects", TOKEN, note="{projects: [...]}"),
    Route("GET", "/auth/domains", tokens.list_domains, P + "get_auth_domains", TOKEN, note="{domains: [...]}"),
    Route("GET", "/auth/system", tokens.list_systems, P + "get_auth_system", TOKEN, note="{system: [...]}"),
)  # fmt: skip

PEOPLE = (
    Route("GET", "/users", users.list_users, P + "list_users", DOMAIN, note="{users: [...]}", query=OF_USERS),
    Route("POST", "/users", users.create_user, P + "create_user", ADMIN, 201, note="{user}", body=models.CreateUser),
    Route("GET", USER, users.show_user, P + "get_user", MY_USER, note="{user}"),
    Route("PATCH", USER, users.update_user, P + "update_user", ADMIN, note="{user}", body=models.UpdateUser),
    Route("DELETE", USER, users.delete_user, P + "delete_user", ADMIN, 204),
    Route("POST", USER + "/password", users.change_password, P + "change_password", OWNER, 204,
        body=models.ChangePassword),
    Route("GET", USER + "/projects", projects.list_projects_of_user, P + "list_user_projects", MY_USER,
        note="{projects: [...]}", query=OF_PROJECTS),
    Route("GET", USER + "/groups", groups.list_groups_of_user, P + "list_groups_for_user", MY_USER,
        note="{groups: [...]}", query=OF_GROUPS),
    Route("GET", CREDENTIALS, credentials.list_credentials, P + "list_application_credentials", OWNER,
        note="{application_credentials: [...]}", query=arguments("name")),
    Route("POST", CREDENTIALS, credentials.create_credential, P + "create_application_credential", OWNER, 201,
        note="{application_credential}, with its secret", body=models.CreateCredential),
    Route("GET", CREDENTIALS + "/{credential_id}", credentials.show_credential, P + "get_application_credential", OWNER,
        note="{application_credential}"),
    Route("DELETE", CREDENTIALS + "/{credential_id}", credentials.delete_credential,
        P + "delete_application_credential", OWNER, 204),
    Route("GET", "/groups", groups.list_groups, P + "list_groups", DOMAIN, note="{groups: [...]}", query=OF_GROUPS),
    Route("POST", "/groups", groups.create_group, P + "create_group", ADMIN, 201, note="{group}",
        body=models.CreateGroup),
    Route("GET", GROUP, groups.show_group, P + "get_group", DOMAIN, note="{group}"),
    Route("PATCH", GROUP, groups.update_group, P + "update_group", ADMIN, note="{group}", body=models.UpdateGroup),
    Route("DELETE", GROUP, groups.delete_group, P + "delete_group", ADMIN, 204),
    Route("GET", GROUP + "/users", groups.list_members, P + "list_users_in_group", DOMAIN, note="{users: [...]}",
        query=OF_USERS),
    Route("PUT", GROUP + "/users/{user_id}", groups.add_member, P + "add_user_to_group", ADMIN, 204),
    Route("GET", GROUP + "/users/{user_id}", groups.check_member, P + "check_user_in_group", DOMAIN, 204),
    Route("DELETE", GROUP + "/users/{user_id}", groups.remove_member, P + "remove_user_from_group", ADMIN, 204),
)  # fmt: skip

PLACES = (
    Route("GET", "/projects", projects.list_projects, P + "list_projects", TOKEN, note="{projects: [...]}",
        query=OF_PROJECTS),
    Route("POST", "/projects", projects.create_project, P + "create_project", ADMIN, 201, note="{project}",
        body=models.CreateProject),
    Route("GET", PROJECT, projects.show_project, P + "get_project", MY_PROJECT, note="{project}"),
    Route("PATCH", PROJECT, projects.update_project, P + "update_project", ADMIN, note="{project}",
        body=models.UpdateProject),
    Route("DELETE", PROJECT, projects.delete_project, P + "delete_project", ADMIN, 204),
    Route("GET", PROJECT + "/tags", projects.list_tags, P + "list_project_tags", MY_PROJECT, note="{tags: [...]}"),
    Route("PUT", PROJECT + "/tags", projects.replace_tags, P + "update_project_tags", ADMIN, note="{tags: [...]}",
        body=models.ReplaceTags),
    Route("DELETE", PROJECT + "/tags", projects.delete_tags, P + "delete_project_tags", ADMIN, 204),
    Route("GET", PROJECT + "/tags/{tag}", projects.check_tag, P + "get_project_tag", MY_PROJECT, 204),
    Route("PUT", PROJECT + "/tags/{tag}", projects.add_tag, P + "create_project_tag", ADMIN, 201),
    Route("DELETE", PROJECT + "/tags/{tag}", projects.delete_tag, P + "delete_project_tag", ADMIN, 204),
    Route("GET", "/domains", domain.list_domains, P + "list_domains", TOKEN, note="{domains: [...]}",
        query=arguments("name", "enabled")),
    Route("POST", "/domains", domain.create_domain, P + "create_domain", ADMIN, note="403: there is one",
        body=models.CreateDomain),
    Route("GET", "/domains/{domain_id}", domain.show_domain, P + "get_domain", TOKEN, note="{domain}"),
    Route("PATCH", "/domains/{domain_id}", domain.change_domain, P + "update_domain", ADMIN, note="403: it stays"),
    Route("DELETE", "/domains/{domain_id}", domain.change_domain, P + "delete_domain", ADMIN, note="403: it stays"),
)  # fmt: skip

ROLES = (
    Route("GET", "/roles", roles.list_roles, P + "list_roles", SYSTEM, note="{roles: [...]}",
        query=arguments("name", "domain_id")),
    Route("POST", "/roles", roles.create_role, P + "create_role", ADMIN, 201, note="{role}", body=models.CreateRole),
    Route("GET", "/roles/{role_id}", roles.show_role, P + "get_role", SYSTEM, note="{role}"),
    Route("PATCH", "/roles/{role_id}", roles.update_role, P + "update_role", ADMIN, note="{role}",
        body=models.UpdateRole),
    Route("DELETE", "/roles/{role_id}", roles.delete_role, P + "delete_role", ADMIN, 204),
    Route("GET", "/role_inferences", implied_roles.list_rules, P + "list_role_inference_rules", SYSTEM,
        note="{role_inferences: [...]}"),
    Route("GET", IMPLIES, implied_roles.list_implied, P + "list_implied_roles", SYSTEM, note="{role_inference}"),
    Route("GET", IMPLIES + "/{implied_role_id}", implied_roles.show_rule, P + "get_implied_role", SYSTEM,
        note="{role_inference}"),
    Route("PUT", IMPLIES + "/{implied_role_id}", implied_roles.change_rule, P + "create_implied_role", ADMIN, note="501"),
    Route("DELETE", IMPLIES + "/{implied_role_id}", implied_roles.change_rule, P + "delete_implied_role", ADMIN, note="501"),
    Route("GET", "/role_assignments", assignments.list_all, P + "list_role_assignments", DOMAIN,
        note="{role_assignments: [...]}", query=assignments.ARGUMENTS),
)  # fmt: skip


def _grants() -> Iterator[Route]:
    """Roles of users and of groups, in projects, on the domain, on the system."""
    for where, of in ((PROJECT, "grant{}"), ("/domains/{domain_id}", "grant{}"), ("/system", "system_grant{}_for_")):
        reader = SYSTEM if where == "/system" else DOMAIN
        for whose, actor in ((USER, "user"), (GROUP, "group")):
            path, name = f"{where}{whose}/roles", of + (actor if where == "/system" else "")
            yield Route("GET", path, assignments.list_assigned, P + "list_" + name.format("s"), reader,
                      note="{roles: [...]}")  # fmt: skip
            yield Route("GET", path + "/{role_id}", assignments.check, P + "check_" + name.format(""), reader, 204)
            yield Route("PUT", path + "/{role_id}", assignments.grant, P + "create_" + name.format(""), ADMIN, 204)
            yield Route("DELETE", path + "/{role_id}", assignments.revoke, P + "revoke_" + name.format(""), ADMIN, 204)


CATALOG = (
    Route("GET", "/services", catalog_entries.list_services, P + "list_services", SYSTEM, note="{services: [...]}",
        query=arguments("type", "name")),
    Route("POST", "/services", catalog_entries.create_service, P + "create_service", ADMIN, 201, note="{service}",
        body=models.CreateService),
    Route("GET", SERVICE_, catalog_entries.show_service, P + "get_service", SYSTEM, note="{service}"),
    Route("PATCH", SERVICE_, catalog_entries.update_service, P + "update_service", ADMIN, note="{service}",
        body=models.UpdateService),
    Route("DELETE", SERVICE_, catalog_entries.delete_service, P + "delete_service", ADMIN, 204),
    Route("GET", "/endpoints", catalog_entries.list_endpoints, P + "list_endpoints", SYSTEM, note="{endpoints: [...]}",
        query=arguments("interface", "service_id", "region_id")),
    Route("POST", "/endpoints", catalog_entries.create_endpoint, P + "create_endpoint", ADMIN, 201, note="{endpoint}",
        body=models.CreateEndpoint),
    Route("GET", ENDPOINT, catalog_entries.show_endpoint, P + "get_endpoint", SYSTEM, note="{endpoint}"),
    Route("PATCH", ENDPOINT, catalog_entries.update_endpoint, P + "update_endpoint", ADMIN, note="{endpoint}",
        body=models.UpdateEndpoint),
    Route("DELETE", ENDPOINT, catalog_entries.delete_endpoint, P + "delete_endpoint", ADMIN, 204),
    Route("GET", "/regions", catalog_entries.list_regions, P + "list_regions", TOKEN, note="{regions: [...]}",
        query=arguments("parent_region_id")),
    Route("POST", "/regions", catalog_entries.create_region, P + "create_region", ADMIN, 201, note="{region}",
        body=models.PutRegion),
    Route("GET", REGION, catalog_entries.show_region, P + "get_region", TOKEN, note="{region}"),
    Route("PUT", REGION, catalog_entries.create_region, P + "create_region", ADMIN, 201, note="{region}",
        body=models.PutRegion),
    Route("PATCH", REGION, catalog_entries.update_region, P + "update_region", ADMIN, note="{region}", body=models.PutRegion),
    Route("DELETE", REGION, catalog_entries.delete_region, P + "delete_region", ADMIN, 204),
)  # fmt: skip

LIMITS = (
    Route("GET", "/registered_limits", limits.list_registered, P + "list_registered_limits", TOKEN,
        note="{registered_limits: [...]}", query=limits.ARGUMENTS),
    Route("GET", "/limits", limits.list_limits, P + "list_limits", TOKEN, note="{limits: [...]}",
        query=limits.ARGUMENTS),
    Route("POST", "/limits", limits.create_limits, P + "create_limits", ADMIN, 201, note="{limits: [...]}",
        body=limits.CreateLimits),
    Route("GET", "/limits/{limit_id}", limits.show_limit, P + "get_limit", TOKEN, note="{limit}"),
    Route("PATCH", "/limits/{limit_id}", limits.update_limit, P + "update_limit", ADMIN, note="{limit}",
        body=limits.UpdateLimit),
    Route("DELETE", "/limits/{limit_id}", limits.delete_limit, P + "delete_limit", ADMIN, 204),
)  # fmt: skip

UNSERVED = (
    Route("GET", "/credentials", unsupported.no_credentials, P + "list_credentials", TOKEN, note="{credentials: []}",
        query=frozenset({"user_id", "type"})),
    Route("POST", "/credentials", unsupported.no_new_credential, P + "create_credential", TOKEN, note="501"),
    *(Route(method, "/credentials/{credential_id}", unsupported.no_credential, f"{P}{word}_credential", TOKEN, note="404")
      for method, word in (("GET", "get"), ("PATCH", "update"), ("DELETE", "delete"))),
    Route("GET", EC2, unsupported.no_credentials, P + "ec2_list_credentials", OWNER, note="{credentials: []}"),
    Route("POST", EC2, unsupported.no_new_credential, P + "ec2_create_credential", OWNER, note="501"),
    *(Route(method, EC2 + "/{credential_id}", unsupported.no_credential, f"{P}ec2_{word}_credential", OWNER, note="404")
      for method, word in (("GET", "get"), ("DELETE", "delete"))),
)  # fmt: skip


def _strict(row: Route) -> Route:
    """A list refuses the arguments that it does not obey."""
    return replace(row, strict=MIN) if row.method == "GET" and "[" in row.note else row


ROUTES = (*TOKENS, *map(_strict, (*PEOPLE, *PLACES, *ROLES, *_grants(), *CATALOG, *LIMITS, *UNSERVED)))

SERVICE = Service("/identity/v3", ROUTES, identity=True)
