# SPDX-License-Identifier: Apache-2.0
"""Tokens: show, revoke, and the scopes that a token's user can request."""

from dataclasses import dataclass

from typing_extensions import TypedDict

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.policy import ADMIN_REQUIRED
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import micros_z
from kilonova.api.http.views import OMIT, Member, View, one
from kilonova.api.identity.assignments import WholeSystem
from kilonova.api.identity.catalog import CatalogService, catalog_of
from kilonova.api.identity.domain import (
    DOMAIN,
    DOMAIN_VIEW,
    DOMAINS,
    CollectionLinks,
    DomainReference,
    SelfLink,
    collection_links,
    present,
    self_link,
)
from kilonova.api.identity.projects import PROJECT_VIEW, PROJECTS
from kilonova.api.identity.roles import role_ids
from kilonova.api.identity.routing import TOKEN, P
from kilonova.api.identity.token_cache import apply_change
from kilonova.base.errors import InvalidInput, NotFound, Unauthorized
from kilonova.db.readers import identity as readers
from kilonova.identity.tokens import Claims, Subject
from kilonova.objects.identity import Target
from kilonova.rpcapi import api_to_conductor_identity as methods


async def valid(call: Call, text: str) -> Claims:
    """The claims of a token that is still valid.  Raises Unauthorized."""
    claims = call.deps.tokens.verify(text)
    await call.deps.token_revalidation.roles_of(claims)
    return claims


async def _subject(call: Call) -> Claims:
    """The claims of the token in X-Subject-Token: a token of the caller; for an administrator, any token.  Raises
    NotFound, InvalidInput."""
    text = call.headers.get("x-subject-token")
    if not text:
        raise InvalidInput("The header X-Subject-Token is missing.")
    try:
        claims = await valid(call, text)
    except Unauthorized as exc:
        raise NotFound("Could not find the token.") from exc
    if not call.may(ADMIN_REQUIRED) and claims.subject.user_id != call.context.user_id:
        raise NotFound("Could not find the token.")
    return claims


async def show_token(call: Call) -> Reply:
    """Validate the token in X-Subject-Token and show its contents."""
    claims = await _subject(call)
    headers = (("X-Subject-Token", call.headers["x-subject-token"]),)
    return TOKEN_REPLY.reply(await contents(call, claims), call, headers=headers)


async def revoke_token(call: Call) -> Reply:
    """Revoke the token in X-Subject-Token.  Tokens that were issued from it remain valid."""
    claims = await _subject(call)
    await apply_change(call, methods.REVOKE_TOKEN, methods.RevokeToken(claims.audit_ids[0], claims.expires_at))
    return Reply()


async def show_catalog(call: Call) -> Reply:
    """Show the service catalog of the token's project."""
    context = call.context
    return _CATALOG.reply(await catalog_of(call, context.user_id, context.project_id), call)


async def list_projects(call: Call) -> Reply:
    """List the projects for which the token's user can request a token."""
    found = await call.db.read(readers.list_projects, call.context.user_id)
    return PROJECTS.reply([PROJECT_VIEW.show(project, call) for project in found if project.enabled], call)


async def list_domains(call: Call) -> Reply:
    """List the domains for which the token's user can request a token."""
    roles = await call.db.read(readers.roles_beyond_projects, call.context.user_id, Target.DOMAIN)
    return DOMAINS.reply([DOMAIN_VIEW.show(DOMAIN, call)] if roles else [], call)


async def list_systems(call: Call) -> Reply:
    """Show whether the token's user can request a system-scoped token."""
    roles = await call.db.read(readers.roles_beyond_projects, call.context.user_id, Target.SYSTEM)
    return _SYSTEMS.reply([{"all": True}] if roles else [], call)


class TokenUser(TypedDict):
    """The user of a token."""

    id: str
    name: str
    domain: DomainReference
    password_expires_at: None


class TokenProject(TypedDict):
    """The project of a token."""

    id: str
    name: str
    domain: DomainReference


class TokenRole(TypedDict):
    """A role of a token."""

    id: str
    name: str


class TokenCredential(TypedDict):
    """The application credential of a token."""

    id: str
    name: str
    restricted: bool


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a token.  Without a scope it has neither roles nor a catalog."""

    claims: Claims
    roles: list[TokenRole] | None = None
    catalog: list[CatalogService] | None = None


async def contents(call: Call, claims: Claims) -> Contents:
    """The contents of a token; the query argument `nocatalog` leaves the catalog out."""
    subject = claims.subject
    if not subject.project_id and not subject.scope:
        return Contents(claims)
    ids = await role_ids(call)
    roles: list[TokenRole] = [{"id": ids[name], "name": name} for name in subject.roles]
    if call.query.text("nocatalog") is not None:
        return Contents(claims, roles)
    return Contents(claims, roles, await catalog_of(call, subject.user_id, subject.project_id))


def _user(subject: Subject) -> TokenUser:
    return {"id": subject.user_id, "name": subject.user_name, "domain": DOMAIN, "password_expires_at": None}


def _credential(subject: Subject) -> TokenCredential | None:
    found = subject.credential
    return None if found is None else {"id": found.id, "name": found.name, "restricted": found.restricted}


def _project(subject: Subject) -> TokenProject | None:
    if not subject.project_id:
        return None
    return {"id": subject.project_id, "name": subject.project_name, "domain": DOMAIN}


M = Member[Contents, Call]
TOKEN_REPLY = one(
    "token",
    View(
        "Token",
        M("methods", list[str], lambda token, _: list(token.claims.methods)),
        M("user", TokenUser, lambda token, _: _user(token.claims.subject)),
        M("audit_ids", list[str], lambda token, _: list(token.claims.audit_ids)),
        M("issued_at", str, lambda token, _: micros_z(token.claims.issued_at)),
        M("expires_at", str, lambda token, _: micros_z(token.claims.expires_at)),
        M(
            "application_credential",
            TokenCredential,
            lambda token, _: present(_credential(token.claims.subject)),
            optional=True,
        ),
        M("project", TokenProject, lambda token, _: present(_project(token.claims.subject)), optional=True),
        M("is_domain", bool, lambda token, _: False if token.claims.subject.project_id else OMIT, optional=True),
        M("domain", DomainReference, lambda token, _: _beyond(token, Target.DOMAIN, DOMAIN), optional=True),
        M("system", WholeSystem, lambda token, _: _beyond(token, Target.SYSTEM, {"all": True}), optional=True),
        M("roles", list[TokenRole], lambda token, _: present(token.roles), optional=True),
        M("catalog", list[CatalogService], lambda token, _: present(token.catalog), optional=True),
    ),
)


def _beyond(token: Contents, scope: Target, shown: object) -> object:
    subject = token.claims.subject
    return shown if not subject.project_id and subject.scope == scope else OMIT


_CATALOG = View[list[CatalogService], Call](
    "",
    Member("catalog", list[CatalogService], lambda catalog, _: catalog),
    Member("links", CollectionLinks, lambda _, call: collection_links(call)),
)
_SYSTEMS = View[list[WholeSystem], Call](
    "",
    Member("system", list[WholeSystem], lambda systems, _: systems),
    Member("links", SelfLink, lambda _, call: self_link(call)),
)
_NO_CATALOG = frozenset({"nocatalog"})
_TOKENS = "/auth/tokens"

ROUTES = (
    Route(
        "GET",
        _TOKENS,
        show_token,
        P + "validate_token",
        TOKEN,
        reply=TOKEN_REPLY,
        query=_NO_CATALOG,
        note="the header X-Subject-Token has the token",
    ),
    Route("DELETE", _TOKENS, revoke_token, P + "revoke_token", TOKEN, 204),
    Route("GET", "/auth/catalog", show_catalog, P + "get_auth_catalog", DefaultPolicy.READER, reply=_CATALOG),
    Route("GET", "/auth/projects", list_projects, P + "get_auth_projects", TOKEN, reply=PROJECTS),
    Route("GET", "/auth/domains", list_domains, P + "get_auth_domains", TOKEN, reply=DOMAINS),
    Route("GET", "/auth/system", list_systems, P + "get_auth_system", TOKEN, reply=_SYSTEMS),
)
