# SPDX-License-Identifier: Apache-2.0
"""Which records are due to be purged.  Each condition is here once: the count and the purge use the same."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa

from kilonova.config.database import Retention
from kilonova.db.database_time import database_now
from kilonova.db.schema import (
    action_events,
    actions,
    addresses,
    idempotency_keys,
    instances,
    migrations,
    placements,
    revoked_tokens,
    tombstones,
)
from kilonova.db.transaction import Snapshot
from kilonova.objects.idempotency import KEPT as KEYS_KEPT
from kilonova.objects.ids import InstanceId
from kilonova.objects.migration import ENDED
from kilonova.objects.states import FINAL


class Kind(StrEnum):
    """The kinds of purged records, in the words of the table of `kilonova db purge`."""

    SERVERS = "deleted servers"
    ACTIONS = "actions"
    EVENTS = "events of actions"
    PLACEMENTS = "placements"
    MIGRATIONS = "migrations"
    ADDRESSES = "addresses"
    TOMBSTONES = "tombstones"
    KEYS = "idempotency keys"
    TOKENS = "revoked tokens"
    SERVER_ROWS = "rows of purged servers"


Counts = Mapping[Kind, int]

BESIDE = {Kind.MIGRATIONS: migrations, Kind.ADDRESSES: addresses, Kind.TOMBSTONES: tombstones}
"""What goes with the row of a server."""

GRACE = timedelta(minutes=5)
"""How long a purged server is still known as the last one of a page."""
MOST_CROWDED = 20
"""How many servers with too many actions one round finds."""
SLACK = 50
"""A server has too many actions when it has more than so many above the number that is kept: they go together."""
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Due:
    """What is due now.  `before`: the servers that were deleted before this time are purged; None: no server is due.
    `crowded`: servers with more actions than the `actions` that are kept.  `expired`: there are expired keys or tokens.
    `rows`: there are rows of servers that were purged GRACE ago.  `now` is the time of the database."""

    now: datetime
    before: datetime | None = None
    crowded: tuple[InstanceId, ...] = ()
    actions: int = 0
    expired: bool = False
    rows: bool = False


def due(snapshot: Snapshot, retention: Retention, now: datetime) -> Due:
    """What is due by age and by number."""
    at = database_now(snapshot, now)
    by_age = None if retention.age is None else at - retention.age
    by_number = None if retention.deleted is None else _end_of_newest(snapshot, retention.deleted)
    before = max((limit for limit in (by_age, by_number) if limit is not None), default=None)
    return Due(
        at,
        before if before is not None and _any(snapshot, instances, deleted_and_due(before)) else None,
        () if retention.actions is None else _crowded(snapshot, retention.actions),
        retention.actions or 0,
        _any(snapshot, idempotency_keys, expired_keys(at)) or _any(snapshot, revoked_tokens, expired_tokens(at)),
        _any(snapshot, instances, purged_long_ago(at)),
    )


def _end_of_newest(snapshot: Snapshot, count: int) -> datetime | None:
    """The time before which the servers were deleted that are not among the newest `count` deleted ones."""
    row = instances.c
    deleted = sa.select(row.deleted_at).where(row.deleted_at.is_not(None), row.purged_at.is_(None))
    newest = snapshot.execute(deleted.order_by(row.deleted_at.desc()).offset(count).limit(1)).scalar()
    return None if newest is None else newest + _MICROSECOND


def _crowded(snapshot: Snapshot, most: int) -> tuple[InstanceId, ...]:
    of = actions.c.instance_id
    found = sa.select(of).group_by(of).having(sa.func.count() > most + SLACK).order_by(of).limit(MOST_CROWDED)
    return tuple(snapshot.execute(found).scalars())


def deleted_and_due(before: datetime) -> sa.ColumnElement[bool]:
    """Servers that were deleted before this time and are not purged.  A server stays while one of its actions is open,
    and while a host that was given up may have a copy of it."""
    row = instances.c
    open_ = sa.select(actions.c.id).where(
        actions.c.instance_id == row.id, actions.c.state == sa.literal_column("'open'")
    )
    copy = sa.select(tombstones.c.host).where(tombstones.c.instance_id == row.id, tombstones.c.removed_at.is_(None))
    return sa.and_(row.deleted_at < before, row.purged_at.is_(None), ~sa.exists(open_), ~sa.exists(copy))


def purged_long_ago(now: datetime) -> sa.ColumnElement[bool]:
    """Servers that were purged GRACE ago."""
    return instances.c.purged_at <= now - GRACE


def surplus_actions(snapshot: Snapshot, instance_id: InstanceId, keep: int) -> sa.Select[str] | None:
    """The query of the actions of a server that are not among its newest `keep`; None when there are none.  The newest
    action of each verb stays: the service reads how the server was placed, and what was requested last."""
    row = actions.c
    theirs = sa.select(row.started_at).where(row.instance_id == instance_id).order_by(row.started_at.desc())
    newest_surplus = snapshot.execute(theirs.offset(keep).limit(1)).scalar()
    if newest_surplus is None:
        return None
    newer = actions.alias("newer")
    is_newest = ~sa.exists().where(
        newer.c.instance_id == instance_id, newer.c.verb == row.verb, newer.c.started_at > row.started_at
    )
    surplus = sa.select(row.id).where(row.instance_id == instance_id, row.started_at <= newest_surplus, ~is_newest)
    return surplus.where(row.state.in_(sorted(FINAL))).order_by(row.started_at)


def surplus_migrations(action_ids: Iterable[str]) -> sa.ColumnElement[bool]:
    """The ended migrations of these actions."""
    return sa.and_(migrations.c.uuid.in_(action_ids), migrations.c.status.in_(sorted(ENDED)))


def expired_keys(now: datetime) -> sa.ColumnElement[bool]:
    """Answers under idempotency keys that nobody receives any more."""
    return idempotency_keys.c.created_at <= now - KEYS_KEPT


def expired_tokens(now: datetime) -> sa.ColumnElement[bool]:
    """Revocations of tokens that have expired."""
    return revoked_tokens.c.expires_at <= now


def count(snapshot: Snapshot, retention: Retention, now: datetime) -> Counts:
    """How many records of each kind are due.  Changes nothing."""
    what = due(snapshot, retention, now)
    counts = dict.fromkeys(Kind, 0)
    if what.before is not None:
        ids = sa.select(instances.c.id).where(deleted_and_due(what.before))
        counts[Kind.SERVERS] = _number(snapshot, instances, deleted_and_due(what.before))
        counts[Kind.ACTIONS] = _number(snapshot, actions, actions.c.instance_id.in_(ids))
        _add_of_actions(snapshot, counts, sa.select(actions.c.id).where(actions.c.instance_id.in_(ids)))
    for instance_id in what.crowded:
        surplus = surplus_actions(snapshot, instance_id, what.actions)
        if surplus is not None:
            found = list(snapshot.execute(surplus).scalars())
            counts[Kind.ACTIONS] += len(found)
            counts[Kind.MIGRATIONS] += _number(snapshot, migrations, surplus_migrations(found))
            _add_of_actions(snapshot, counts, surplus.order_by(None))
    counts[Kind.KEYS] = _number(snapshot, idempotency_keys, expired_keys(what.now))
    counts[Kind.TOKENS] = _number(snapshot, revoked_tokens, expired_tokens(what.now))
    gone = sa.select(instances.c.id).where(purged_long_ago(what.now))
    for kind, table in BESIDE.items():
        counts[kind] += _number(snapshot, table, table.c.instance_id.in_(gone))
    counts[Kind.SERVER_ROWS] = _number(snapshot, instances, purged_long_ago(what.now))
    return counts


def _add_of_actions(snapshot: Snapshot, counts: dict[Kind, int], ids: sa.Select[str]) -> None:
    for kind, table in ((Kind.EVENTS, action_events), (Kind.PLACEMENTS, placements)):
        counts[kind] += _number(snapshot, table, table.c.action_id.in_(ids))


def _number(snapshot: Snapshot, table: sa.Table, where: sa.ColumnElement[bool]) -> int:
    return snapshot.execute(sa.select(sa.func.count()).select_from(table).where(where)).scalar_one()


def _any(snapshot: Snapshot, table: sa.Table, where: sa.ColumnElement[bool]) -> bool:
    return snapshot.execute(sa.select(sa.literal(1)).select_from(table).where(where).limit(1)).first() is not None
