# SPDX-License-Identifier: Apache-2.0
"""Tokens over HTTP: log in by password or by a token, look at a token."""

from typing import Any

import sqlalchemy as sa

from kilonova.api.call import Call, Reply, json_reply
from kilonova.api.identity.catalog import DOMAIN, catalog, role_id
from kilonova.api.identity.models import AuthRequest, Domain, Methods, ProjectRef, Scope, UserRef
from kilonova.api.times import micros_z
from kilonova.base.errors import InvalidInput, NotFound, Unauthorized
from kilonova.db.readers import identity as readers
from kilonova.db.readers.identity import Project, User
from kilonova.identity.tokens import Claims, Subject

_WRONG = "The request you have made requires authentication."
# One sentence for every reason: it must not say which part was wrong.


async def create_token(call: Call, body: AuthRequest) -> Reply:
    """POST /v3/auth/tokens: 201 with the token in X-Subject-Token."""
    identity, scope = body.auth.identity, body.auth.scope
    if isinstance(scope, str):
        if scope == "unscoped":
            raise Unauthorized(_WRONG)
        raise InvalidInput("It is a project, or the word unscoped.", path="auth.scope")
    parent = None
    if identity.methods == ["token"] and identity.token is not None:
        parent = call.deps.tokens.verify(identity.token.id)
        user = await call.db.read(_user_by_id, parent.subject.user_id)
    else:
        user = await _by_password(call, identity)
    subject = await call.db.read(_scoped, user, scope, parent)
    text, claims = call.deps.tokens.mint(subject, tuple(identity.methods), parent)
    return json_reply(_token(call, claims), headers=(("X-Subject-Token", text),))


async def _by_password(call: Call, identity: Methods) -> User:
    if identity.methods != ["password"] or identity.password is None:
        raise Unauthorized("Only the methods password and token are served, one at a time.")
    asked = identity.password.user
    user = await call.db.read(_find_user, asked)
    matches = await call.deps.passwords.verify(None if user is None else user.password_hash, asked.password)
    if user is None or not matches:
        raise Unauthorized(_WRONG)
    return user


def _find_user(connection: sa.Connection, asked: UserRef) -> User | None:
    if asked.id is not None:
        return readers.find_user(connection, user_id=asked.id)
    if asked.name is None or not _is_ours(asked.domain):
        return None
    return readers.find_user(connection, name=asked.name)


def _user_by_id(connection: sa.Connection, user_id: str) -> User:
    user = readers.find_user(connection, user_id=user_id)
    if user is None:
        raise Unauthorized(_WRONG)
    return user


def _is_ours(domain: Domain | None) -> bool:
    if domain is None:
        return True
    if domain.id is not None:
        return domain.id == DOMAIN["id"]
    return (domain.name or "").casefold() == DOMAIN["name"].casefold()


def _scoped(connection: sa.Connection, user: User, scope: Scope | None, parent: Claims | None) -> Subject:
    """The user in the project that was asked for, the parent token's, or the default one.  Raises Unauthorized when
    there is no such project, or no role in it."""
    if scope is None:
        project_id = user.default_project_id if parent is None else parent.subject.project_id
        if project_id is None:
            raise Unauthorized("The user has no default project: name one as the scope.")
        asked = ProjectRef(id=project_id)
    elif scope.project is None:
        raise Unauthorized("Only a project can be the scope of a token.")
    else:
        asked = scope.project
    project = _find_project(connection, asked)
    roles = () if project is None else readers.roles_of(connection, user.id, project.id)
    if project is None or not roles:
        raise Unauthorized(_WRONG)
    return Subject(user.id, user.name, project.id, project.name, roles)


def _find_project(connection: sa.Connection, asked: ProjectRef) -> Project | None:
    if asked.id is not None:
        return readers.find_project(connection, project_id=asked.id)
    if asked.name is None or not _is_ours(asked.domain):
        return None
    return readers.find_project(connection, name=asked.name)


async def show_token(call: Call) -> Reply:
    """GET /v3/auth/tokens: what the token in X-Subject-Token says.  One's own, or any for an administrator."""
    text = call.headers.get("x-subject-token")
    if not text:
        raise InvalidInput("The header X-Subject-Token is missing.")
    try:
        claims = call.deps.tokens.verify(text)
    except Unauthorized as exc:
        raise NotFound("Could not find the token.") from exc
    if not call.context.is_admin and claims.subject.user_id != call.context.user_id:
        raise NotFound("Could not find the token.")
    return json_reply(_token(call, claims), headers=(("X-Subject-Token", text),))


async def show_catalog(call: Call) -> Reply:
    """GET /v3/auth/catalog."""
    links = {"self": call.links.to("/auth/catalog"), "previous": None, "next": None}
    return json_reply({"catalog": catalog(call.links.base), "links": links})


def _token(call: Call, claims: Claims) -> dict[str, Any]:
    subject = claims.subject
    token: dict[str, Any] = {
        "methods": list(claims.methods),
        "user": {"id": subject.user_id, "name": subject.user_name, "domain": DOMAIN, "password_expires_at": None},
        "project": {"id": subject.project_id, "name": subject.project_name, "domain": DOMAIN},
        "is_domain": False,
        "roles": [{"id": role_id(name), "name": name} for name in subject.roles],
        "audit_ids": list(claims.audit_ids),
        "issued_at": micros_z(claims.issued_at),
        "expires_at": micros_z(claims.expires_at),
    }
    if call.query.text("nocatalog") is None:
        token["catalog"] = catalog(call.links.base)
    return {"token": token}
