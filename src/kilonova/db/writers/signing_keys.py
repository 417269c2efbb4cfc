# SPDX-License-Identifier: Apache-2.0
"""Writing the keys that the processes of a fleet share."""

from datetime import datetime

import sqlalchemy as sa

from kilonova.db.schema import signing_keys
from kilonova.db.transaction import Transaction
from kilonova.objects.signing_key import SigningKey


def insert(tx: Transaction, purpose: str, key: SigningKey) -> None:
    """Record a new key."""
    values = {"secret": key.secret.decode(), "created_at": key.created_at, "retired_at": key.retired_at}
    tx.execute(sa.insert(signing_keys).values(purpose=purpose, id=key.id, **values))


def retire(tx: Transaction, purpose: str, now: datetime) -> None:
    """Retire the keys of a purpose that are in use."""
    in_use = (signing_keys.c.purpose == purpose) & signing_keys.c.retired_at.is_(None)
    tx.execute(sa.update(signing_keys).where(in_use).values(retired_at=now))


def delete(tx: Transaction, purpose: str, retired_before: datetime | None = None) -> None:
    """Delete the keys of a purpose: those that were retired before that time; without a time, all."""
    doomed = signing_keys.c.purpose == purpose
    if retired_before is not None:
        doomed &= signing_keys.c.retired_at < retired_before
    tx.execute(sa.delete(signing_keys).where(doomed))
