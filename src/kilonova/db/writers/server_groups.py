# SPDX-License-Identifier: Apache-2.0
"""Writing server groups."""

import sqlalchemy as sa

from kilonova.db.codec import SERVER_GROUPS
from kilonova.db.schema import instances, server_groups
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import ServerGroupId
from kilonova.objects.server_group import ServerGroup


def insert(tx: Transaction, group: ServerGroup) -> bool:
    """Record a group; False if its id is known already (the same request, delivered again)."""
    known = tx.execute(sa.select(server_groups.c.id).where(server_groups.c.id == group.id)).first()
    if known is not None:
        return False
    tx.execute(sa.insert(server_groups).values(**SERVER_GROUPS.dump(group)))
    return True


def delete(tx: Transaction, group_id: ServerGroupId) -> None:
    """Delete a group; its instances stay, without a group.  A missing group is not an error."""
    tx.execute(sa.update(instances).where(instances.c.server_group_id == group_id).values(server_group_id=None))
    tx.execute(sa.delete(server_groups).where(server_groups.c.id == group_id))


def lock(tx: Transaction, group_id: ServerGroupId) -> ServerGroup | None:
    """The group, locked against this call in other transactions until this one ends; None if it does not exist.

    (SQLite has one writer at a time, and no row locks.)
    """
    query = sa.select(server_groups).where(server_groups.c.id == group_id).with_for_update()
    return SERVER_GROUPS.load_first(tx.execute(query))
