# SPDX-License-Identifier: Apache-2.0
"""Application credentials: a secret of a program's own, which stands for its user in one project.

Source: Identity API v3 reference, "Application Credentials".
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.identity.auth import own_turn
from kilonova.api.identity.domain import collection
from kilonova.api.identity.filters import matching
from kilonova.api.identity.models import CreateCredential, NewCredential, RoleRef
from kilonova.api.identity.roles import role_ids
from kilonova.api.identity.token_cache import edited
from kilonova.base.errors import Forbidden, InvalidInput, NotFound
from kilonova.db.readers import identity as readers
from kilonova.db.readers.assignments import roles_of
from kilonova.identity.roles import with_implied
from kilonova.objects.identity import ApplicationCredential
from kilonova.rpcapi import api_to_conductor_identity as methods

SECRET_BYTES = 48


async def list_credentials(call: Call) -> Reply:
    """GET /v3/users/{id}/application_credentials."""
    found, ids = await call.db.read(readers.list_credentials, call.params["user_id"]), await role_ids(call)
    shown = [_view(call, one, ids) for one in found]
    return collection(call, "application_credentials", matching(call.query, shown))


async def show_credential(call: Call) -> Reply:
    """GET /v3/users/{id}/application_credentials/{id}: without its secret, which nobody has any more."""
    return json_reply({"application_credential": _view(call, await _find(call), await role_ids(call))})


async def create_credential(call: Call, body: CreateCredential) -> Reply:
    """POST /v3/users/{id}/application_credentials: in the token's project; the secret is in this answer only."""
    asked, context = body.application_credential, call.context
    _refuse_restricted(call)
    if call.params["user_id"] != context.user_id:
        raise Forbidden("Application credentials are made by their own user.")
    if not context.project_id:
        raise InvalidInput("An application credential is for a project: use a token that has one.")
    if asked.access_rules:
        raise InvalidInput("access_rules are not supported here.", path="application_credential.access_rules")
    # A secret that begins with a hyphen would be an option on a command line.
    secret = asked.secret or call.deps.clock.new_secret(SECRET_BYTES).lstrip("-")
    had, ids = await _roles_to_give(call), await role_ids(call)
    now, claims = call.deps.clock.now(), call.deps.tokens.verify(call.headers["x-auth-token"])
    credential = ApplicationCredential(
        id=call.deps.clock.new_id().replace("-", ""),
        user_id=context.user_id,
        project_id=context.project_id,
        name=asked.name,
        description=asked.description or "",
        secret_hash=await call.deps.passwords.hash(secret, own_turn(call)),
        roles=context.roles if not asked.roles else tuple(sorted({_role(had, one, ids) for one in asked.roles})),
        unrestricted=bool(asked.unrestricted),
        expires_at=_expiry(asked, now),
        created_at=now,
    )
    await call.deps.rpc.call(methods.CREATE_CREDENTIAL, methods.CreateCredential(credential, claims.tokens_from))
    return json_reply({"application_credential": {**_view(call, credential, ids), "secret": secret}})


async def delete_credential(call: Call) -> Reply:
    """DELETE /v3/users/{id}/application_credentials/{id}.  Its tokens stop working."""
    _refuse_restricted(call)
    credential = await _find(call)
    await edited(call, call.deps.rpc.call(methods.DELETE_CREDENTIAL, methods.DeleteCredential(credential.id)))
    return Reply()


def _refuse_restricted(call: Call) -> None:
    if call.context.restricted:
        raise Forbidden("This application credential is restricted: it may not manage application credentials.")


async def _find(call: Call) -> ApplicationCredential:
    """The credential of the path, if it is the path's user's.  Raises NotFound."""
    asked = call.params["credential_id"]
    credential = await call.db.read(readers.find_credential, credential_id=asked, user_id=call.params["user_id"])
    if credential is None:
        raise NotFound(f"Could not find application credential: {asked[:64]}.")
    return credential


async def _roles_to_give(call: Call) -> tuple[str, ...]:
    """The user's roles in the project, also those that came after the token was made; of a token that was given for a
    credential its own, so that none gives more than it has."""
    context = call.context
    if context.by_credential:
        return context.roles
    return with_implied(await call.db.read(roles_of, context.user_id, context.project_id))


def _role(had: Iterable[str], asked: RoleRef, ids: Mapping[str, str]) -> str:
    """The name of a role that may be given.  Raises InvalidInput for any other."""
    for name in had:
        if asked.name == name or (asked.name is None and asked.id == ids[name]):
            return name
    wanted = (asked.name or asked.id or "")[:64]
    raise InvalidInput(
        f"The user does not have the role {wanted}: a credential has roles of its user's.",
        path="application_credential.roles",
    )


def _expiry(asked: NewCredential, now: datetime) -> datetime | None:
    if asked.expires_at is None:
        return None
    try:
        at = datetime.fromisoformat(asked.expires_at)
    except ValueError as exc:
        raise InvalidInput("expires_at is no ISO 8601 time.", path="application_credential.expires_at") from exc
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    if at <= now:
        raise InvalidInput("expires_at is in the past.", path="application_credential.expires_at")
    return at


def _view(call: Call, one: ApplicationCredential, ids: Mapping[str, str]) -> dict[str, Any]:
    path = f"/users/{one.user_id}/application_credentials/{one.id}"
    return {
        "id": one.id,
        "name": one.name,
        "description": one.description,
        "project_id": one.project_id,
        "user_id": one.user_id,
        "roles": [{"id": ids[name], "name": name, "domain_id": None} for name in one.roles],
        # Without a zone, to the microsecond: Identity writes it so here, and clients parse it back.
        "expires_at": None if one.expires_at is None else one.expires_at.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "unrestricted": one.unrestricted,
        "links": {"self": call.links.to(path)},
    }
