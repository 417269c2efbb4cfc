# SPDX-License-Identifier: Apache-2.0
"""Tokens: show, revoke, and the scopes that a token's user can request."""

from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.policy import ADMIN_REQUIRED
from kilonova.api.http.times import micros_z
from kilonova.api.identity.catalog import catalog_of
from kilonova.api.identity.domain import DOMAIN, collection, view
from kilonova.api.identity.projects import project_view
from kilonova.api.identity.roles import role_ids
from kilonova.api.identity.token_cache import apply_change
from kilonova.base.errors import InvalidInput, NotFound, Unauthorized
from kilonova.db.readers import identity as readers
from kilonova.identity.tokens import Claims
from kilonova.objects.identity import Target


async def valid(call: Call, text: str) -> Claims:
    """The claims of a token that is still valid.  Raises Unauthorized."""
    claims = call.deps.tokens.verify(text)
    await call.deps.standings.roles_of(claims)
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
    return json_reply(await shown(call, claims), headers=(("X-Subject-Token", call.headers["x-subject-token"]),))


async def revoke_token(call: Call) -> Reply:
    """Revoke the token in X-Subject-Token.  Tokens that were issued from it remain valid."""
    claims = await _subject(call)
    await apply_change(call, call.deps.identity.revoke_token(claims.audit_ids[0], claims.expires_at))
    return Reply()


async def show_catalog(call: Call) -> Reply:
    """Show the service catalog of the token's project."""
    links = {"self": call.links.to("/auth/catalog"), "previous": None, "next": None}
    context = call.context
    catalog = await catalog_of(call, context.user_id, context.project_id)
    return json_reply({"catalog": catalog, "links": links})


async def list_projects(call: Call) -> Reply:
    """List the projects for which the token's user can request a token."""
    found = await call.db.read(readers.list_projects, call.context.user_id)
    return collection(call, "projects", [project_view(call, project) for project in found if project.enabled])


async def list_domains(call: Call) -> Reply:
    """List the domains for which the token's user can request a token."""
    roles = await call.db.read(readers.roles_beyond_projects, call.context.user_id, Target.DOMAIN)
    return collection(call, "domains", [view(call)] if roles else [])


async def list_systems(call: Call) -> Reply:
    """Show whether the token's user can request a system-scoped token."""
    roles = await call.db.read(readers.roles_beyond_projects, call.context.user_id, Target.SYSTEM)
    return json_reply({"system": [{"all": True}] if roles else [], "links": {"self": call.links.to(call.path)}})


async def shown(call: Call, claims: Claims) -> dict[str, Any]:
    """A token's body."""
    subject = claims.subject
    token: dict[str, Any] = {
        "methods": list(claims.methods),
        "user": {"id": subject.user_id, "name": subject.user_name, "domain": DOMAIN, "password_expires_at": None},
        "audit_ids": list(claims.audit_ids),
        "issued_at": micros_z(claims.issued_at),
        "expires_at": micros_z(claims.expires_at),
    }
    if subject.credential is not None:
        reference = subject.credential
        restricted = {"id": reference.id, "name": reference.name, "restricted": reference.restricted}
        token["application_credential"] = restricted
    if subject.project_id:
        token["project"] = {"id": subject.project_id, "name": subject.project_name, "domain": DOMAIN}
        token["is_domain"] = False
    elif subject.scope:
        token[subject.scope] = {"all": True} if subject.scope == Target.SYSTEM else DOMAIN
    else:
        return {"token": token}
    ids = await role_ids(call)
    token["roles"] = [{"id": ids[name], "name": name} for name in subject.roles]
    if call.query.text("nocatalog") is None:
        token["catalog"] = await catalog_of(call, subject.user_id, subject.project_id)
    return {"token": token}
