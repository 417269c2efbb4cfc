# SPDX-License-Identifier: Apache-2.0
"""The Idempotency-Key header of a create: the same request with the same key has the same answer as the first.

Source: the IETF's draft "The Idempotency-Key HTTP Header Field", which leaves the form of a key to the service.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from kilonova.api.compute.servers.view import CREATED
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.views import OMIT, Member, Shown, View
from kilonova.base.errors import InvalidInput
from kilonova.db.readers import idempotency
from kilonova.objects.idempotency import Idempotent

HEADER = "idempotency-key"
MOST_CHARACTERS = 255


def key_of(call: Call, body: BaseModel) -> Idempotent | None:
    """The key of the request; None without one.  Raises InvalidInput."""
    key = call.headers.get(HEADER)
    if key is None:
        return None
    if not (0 < len(key) <= MOST_CHARACTERS and key.isascii() and key.isprintable()):
        raise InvalidInput(f"An Idempotency-Key has 1 to {MOST_CHARACTERS} printable ASCII characters.", path=HEADER)
    text = f"{call.version} {body.model_dump_json(by_alias=True, exclude_unset=True)}"
    context = call.context
    return Idempotent(context.project_id, context.user_id, key, hashlib.sha256(text.encode()).hexdigest())


async def first_reply(call: Call, request: Idempotent, secret: str | None) -> Reply | None:
    """The reply to the first request with that key.  Raises IdempotencyKeyReused."""
    answer = await call.db.read(idempotency.first_answer, request, call.deps.clock.now())
    return None if answer is None else reply_of(call, answer, secret)


def answer_of(server: dict[str, Any], location: str, secret: str | None) -> str:
    """The stored form of a reply, without the `secret` of the request: a repeated request contains it again."""
    stored = {name: value for name, value in server.items() if name != "adminPass" or secret is None}
    return to_json({"body": stored, "location": location}).decode()


def reply_of(call: Call, answer: str, secret: str | None) -> Reply:
    """The first reply again."""
    stored = from_json(answer)
    body = stored["body"]
    if secret is not None and "reservation_id" not in body:
        body["adminPass"] = secret
    return accepted(call, body, stored["location"])


ACCEPTED = View[Mapping[str, object], Call](
    "",
    Member("server", Shown(CREATED), lambda body, _: OMIT if "reservation_id" in body else body, optional=True),
    Member("reservation_id", str, lambda body, _: body.get("reservation_id", OMIT), optional=True),
)
"""The answer of POST /servers: the first server, or the reservation's id."""


def accepted(call: Call, body: Mapping[str, object], location: str) -> Reply:
    """The reply to an accepted create; `body` is a CREATED view or has the reservation's id."""
    return ACCEPTED.reply(body, call, headers=(("Location", location),))
