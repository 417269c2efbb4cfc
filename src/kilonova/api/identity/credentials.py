# SPDX-License-Identifier: Apache-2.0
"""Application credentials: a secret with which a program authenticates as its user in one project.

Source: Identity API v3 reference, "Application Credentials".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from typing_extensions import TypedDict

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import Route
from kilonova.api.http.views import Member, View, one
from kilonova.api.identity.auth import own_turn
from kilonova.api.identity.domain import SelfLink, collection
from kilonova.api.identity.filters import arguments, matching
from kilonova.api.identity.models import CreateCredential, NewCredential, RoleRef
from kilonova.api.identity.roles import role_ids
from kilonova.api.identity.routing import OWNER, USER, P, list_route
from kilonova.api.identity.token_cache import apply_change
from kilonova.base.errors import Forbidden, InvalidInput, NotFound
from kilonova.db.readers import identity as readers
from kilonova.db.readers.assignments import roles_of
from kilonova.identity.roles import with_implied
from kilonova.objects.identity import ApplicationCredential
from kilonova.rpcapi import api_to_conductor_identity as methods

SECRET_BYTES = 48


@dataclass(frozen=True, slots=True)
class _Shown:
    """A credential with the ids of its roles; `secret` only in the response that creates it."""

    credential: ApplicationCredential
    role_ids: Mapping[str, str]
    secret: str = ""


async def list_credentials(call: Call) -> Reply:
    """List a user's application credentials."""
    found, ids = await call.db.read(readers.list_credentials, call.params["user_id"]), await role_ids(call)
    shown = [_CREDENTIAL.show(_Shown(credential, ids), call) for credential in found]
    return _CREDENTIALS.reply(matching(call.query, shown), call)


async def show_credential(call: Call) -> Reply:
    """Show an application credential, without its secret: only a hash of it is stored."""
    return _ONE.reply(_Shown(await _find(call), await role_ids(call)), call)


async def create_credential(call: Call, body: CreateCredential) -> Reply:
    """Create an application credential for the token's project.  Only this response contains the secret."""
    request, context = body.application_credential, call.context
    _refuse_restricted(call)
    if call.params["user_id"] != context.user_id:
        raise Forbidden("A user can create application credentials only for itself.")
    if not context.project_id:
        raise InvalidInput("An application credential belongs to a project: use a project-scoped token.")
    if request.access_rules:
        raise InvalidInput("access_rules are not supported.", path="application_credential.access_rules")
    # A secret that begins with a hyphen would be an option on a command line.
    secret = request.secret or call.deps.clock.new_secret(SECRET_BYTES).lstrip("-")
    available, ids = await _available_roles(call), await role_ids(call)
    now, claims = call.deps.clock.now(), call.deps.tokens.verify(call.headers["x-auth-token"])
    credential = ApplicationCredential(
        id=call.deps.clock.new_id().replace("-", ""),
        user_id=context.user_id,
        project_id=context.project_id,
        name=request.name,
        description=request.description or "",
        secret_hash=await call.deps.passwords.hash(secret, own_turn(call)),
        roles=tuple(sorted({_role(available, one, ids) for one in request.roles})) if request.roles else context.roles,
        unrestricted=bool(request.unrestricted),
        expires_at=_expiry(request, now),
        created_at=now,
    )
    await call.deps.rpc.call(methods.CREATE_CREDENTIAL, methods.CreateCredential(credential, claims.tokens_from))
    return _CREATED.reply(_Shown(credential, ids, secret), call)


async def delete_credential(call: Call) -> Reply:
    """Delete an application credential.  Its tokens stop working."""
    _refuse_restricted(call)
    credential = await _find(call)
    await apply_change(call, methods.DELETE_CREDENTIAL, methods.DeleteCredential(credential.id))
    return Reply()


def _refuse_restricted(call: Call) -> None:
    if call.context.restricted:
        raise Forbidden("This application credential is restricted: it may not manage application credentials.")


async def _find(call: Call) -> ApplicationCredential:
    """The credential of the path, if it belongs to the path's user.  Raises NotFound."""
    credential_id = call.params["credential_id"]
    credential = await call.db.read(
        readers.find_credential, credential_id=credential_id, user_id=call.params["user_id"]
    )
    if credential is None:
        raise NotFound(f"Could not find application credential: {credential_id[:64]}.")
    return credential


async def _available_roles(call: Call) -> tuple[str, ...]:
    """The user's current roles in the project.  For a token of an application credential, that token's roles, so that
    a credential cannot create one with more roles."""
    context = call.context
    if context.by_credential:
        return context.roles
    return with_implied(await call.db.read(roles_of, context.user_id, context.project_id))


def _role(available: Iterable[str], reference: RoleRef, ids: Mapping[str, str]) -> str:
    """The name of an available role.  Raises InvalidInput for any other."""
    for name in available:
        if reference.name == name or (reference.name is None and reference.id == ids[name]):
            return name
    wanted = (reference.name or reference.id or "")[:64]
    raise InvalidInput(
        f"The user does not have the role {wanted}: an application credential can have only roles of its user.",
        path="application_credential.roles",
    )


def _expiry(request: NewCredential, now: datetime) -> datetime | None:
    if request.expires_at is None:
        return None
    try:
        at = datetime.fromisoformat(request.expires_at)
    except ValueError as exc:
        raise InvalidInput("expires_at is not an ISO 8601 time.", path="application_credential.expires_at") from exc
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    if at <= now:
        raise InvalidInput("expires_at is in the past.", path="application_credential.expires_at")
    return at


class CredentialRole(TypedDict):
    """A role of an application credential."""

    id: str
    name: str
    domain_id: None


def _roles(shown: _Shown) -> list[CredentialRole]:
    return [{"id": shown.role_ids[name], "name": name, "domain_id": None} for name in shown.credential.roles]


def _expires_at(at: datetime | None) -> str | None:
    """Without a zone, to the microsecond: Keystone writes it so, and clients parse it."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%S.%f")


def _link(credential: ApplicationCredential, call: Call) -> SelfLink:
    return {"self": call.links.to(f"/users/{credential.user_id}/application_credentials/{credential.id}")}


_CREDENTIAL = View[_Shown, Call](
    "ApplicationCredential",
    Member("id", str, lambda shown, _: shown.credential.id),
    Member("name", str, lambda shown, _: shown.credential.name),
    Member("description", str, lambda shown, _: shown.credential.description),
    Member("project_id", str, lambda shown, _: shown.credential.project_id),
    Member("user_id", str, lambda shown, _: shown.credential.user_id),
    Member("roles", list[CredentialRole], lambda shown, _: _roles(shown)),
    Member("expires_at", str | None, lambda shown, _: _expires_at(shown.credential.expires_at)),
    Member("unrestricted", bool, lambda shown, _: shown.credential.unrestricted),
    Member("links", SelfLink, lambda shown, call: _link(shown.credential, call)),
)
_NEW_CREDENTIAL = _CREDENTIAL.but("NewApplicationCredential", Member("secret", str, lambda shown, _: shown.secret))
_CREDENTIALS = collection("application_credentials", _CREDENTIAL)
_ONE = one("application_credential", _CREDENTIAL)
_CREATED = one("application_credential", _NEW_CREDENTIAL)
_PATH = USER + "/application_credentials"
_ID = _PATH + "/{credential_id}"

ROUTES = (
    list_route(_PATH, list_credentials, "list_application_credentials", OWNER, _CREDENTIALS, arguments("name")),
    Route(
        "POST", _PATH, create_credential, P + "create_application_credential", OWNER, 201, _CREATED, CreateCredential
    ),
    Route("GET", _ID, show_credential, P + "get_application_credential", OWNER, reply=_ONE),
    Route("DELETE", _ID, delete_credential, P + "delete_application_credential", OWNER, 204),
)
