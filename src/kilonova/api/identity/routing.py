# SPDX-License-Identifier: Apache-2.0
"""Names that the routes of Identity share: paths, Keystone's prefix of policy rules, default policies."""

from typing import Any

from kilonova.api.http.microversion import MIN
from kilonova.api.http.route import DefaultPolicy, Handler, Route
from kilonova.api.http.views import View
from kilonova.api.identity.filters import TAGS, arguments

P = "identity:"
USER, PROJECT, GROUP = "/users/{user_id}", "/projects/{project_id}", "/groups/{group_id}"

TOKEN, OWNER, ADMIN = DefaultPolicy.TOKEN, DefaultPolicy.OWNER, DefaultPolicy.IDENTITY_ADMIN
SYSTEM, DOMAIN = DefaultPolicy.SYSTEM_READER, DefaultPolicy.DOMAIN_READER
MY_USER, MY_PROJECT = DefaultPolicy.USER_READER, DefaultPolicy.PROJECT_READER

OF_PROJECTS = arguments("name", "enabled", "domain_id", "parent_id", "is_domain", *TAGS)
OF_USERS = arguments("name", "enabled", "domain_id", "default_project_id")
OF_GROUPS = arguments("name", "domain_id")


def list_route(
    path: str,
    handler: Handler,
    rule: str,
    default: DefaultPolicy,
    reply: View[Any, Any],
    query: frozenset[str] = frozenset(),
) -> Route:
    """The route of a list, which refuses unknown query arguments."""
    return Route("GET", path, handler, P + rule, default, reply=reply, query=query, strict=MIN)
