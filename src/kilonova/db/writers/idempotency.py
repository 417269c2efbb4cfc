# SPDX-License-Identifier: Apache-2.0
"""Writing the keys of creates."""

from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from kilonova.db.schema import idempotency_keys
from kilonova.db.transaction import Transaction
from kilonova.objects.idempotency import KEPT, Idempotent


def keep(tx: Transaction, request: Idempotent, now: datetime) -> None:
    """Record the answer under its key.  An expired answer under this key goes at once, others with the next purge."""
    key = idempotency_keys.c
    same = (key.project_id == request.project_id, key.user_id == request.user_id, key.key == request.key)
    tx.execute(sa.delete(idempotency_keys).where(*same, key.created_at <= now - KEPT))
    tx.execute(sa.insert(idempotency_keys).values(**asdict(request), created_at=now))
