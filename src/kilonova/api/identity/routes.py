# SPDX-License-Identifier: Apache-2.0
"""The routes of Identity v3, with the names of Keystone's policies."""

from collections.abc import Iterator
from dataclasses import replace

from kilonova.api.http.microversion import MIN
from kilonova.api.http.route import Role, Row, Service
from kilonova.api.identity import (
    assignments,
    auth,
    credentials,
    domain,
    groups,
    limits,
    models,
    projects,
    roles,
    tokens,
    users,
)
from kilonova.api.identity import catalog_entries as services
from kilonova.api.identity import implied_roles as implied
from kilonova.api.identity import unsupported as unserved
from kilonova.api.identity.filters import TAGS, arguments
from kilonova.api.versions import identity_v3

ANYBODY, TOKEN, OWNER, READER, ADMIN = Role.ANYBODY, Role.TOKEN, Role.OWNER, Role.READER, Role.IDENTITY_ADMIN
SYSTEM, DOMAIN, MY_USER, MY_PROJECT = Role.SYSTEM_READER, Role.DOMAIN_READER, Role.USER_READER, Role.PROJECT_READER

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
    Row("GET", "", identity_v3, "versions", ANYBODY, reply="{version}"),
    Row("POST", "/auth/tokens", auth.create_token, P + "authenticate", ANYBODY, 201,
        reply="{token}, and X-Subject-Token", body=models.AuthRequest),
    Row("GET", "/auth/tokens", tokens.show_token, P + "validate_token", TOKEN, reply="{token}",
        query=frozenset({"nocatalog"})),
    Row("DELETE", "/auth/tokens", tokens.revoke_token, P + "revoke_token", TOKEN, 204),
    Row("GET", "/auth/catalog", tokens.show_catalog, P + "get_auth_catalog", READER, reply="{catalog}"),
    Row("GET", "/auth/projects", tokens.list_projects, P + "get_auth_projects", TOKEN, reply="{projects: [...]}"),
    Row("GET", "/auth/domains", tokens.list_domains, P + "get_auth_domains", TOKEN, reply="{domains: [...]}"),
    Row("GET", "/auth/system", tokens.list_systems, P + "get_auth_system", TOKEN, reply="{system: [...]}"),
)  # fmt: skip

PEOPLE = (
    Row("GET", "/users", users.list_users, P + "list_users", DOMAIN, reply="{users: [...]}", query=OF_USERS),
    Row("POST", "/users", users.create_user, P + "create_user", ADMIN, 201, reply="{user}", body=models.CreateUser),
    Row("GET", USER, users.show_user, P + "get_user", MY_USER, reply="{user}"),
    Row("PATCH", USER, users.update_user, P + "update_user", ADMIN, reply="{user}", body=models.UpdateUser),
    Row("DELETE", USER, users.delete_user, P + "delete_user", ADMIN, 204),
    Row("POST", USER + "/password", users.change_password, P + "change_password", OWNER, 204,
        body=models.ChangePassword),
    Row("GET", USER + "/projects", projects.list_projects_of_user, P + "list_user_projects", MY_USER,
        reply="{projects: [...]}", query=OF_PROJECTS),
    Row("GET", USER + "/groups", groups.list_groups_of_user, P + "list_groups_for_user", MY_USER,
        reply="{groups: [...]}", query=OF_GROUPS),
    Row("GET", CREDENTIALS, credentials.list_credentials, P + "list_application_credentials", OWNER,
        reply="{application_credentials: [...]}", query=arguments("name")),
    Row("POST", CREDENTIALS, credentials.create_credential, P + "create_application_credential", OWNER, 201,
        reply="{application_credential}, with its secret", body=models.CreateCredential),
    Row("GET", CREDENTIALS + "/{credential_id}", credentials.show_credential, P + "get_application_credential", OWNER,
        reply="{application_credential}"),
    Row("DELETE", CREDENTIALS + "/{credential_id}", credentials.delete_credential,
        P + "delete_application_credential", OWNER, 204),
    Row("GET", "/groups", groups.list_groups, P + "list_groups", DOMAIN, reply="{groups: [...]}", query=OF_GROUPS),
    Row("POST", "/groups", groups.create_group, P + "create_group", ADMIN, 201, reply="{group}",
        body=models.CreateGroup),
    Row("GET", GROUP, groups.show_group, P + "get_group", DOMAIN, reply="{group}"),
    Row("PATCH", GROUP, groups.update_group, P + "update_group", ADMIN, reply="{group}", body=models.UpdateGroup),
    Row("DELETE", GROUP, groups.delete_group, P + "delete_group", ADMIN, 204),
    Row("GET", GROUP + "/users", groups.list_members, P + "list_users_in_group", DOMAIN, reply="{users: [...]}",
        query=OF_USERS),
    Row("PUT", GROUP + "/users/{user_id}", groups.add_member, P + "add_user_to_group", ADMIN, 204),
    Row("GET", GROUP + "/users/{user_id}", groups.check_member, P + "check_user_in_group", DOMAIN, 204),
    Row("DELETE", GROUP + "/users/{user_id}", groups.remove_member, P + "remove_user_from_group", ADMIN, 204),
)  # fmt: skip

PLACES = (
    Row("GET", "/projects", projects.list_projects, P + "list_projects", TOKEN, reply="{projects: [...]}",
        query=OF_PROJECTS),
    Row("POST", "/projects", projects.create_project, P + "create_project", ADMIN, 201, reply="{project}",
        body=models.CreateProject),
    Row("GET", PROJECT, projects.show_project, P + "get_project", MY_PROJECT, reply="{project}"),
    Row("PATCH", PROJECT, projects.update_project, P + "update_project", ADMIN, reply="{project}",
        body=models.UpdateProject),
    Row("DELETE", PROJECT, projects.delete_project, P + "delete_project", ADMIN, 204),
    Row("GET", PROJECT + "/tags", projects.list_tags, P + "list_project_tags", MY_PROJECT, reply="{tags: [...]}"),
    Row("PUT", PROJECT + "/tags", projects.replace_tags, P + "update_project_tags", ADMIN, reply="{tags: [...]}",
        body=models.ReplaceTags),
    Row("DELETE", PROJECT + "/tags", projects.delete_tags, P + "delete_project_tags", ADMIN, 204),
    Row("GET", PROJECT + "/tags/{tag}", projects.check_tag, P + "get_project_tag", MY_PROJECT, 204),
    Row("PUT", PROJECT + "/tags/{tag}", projects.add_tag, P + "create_project_tag", ADMIN, 201),
    Row("DELETE", PROJECT + "/tags/{tag}", projects.delete_tag, P + "delete_project_tag", ADMIN, 204),
    Row("GET", "/domains", domain.list_domains, P + "list_domains", TOKEN, reply="{domains: [...]}",
        query=arguments("name", "enabled")),
    Row("POST", "/domains", domain.create_domain, P + "create_domain", ADMIN, reply="403: there is one",
        body=models.CreateDomain),
    Row("GET", "/domains/{domain_id}", domain.show_domain, P + "get_domain", TOKEN, reply="{domain}"),
    Row("PATCH", "/domains/{domain_id}", domain.change_domain, P + "update_domain", ADMIN, reply="403: it stays"),
    Row("DELETE", "/domains/{domain_id}", domain.change_domain, P + "delete_domain", ADMIN, reply="403: it stays"),
)  # fmt: skip

ROLES = (
    Row("GET", "/roles", roles.list_roles, P + "list_roles", SYSTEM, reply="{roles: [...]}",
        query=arguments("name", "domain_id")),
    Row("POST", "/roles", roles.create_role, P + "create_role", ADMIN, 201, reply="{role}", body=models.CreateRole),
    Row("GET", "/roles/{role_id}", roles.show_role, P + "get_role", SYSTEM, reply="{role}"),
    Row("PATCH", "/roles/{role_id}", roles.update_role, P + "update_role", ADMIN, reply="{role}",
        body=models.UpdateRole),
    Row("DELETE", "/roles/{role_id}", roles.delete_role, P + "delete_role", ADMIN, 204),
    Row("GET", "/role_inferences", implied.list_rules, P + "list_role_inference_rules", SYSTEM,
        reply="{role_inferences: [...]}"),
    Row("GET", IMPLIES, implied.list_implied, P + "list_implied_roles", SYSTEM, reply="{role_inference}"),
    Row("GET", IMPLIES + "/{implied_role_id}", implied.show_rule, P + "get_implied_role", SYSTEM,
        reply="{role_inference}"),
    Row("PUT", IMPLIES + "/{implied_role_id}", implied.change_rule, P + "create_implied_role", ADMIN, reply="501"),
    Row("DELETE", IMPLIES + "/{implied_role_id}", implied.change_rule, P + "delete_implied_role", ADMIN, reply="501"),
    Row("GET", "/role_assignments", assignments.list_all, P + "list_role_assignments", DOMAIN,
        reply="{role_assignments: [...]}", query=assignments.ARGUMENTS),
)  # fmt: skip


def _grants() -> Iterator[Row]:
    """Roles of users and of groups, in projects, on the domain, on the system."""
    for where, of in ((PROJECT, "grant{}"), ("/domains/{domain_id}", "grant{}"), ("/system", "system_grant{}_for_")):
        reader = SYSTEM if where == "/system" else DOMAIN
        for whose, actor in ((USER, "user"), (GROUP, "group")):
            path, name = f"{where}{whose}/roles", of + (actor if where == "/system" else "")
            yield Row("GET", path, assignments.list_assigned, P + "list_" + name.format("s"), reader,
                      reply="{roles: [...]}")  # fmt: skip
            yield Row("GET", path + "/{role_id}", assignments.check, P + "check_" + name.format(""), reader, 204)
            yield Row("PUT", path + "/{role_id}", assignments.grant, P + "create_" + name.format(""), ADMIN, 204)
            yield Row("DELETE", path + "/{role_id}", assignments.revoke, P + "revoke_" + name.format(""), ADMIN, 204)


CATALOG = (
    Row("GET", "/services", services.list_services, P + "list_services", SYSTEM, reply="{services: [...]}",
        query=arguments("type", "name")),
    Row("POST", "/services", services.create_service, P + "create_service", ADMIN, 201, reply="{service}",
        body=models.CreateService),
    Row("GET", SERVICE_, services.show_service, P + "get_service", SYSTEM, reply="{service}"),
    Row("PATCH", SERVICE_, services.update_service, P + "update_service", ADMIN, reply="{service}",
        body=models.UpdateService),
    Row("DELETE", SERVICE_, services.delete_service, P + "delete_service", ADMIN, 204),
    Row("GET", "/endpoints", services.list_endpoints, P + "list_endpoints", SYSTEM, reply="{endpoints: [...]}",
        query=arguments("interface", "service_id", "region_id")),
    Row("POST", "/endpoints", services.create_endpoint, P + "create_endpoint", ADMIN, 201, reply="{endpoint}",
        body=models.CreateEndpoint),
    Row("GET", ENDPOINT, services.show_endpoint, P + "get_endpoint", SYSTEM, reply="{endpoint}"),
    Row("PATCH", ENDPOINT, services.update_endpoint, P + "update_endpoint", ADMIN, reply="{endpoint}",
        body=models.UpdateEndpoint),
    Row("DELETE", ENDPOINT, services.delete_endpoint, P + "delete_endpoint", ADMIN, 204),
    Row("GET", "/regions", services.list_regions, P + "list_regions", TOKEN, reply="{regions: [...]}",
        query=arguments("parent_region_id")),
    Row("POST", "/regions", services.create_region, P + "create_region", ADMIN, 201, reply="{region}",
        body=models.PutRegion),
    Row("GET", REGION, services.show_region, P + "get_region", TOKEN, reply="{region}"),
    Row("PUT", REGION, services.create_region, P + "create_region", ADMIN, 201, reply="{region}",
        body=models.PutRegion),
    Row("PATCH", REGION, services.update_region, P + "update_region", ADMIN, reply="{region}", body=models.PutRegion),
    Row("DELETE", REGION, services.delete_region, P + "delete_region", ADMIN, 204),
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

UNSERVED = (
    Row("GET", "/credentials", unserved.no_credentials, P + "list_credentials", TOKEN, reply="{credentials: []}",
        query=frozenset({"user_id", "type"})),
    Row("POST", "/credentials", unserved.no_new_credential, P + "create_credential", TOKEN, reply="501"),
    *(Row(method, "/credentials/{credential_id}", unserved.no_credential, f"{P}{word}_credential", TOKEN, reply="404")
      for method, word in (("GET", "get"), ("PATCH", "update"), ("DELETE", "delete"))),
    Row("GET", EC2, unserved.no_credentials, P + "ec2_list_credentials", OWNER, reply="{credentials: []}"),
    Row("POST", EC2, unserved.no_new_credential, P + "ec2_create_credential", OWNER, reply="501"),
    *(Row(method, EC2 + "/{credential_id}", unserved.no_credential, f"{P}ec2_{word}_credential", OWNER, reply="404")
      for method, word in (("GET", "get"), ("DELETE", "delete"))),
)  # fmt: skip


def _strict(row: Row) -> Row:
    """A list refuses the arguments that it does not obey."""
    return replace(row, strict=MIN) if row.method == "GET" and "[" in row.reply else row


ROWS = (*TOKENS, *map(_strict, (*PEOPLE, *PLACES, *ROLES, *_grants(), *CATALOG, *LIMITS, *UNSERVED)))

SERVICE = Service("/identity/v3", ROWS, identity=True)
