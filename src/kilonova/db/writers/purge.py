# SPDX-License-Identifier: Apache-2.0
"""Forgetting what was deleted long ago."""

from datetime import datetime

import sqlalchemy as sa

from kilonova.db.schema import action_events, actions, addresses, instances, migrations
from kilonova.db.transaction import Transaction

AT_A_TIME = 100
"""Instances in one transaction: it holds up other writes for some milliseconds."""


def purge_deleted(tx: Transaction, before: datetime) -> int:
    """Forget up to AT_A_TIME instances that were deleted before then, the oldest first, with their actions, events,
    migrations and addresses; how many.  An instance whose guest its host has still to remove stays."""
    open_ = sa.select(actions.c.id).where(
        actions.c.instance_id == instances.c.id, actions.c.state == sa.literal_column("'open'")
    )
    old = sa.select(instances.c.id).where(instances.c.deleted_at < before, ~sa.exists(open_))
    ids = list(tx.execute(old.order_by(instances.c.deleted_at).limit(AT_A_TIME)).scalars())
    if not ids:
        return 0
    theirs = sa.select(actions.c.id).where(actions.c.instance_id.in_(ids))
    tx.execute(sa.delete(action_events).where(action_events.c.action_id.in_(theirs)))
    for table in (actions, migrations, addresses):
        tx.execute(sa.delete(table).where(table.c.instance_id.in_(ids)))
    tx.execute(sa.delete(instances).where(instances.c.id.in_(ids)))
    return len(ids)
