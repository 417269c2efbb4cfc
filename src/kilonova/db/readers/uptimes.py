# SPDX-License-Identifier: Apache-2.0
"""Reading the uptimes of servers, deleted ones included."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from kilonova.base.errors import InvalidInput
from kilonova.db.codec import Codec
from kilonova.db.schema import instances
from kilonova.db.transaction import Snapshot
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import VmState


@dataclass(frozen=True, slots=True)
class Uptime:
    """A server since its launch; `terminated_at` None: it still exists."""

    id: InstanceId
    project_id: str
    name: str
    flavor: Flavor
    vm_state: VmState
    launched_at: datetime
    terminated_at: datetime | None


@dataclass(frozen=True, slots=True)
class Window:
    """Servers that existed between two times, by project and id; `marker` is the last one of the page before."""

    start: datetime
    end: datetime
    project_id: str | None = None
    marker: str | None = None
    limit: int | None = None


_FIELDS = frozenset(Uptime.__dataclass_fields__)
_UPTIMES = Codec(Uptime, instances, hidden=frozenset(instances.c.keys()) - _FIELDS)
_COLUMNS = sa.select(*(column for column in instances.c if column.name in _FIELDS))
_ORDER = (instances.c.project_id, instances.c.id)


def within(snapshot: Snapshot, window: Window) -> Iterator[Uptime]:
    """The servers of a window, one after the other.  Raises InvalidInput for an unknown marker."""
    query = _COLUMNS.where(
        instances.c.launched_at < window.end,
        sa.or_(instances.c.terminated_at.is_(None), instances.c.terminated_at > window.start),
        instances.c.purged_at.is_(None),
    )
    if window.project_id is not None:
        query = query.where(instances.c.project_id == window.project_id)
    if window.marker is not None:
        query = query.where(sa.tuple_(*_ORDER) > sa.tuple_(*_place_of(snapshot, window)))
    for row in snapshot.execute(query.order_by(*_ORDER).limit(window.limit)).mappings():
        yield _UPTIMES.load(row)


def _place_of(snapshot: Snapshot, window: Window) -> tuple[str, str]:
    query = sa.select(*_ORDER).where(instances.c.id == window.marker)
    row = snapshot.execute(query).first()
    if row is None or window.project_id not in (None, row.project_id):
        raise InvalidInput(f"marker [{window.marker}] not found", path="marker")
    return row.project_id, row.id
