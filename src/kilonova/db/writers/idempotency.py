# SPDX-License-Identifier: Apache-2.0
"""Writing the keys of creates."""

from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from kilonova.db.schema import idempotency_keys
from kilonova.db.transaction import Transaction
from kilonova.objects.idempotency import KEPT, Idempotent


def keep(tx: Transaction, request: Idempotent, now: datetime) -> None:
    """Record the answer under its key, and delete expired keys of all users."""
    tx.execute(sa.delete(idempotency_keys).where(idempotency_keys.c.created_at <= now - KEPT))
    tx.execute(sa.insert(idempotency_keys).values(**asdict(request), created_at=now))
