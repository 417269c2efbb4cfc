# SPDX-License-Identifier: Apache-2.0
"""Reading the keys of creates."""

from datetime import datetime

import sqlalchemy as sa

from kilonova.base.errors import IdempotencyKeyReused
from kilonova.db.schema import idempotency_keys
from kilonova.db.transaction import Snapshot
from kilonova.objects.idempotency import KEPT, Idempotent

_FIND = sa.select(idempotency_keys.c.fingerprint, idempotency_keys.c.answer).where(
    idempotency_keys.c.project_id == sa.bindparam("project"),
    idempotency_keys.c.user_id == sa.bindparam("user"),
    idempotency_keys.c.key == sa.bindparam("name"),
    idempotency_keys.c.created_at > sa.bindparam("since"),
)


def first_answer(snapshot: Snapshot, request: Idempotent, now: datetime) -> str | None:
    """The answer to the first request with this key; None when there was none, or it has expired.  Raises
    IdempotencyKeyReused when that was another request."""
    values = {"project": request.project_id, "user": request.user_id, "name": request.key, "since": now - KEPT}
    row = snapshot.execute(_FIND, values).first()
    if row is None:
        return None
    if row.fingerprint != request.fingerprint:
        raise IdempotencyKeyReused("The Idempotency-Key was used for another request: take a new one for this.")
    return row.answer
