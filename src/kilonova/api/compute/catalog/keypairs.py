# SPDX-License-Identifier: Apache-2.0
"""Key pairs: a user's own; an administrator may name another user from 2.10.

Source: Compute API reference, "Keypairs".
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import StringConstraints

from kilonova.api.compute.catalog import certificates, public_keys
from kilonova.api.compute.strict import STRICT
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import micros
from kilonova.base.errors import Forbidden
from kilonova.db.readers import keypairs as read_keypairs
from kilonova.objects.keypair import Keypair
from kilonova.rpcapi.api_to_conductor import CREATE_KEYPAIR, DELETE_KEYPAIR, DeleteKeypair, PutKeypair

ARGUMENTS = frozenset({"user_id", "limit", "marker"})

_KeypairName = Annotated[
    str, StringConstraints(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_-]([A-Za-z0-9 _-]*[A-Za-z0-9_-])?$")
]


class NewKeypair(Body):
    """Without a public key a pair is made, and its private half is in the answer, and nowhere else."""

    since: ClassVar = {"type": v2(2), "user_id": v2(10)}

    name: _KeypairName
    public_key: Annotated[str, StringConstraints(max_length=65535)] | None = None
    type: Literal["ssh", "x509"] = "ssh"
    user_id: Annotated[str, StringConstraints(max_length=255)] | None = None


class CreateKeypair(Body):
    keypair: NewKeypair


def _user_of(call: Call, user_id: str | None) -> str:
    """Whose keys are meant.  Raises Forbidden for another's."""
    if user_id is None or call.version < v2(10) or user_id == call.context.user_id:
        return call.context.user_id
    if not call.context.is_admin:
        raise Forbidden("Policy doesn't allow os_compute_api:os-keypairs to be performed for another user.")
    return user_id


async def list_keypairs(call: Call) -> Reply:
    """GET /os-keypairs, by name; from 2.35 page by page."""
    found = await call.db.read(read_keypairs.list_keypairs, _user_of(call, call.query.text("user_id")))
    if call.version < v2(35):
        return json_reply({"keypairs": [{"keypair": _brief(keypair, call)} for keypair in found]})
    window = call.query.page(call.deps.settings.max_limit)
    page = window.behind(found, lambda keypair: keypair.name)[: window.limit]
    answer: dict[str, Any] = {"keypairs": [{"keypair": _brief(keypair, call)} for keypair in page]}
    if page and len(page) == window.limit:
        answer.update(call.next_page("keypairs_links", page[-1].name))
    return json_reply(answer)


async def show(call: Call) -> Reply:
    """GET /os-keypairs/{name}."""
    user_id = _user_of(call, call.query.text("user_id"))
    keypair = await call.db.read(read_keypairs.get_keypair, user_id, call.params["name"])
    shown = {
        **_brief(keypair, call),
        "user_id": keypair.user_id,
        "id": keypair.id,
        "created_at": micros(keypair.created_at),
        "updated_at": None,
        "deleted": False,
        "deleted_at": None,
    }
    return json_reply({"keypair": shown})


async def create(call: Call, body: CreateKeypair) -> Reply:
    """POST /os-keypairs: 200 at 2.1, 201 from 2.2."""
    asked, now = body.keypair, call.deps.clock.now()
    user_id = _user_of(call, asked.user_id)
    public_key, private_key = _halves(asked, user_id, now)
    fingerprint = public_keys.fingerprint if asked.type == "ssh" else certificates.fingerprint
    keypair = Keypair(
        user_id=user_id,
        name=asked.name,
        type=asked.type,
        public_key=public_key,
        fingerprint=fingerprint(public_key),
        created_at=now,
    )
    await call.deps.rpc.call(CREATE_KEYPAIR, PutKeypair(keypair, call.context.project_id))
    shown = {**_brief(keypair, call), "user_id": user_id}
    if private_key is not None:
        shown["private_key"] = private_key
    return json_reply({"keypair": shown}, status=200 if call.version < v2(2) else 201)


def _halves(asked: NewKeypair, user_id: str, now: datetime) -> tuple[str, str | None]:
    """The public half just as it was given, to its last character: clients compare.  Or both, made here."""
    if asked.public_key is not None:
        check = public_keys.check if asked.type == "ssh" else certificates.check
        check(asked.public_key)
        return asked.public_key, None
    if asked.type == "ssh":
        return public_keys.generated("Generated-by-Kilonova")
    return certificates.generated(user_id, now)


async def delete(call: Call) -> Reply:
    """DELETE /os-keypairs/{name}: 202 at 2.1, 204 from 2.2."""
    user_id = _user_of(call, call.query.text("user_id"))
    keypair = await call.db.read(read_keypairs.get_keypair, user_id, call.params["name"])
    await call.deps.rpc.call(DELETE_KEYPAIR, DeleteKeypair(keypair.user_id, keypair.name))
    return Reply(status=202 if call.version < v2(2) else 204)


def _brief(keypair: Keypair, call: Call) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": keypair.name,
        "public_key": keypair.public_key,
        "fingerprint": keypair.fingerprint,
    }
    if call.version >= v2(2):
        shown["type"] = keypair.type
    return shown


ROUTES = (
    Route("GET", "/os-keypairs", list_keypairs, "os_compute_api:os-keypairs:index", DefaultPolicy.READER,
        note="{keypairs: [{keypair}]}", query=ARGUMENTS, strict=STRICT),
    Route("POST", "/os-keypairs", create, "os_compute_api:os-keypairs:create", DefaultPolicy.MEMBER, 201,
        note="{keypair}; 200 at 2.1", also=(200,), body=CreateKeypair),
    Route("GET", "/os-keypairs/{name}", show, "os_compute_api:os-keypairs:show", DefaultPolicy.READER,
        note="{keypair}", query=frozenset({"user_id"}), strict=STRICT),
    Route("DELETE", "/os-keypairs/{name}", delete, "os_compute_api:os-keypairs:delete", DefaultPolicy.MEMBER, 204,
        note="no body; 202 at 2.1", also=(202,), query=frozenset({"user_id"}), strict=STRICT),
)  # fmt: skip
