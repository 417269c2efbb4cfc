# SPDX-License-Identifier: Apache-2.0
"""Deletes records that are not needed any more, a bounded number of rows in each transaction.

A deleted server goes in two steps.  First it is marked as purged, after its actions are deleted: no list shows it.
Its row goes later (GRACE), because a client that reads a list in pages may name it as the last one of its page.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kilonova.db.readers import purge as due
from kilonova.db.readers.purge import Counts, Kind
from kilonova.db.schema import (
    action_events,
    actions,
    idempotency_keys,
    instances,
    migrations,
    placements,
    revoked_tokens,
)
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import InstanceId

SERVERS = 100
"""The maximum number of servers that one transaction purges."""
AT_ONCE = 200
"""The maximum number of actions, of keys, or of tokens that one transaction deletes: it delays other writes by some
milliseconds."""


def purge_servers(tx: Transaction, before: datetime, now: datetime) -> Counts:
    """Purge the servers that were deleted before this time, the oldest first.  Returns how many records of each kind;
    none: nothing is left that is due now."""
    ids = list(
        tx.execute(
            sa.select(instances.c.id).where(due.deleted_and_due(before)).order_by(instances.c.deleted_at).limit(SERVERS)
        ).scalars()
    )
    if not ids:
        return {}
    theirs = sa.select(actions.c.id).where(actions.c.instance_id.in_(ids)).limit(AT_ONCE)
    counts = _delete_actions(tx, list(tx.execute(theirs).scalars()))
    done = _without_actions(tx, ids)
    tx.execute(sa.update(instances).where(instances.c.id.in_(done)).values(purged_at=now))
    counts[Kind.SERVERS] += len(done)
    return +counts


def _without_actions(tx: Transaction, ids: Sequence[str]) -> list[str]:
    have = set(tx.execute(sa.select(actions.c.instance_id).where(actions.c.instance_id.in_(ids)).distinct()).scalars())
    return [one for one in ids if one not in have]


def remove_rows(tx: Transaction, now: datetime) -> Counts:
    """Delete the rows of servers that were purged GRACE ago, and those of their migrations, addresses and
    tombstones."""
    row = instances.c
    old = sa.select(row.id).where(due.purged_long_ago(now)).order_by(row.purged_at).limit(SERVERS)
    ids = list(tx.execute(old).scalars())
    if not ids:
        return {}
    counts = Counter({kind: _deleted(tx, table, table.c.instance_id.in_(ids)) for kind, table in due.BESIDE.items()})
    counts[Kind.SERVER_ROWS] = _deleted(tx, instances, row.id.in_(ids))
    return +counts


def purge_actions(tx: Transaction, instance_id: InstanceId, keep: int) -> Counts:
    """Purge actions of a server, the oldest first, that are not among its newest `keep`, with their events, placements
    and migrations.  The newest action of each verb stays."""
    surplus = due.surplus_actions(tx, instance_id, keep)
    ids = [] if surplus is None else list(tx.execute(surplus.limit(AT_ONCE)).scalars())
    if not ids:
        return {}
    ended = _deleted(tx, migrations, due.surplus_migrations(ids))
    return +(_delete_actions(tx, ids) + Counter({Kind.MIGRATIONS: ended}))


def purge_expired(tx: Transaction, now: datetime) -> Counts:
    """Purge answers under idempotency keys, and revocations of tokens, that have expired."""
    keys = (idempotency_keys.c.project_id, idempotency_keys.c.user_id, idempotency_keys.c.key)
    old_keys = sa.select(*keys).where(due.expired_keys(now)).limit(AT_ONCE)
    old_tokens = sa.select(revoked_tokens.c.audit_id).where(due.expired_tokens(now)).limit(AT_ONCE)
    return +Counter(
        {
            Kind.KEYS: _deleted(tx, idempotency_keys, sa.tuple_(*keys).in_(old_keys)),
            Kind.TOKENS: _deleted(tx, revoked_tokens, revoked_tokens.c.audit_id.in_(old_tokens)),
        }
    )


def _delete_actions(tx: Transaction, ids: Sequence[str]) -> Counter[Kind]:
    counts = Counter[Kind]()
    for kind, table in ((Kind.EVENTS, action_events), (Kind.PLACEMENTS, placements)):
        counts[kind] = _deleted(tx, table, table.c.action_id.in_(ids))
    counts[Kind.ACTIONS] = _deleted(tx, actions, actions.c.id.in_(ids))
    return counts


def _deleted(tx: Transaction, table: sa.Table, where: sa.ColumnElement[Any]) -> int:
    return tx.execute(sa.delete(table).where(where)).rowcount
