# SPDX-License-Identifier: Apache-2.0
"""Writing the keys of creates."""

from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from kilonova.db.schema import idempotency_keys
from kilonova.db.transaction import Transaction
from kilonova.objects.idempotency import KEPT, Idempotent

_KEY = idempotency_keys.c
_INSERT = sa.insert(idempotency_keys)
_EXPIRED = sa.delete(idempotency_keys).where(
    _KEY.project_id == sa.bindparam("of_project"),
    _KEY.user_id == sa.bindparam("of_user"),
    _KEY.key == sa.bindparam("of_key"),
    _KEY.created_at <= sa.bindparam("until"),
)


def keep(tx: Transaction, request: Idempotent, now: datetime) -> None:
    """Record the answer under its key.  An expired answer under this key goes at once, others with the next purge."""
    same = {"of_project": request.project_id, "of_user": request.user_id, "of_key": request.key}
    tx.execute(_EXPIRED, {**same, "until": now - KEPT})
    tx.execute(_INSERT, {**asdict(request), "created_at": now})
