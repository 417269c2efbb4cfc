# SPDX-License-Identifier: Apache-2.0
"""The Idempotency-Key header of a create: the same request under the same key is answered as the first one was.

Source: the IETF's draft "The Idempotency-Key HTTP Header Field", which leaves the form of a key to the service.
"""

import hashlib
from typing import Any

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.base.errors import InvalidInput
from kilonova.db.readers import idempotency
from kilonova.objects.idempotency import Idempotent

HEADER = "idempotency-key"
MOST_CHARACTERS = 255


def key_of(call: Call, body: BaseModel) -> Idempotent | None:
    """The key of the request, if it has one.  Raises InvalidInput."""
    key = call.headers.get(HEADER)
    if key is None:
        return None
    if not (0 < len(key) <= MOST_CHARACTERS and key.isascii() and key.isprintable()):
        raise InvalidInput(f"An Idempotency-Key has 1 to {MOST_CHARACTERS} printable ASCII characters.", path=HEADER)
    said = f"{call.version} {body.model_dump_json(by_alias=True, exclude_unset=True)}"
    context = call.context
    return Idempotent(context.project_id, context.user_id, key, hashlib.sha256(said.encode()).hexdigest())


async def first_reply(call: Call, asked: Idempotent, secret: str | None) -> Reply | None:
    """The reply to the first request of that key.  Raises IdempotencyKeyReused."""
    answer = await call.db.read(idempotency.first_answer, asked, call.deps.clock.now())
    return None if answer is None else reply_of(answer, secret)


def answer_of(server: dict[str, Any], location: str, secret: str | None) -> str:
    """What is kept of a reply: not the `secret` that the client gave, who gives it again."""
    kept = {name: value for name, value in server.items() if name != "adminPass" or secret is None}
    return to_json({"body": kept, "location": location}).decode()


def reply_of(answer: str, secret: str | None) -> Reply:
    """The first reply again."""
    kept = from_json(answer)
    body = kept["body"]
    if secret is not None and "reservation_id" not in body:
        body["adminPass"] = secret
    whole = body if "reservation_id" in body else {"server": body}
    return json_reply(whole, headers=(("Location", kept["location"]),))
