# SPDX-License-Identifier: Apache-2.0
"""Deleting the records of instances that were deleted long ago."""

from datetime import datetime

import sqlalchemy as sa

from kilonova.db.schema import action_events, actions, addresses, instances, migrations, placements
from kilonova.db.transaction import Transaction

AT_A_TIME = 100
"""The maximum number of instances in one transaction: it delays other writes by some milliseconds."""


def purge_deleted(tx: Transaction, before: datetime) -> int:
    """Purge up to AT_A_TIME instances that were deleted before this time, the oldest first, with their actions,
    events, placements, migrations and addresses; returns their number. An instance whose guest its host must still
    remove stays."""
    open_ = sa.select(actions.c.id).where(
        actions.c.instance_id == instances.c.id, actions.c.state == sa.literal_column("'open'")
    )
    old = sa.select(instances.c.id).where(instances.c.deleted_at < before, ~sa.exists(open_))
    ids = list(tx.execute(old.order_by(instances.c.deleted_at).limit(AT_A_TIME)).scalars())
    if not ids:
        return 0
    theirs = sa.select(actions.c.id).where(actions.c.instance_id.in_(ids))
    for table in (action_events, placements):
        tx.execute(sa.delete(table).where(table.c.action_id.in_(theirs)))
    for table in (actions, migrations, addresses):
        tx.execute(sa.delete(table).where(table.c.instance_id.in_(ids)))
    tx.execute(sa.delete(instances).where(instances.c.id.in_(ids)))
    return len(ids)
