# SPDX-License-Identifier: Apache-2.0
"""Reading the keys that the processes of a fleet share."""

import sqlalchemy as sa

from kilonova.db.schema import signing_keys
from kilonova.db.transaction import Snapshot
from kilonova.objects.signing_key import SigningKey


def of_purpose(snapshot: Snapshot, purpose: str) -> tuple[SigningKey, ...]:
    """All keys of a purpose, the oldest first."""
    table = signing_keys.c
    query = sa.select(signing_keys).where(table.purpose == purpose).order_by(table.created_at, table.id)
    return tuple(
        SigningKey(row.id, row.secret.encode(), row.created_at, row.retired_at) for row in snapshot.execute(query)
    )
