# SPDX-License-Identifier: Apache-2.0
"""Key pairs of users.  From 2.10 an administrator can name another user.

Source: Compute API reference, "Keypairs".
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import StringConstraints

from kilonova.api.compute.catalog import certificates, public_keys
from kilonova.api.compute.strict import STRICT
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Page, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import micros
from kilonova.api.http.views import OMIT, Member, View, one, paged
from kilonova.base.errors import Forbidden
from kilonova.db.readers import keypairs as read_keypairs
from kilonova.objects.keypair import Keypair
from kilonova.rpcapi.api_to_conductor import CREATE_KEYPAIR, DELETE_KEYPAIR, DeleteKeypair, PutKeypair

ARGUMENTS = frozenset({"user_id", "limit", "marker"})
PAGED = v2(35)

_KeypairName = Annotated[
    str, StringConstraints(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_-]([A-Za-z0-9 _-]*[A-Za-z0-9_-])?$")
]


class NewKeypair(Body):
    """Without a public key the service generates a pair; only this response contains the private key."""

    since: ClassVar = {"type": v2(2), "user_id": v2(10)}

    name: _KeypairName
    public_key: Annotated[str, StringConstraints(max_length=65535)] | None = None
    type: Literal["ssh", "x509"] = "ssh"
    user_id: Annotated[str, StringConstraints(max_length=255)] | None = None


class CreateKeypair(Body):
    keypair: NewKeypair


def _user_of(call: Call, user_id: str | None) -> str:
    """The id of the user whose keys the request is for.  Raises Forbidden for another user."""
    if user_id is None or call.version < v2(10) or user_id == call.context.user_id:
        return call.context.user_id
    if not call.context.is_admin:
        raise Forbidden("Policy doesn't allow os_compute_api:os-keypairs to be performed for another user.")
    return user_id


M = Member[Keypair, Call]
_SUMMARY = View(
    "KeypairSummary",
    M("name", str, lambda keypair, _: keypair.name),
    M("public_key", str, lambda keypair, _: keypair.public_key),
    M("fingerprint", str, lambda keypair, _: keypair.fingerprint),
    M("type", str, lambda keypair, _: keypair.type, since=v2(2)),
)
_KEYPAIRS = paged("keypairs", one("keypair", _SUMMARY), since=PAGED)
_SHOWN = one(
    "keypair",
    _SUMMARY.but(
        "Keypair",
        M("user_id", str, lambda keypair, _: keypair.user_id),
        M("id", int, lambda keypair, _: keypair.id),
        M("created_at", str, lambda keypair, _: micros(keypair.created_at)),
        M("updated_at", None, lambda _, __: None),
        M("deleted", bool, lambda _, __: False),
        M("deleted_at", None, lambda _, __: None),
    ),
)


@dataclass(frozen=True, slots=True)
class _New:
    """A created key pair; `private_key` if the service generated the pair."""

    keypair: Keypair
    private_key: str | None


_N = Member[_New, Call]
_CREATED = one(
    "keypair",
    View(
        "CreatedKeypair",
        _N("name", str, lambda new, _: new.keypair.name),
        _N("public_key", str, lambda new, _: new.keypair.public_key),
        _N("fingerprint", str, lambda new, _: new.keypair.fingerprint),
        _N("type", str, lambda new, _: new.keypair.type, since=v2(2)),
        _N("user_id", str, lambda new, _: new.keypair.user_id),
        _N("private_key", str, lambda new, _: OMIT if new.private_key is None else new.private_key, optional=True),
    ),
)


async def list_keypairs(call: Call) -> Reply:
    """List key pairs by name; from 2.35 in pages."""
    found = await call.db.read(read_keypairs.list_keypairs, _user_of(call, call.query.text("user_id")))
    if call.version < PAGED:
        return _KEYPAIRS.reply(Page(found), call)
    window = call.query.page(call.deps.settings.max_limit)
    entries = window.behind(found, lambda keypair: keypair.name)[: window.limit]
    return _KEYPAIRS.reply(call.page(entries, window.limit, lambda keypair: keypair.name), call)


async def show(call: Call) -> Reply:
    """Show a key pair."""
    user_id = _user_of(call, call.query.text("user_id"))
    keypair = await call.db.read(read_keypairs.get_keypair, user_id, call.params["name"])
    return _SHOWN.reply(keypair, call)


async def create(call: Call, body: CreateKeypair) -> Reply:
    """Create or import a key pair: 200 at 2.1, 201 from 2.2."""
    fields, now = body.keypair, call.deps.clock.now()
    user_id = _user_of(call, fields.user_id)
    public_key, private_key = _halves(fields, user_id, now)
    fingerprint = public_keys.fingerprint if fields.type == "ssh" else certificates.fingerprint
    keypair = Keypair(
        user_id=user_id,
        name=fields.name,
        type=fields.type,
        public_key=public_key,
        fingerprint=fingerprint(public_key),
        created_at=now,
    )
    await call.deps.rpc.call(CREATE_KEYPAIR, PutKeypair(keypair, call.context.project_id))
    return _CREATED.reply(_New(keypair, private_key), call, status=200 if call.version < v2(2) else 201)


def _halves(fields: NewKeypair, user_id: str, now: datetime) -> tuple[str, str | None]:
    """The public key exactly as the client sent it, because clients compare it; or a generated pair."""
    if fields.public_key is not None:
        check = public_keys.check if fields.type == "ssh" else certificates.check
        check(fields.public_key)
        return fields.public_key, None
    if fields.type == "ssh":
        return public_keys.generated("Generated-by-Kilonova")
    return certificates.generated(user_id, now)


async def delete(call: Call) -> Reply:
    """Delete a key pair: 202 at 2.1, 204 from 2.2."""
    user_id = _user_of(call, call.query.text("user_id"))
    keypair = await call.db.read(read_keypairs.get_keypair, user_id, call.params["name"])
    await call.deps.rpc.call(DELETE_KEYPAIR, DeleteKeypair(keypair.user_id, keypair.name))
    return Reply(status=202 if call.version < v2(2) else 204)


ROUTES = (
    Route("GET", "/os-keypairs", list_keypairs, "os_compute_api:os-keypairs:index", DefaultPolicy.READER,
        reply=_KEYPAIRS, query=ARGUMENTS, strict=STRICT),
    Route("POST", "/os-keypairs", create, "os_compute_api:os-keypairs:create", DefaultPolicy.MEMBER, 201,
        reply=_CREATED, note="200 at 2.1", also=(200,), body=CreateKeypair),
    Route("GET", "/os-keypairs/{name}", show, "os_compute_api:os-keypairs:show", DefaultPolicy.READER,
        reply=_SHOWN, query=frozenset({"user_id"}), strict=STRICT),
    Route("DELETE", "/os-keypairs/{name}", delete, "os_compute_api:os-keypairs:delete", DefaultPolicy.MEMBER, 204,
        note="202 at 2.1", also=(202,), query=frozenset({"user_id"}), strict=STRICT),
)  # fmt: skip
