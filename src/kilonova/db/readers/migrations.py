# SPDX-License-Identifier: Apache-2.0
"""Reading migrations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.codec import MIGRATIONS
from kilonova.db.schema import instances, migrations
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import InstanceId
from kilonova.objects.migration import Migration, MigrationStatus
from kilonova.objects.states import VmState

_ROW = migrations.c


@dataclass(frozen=True, slots=True)
class MigrationQuery:
    """None and empty mean any.  `equals` maps columns to values; `host` is the source or the destination."""

    equals: Mapping[str, str] = field(default_factory=dict[str, str])
    host: str | None = None
    changed_since: datetime | None = None
    changed_before: datetime | None = None
    marker: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A migration, with its number for operators and the node of its instance."""

    number: int
    node: str | None
    migration: Migration


def page(snapshot: Snapshot, query: MigrationQuery) -> list[Listed]:
    """Migrations, newest first.  Raises InvalidInput for an unknown marker."""
    where = [instances.c.purged_at.is_(None), *(_ROW[name] == value for name, value in query.equals.items())]
    if query.host is not None:
        where.append(sa.or_(_ROW.source_compute == query.host, _ROW.dest_compute == query.host))
    if query.changed_since is not None:
        where.append(_ROW.updated_at >= query.changed_since)
    if query.changed_before is not None:
        where.append(_ROW.updated_at <= query.changed_before)
    if query.marker is not None:
        marker = snapshot.execute(sa.select(_ROW.id).where(_ROW.uuid == query.marker)).scalar()
        if marker is None:
            raise InvalidInput(f"Marker {query.marker[:64]} could not be found.", path="marker")
        where.append(_ROW.id < marker)
    found = sa.select(migrations, instances.c.node).join_from(migrations, instances).where(*where)
    rows = snapshot.execute(found.order_by(_ROW.id.desc()).limit(query.limit)).mappings()
    return [Listed(row["id"], row["node"], MIGRATIONS.load(row)) for row in rows]


def waiting(snapshot: Snapshot, instance_id: InstanceId) -> Migration:
    """The instance's resize that waits for its confirmation.  Raises NotFound."""
    found = sa.select(migrations).where(_ROW.instance_id == instance_id, _ROW.status == MigrationStatus.FINISHED)
    row = snapshot.execute(found).mappings().first()
    if row is None:
        raise NotFound(f"Instance {instance_id} has not been resized.", instance_id=instance_id)
    return MIGRATIONS.load(row)


def all_waiting(snapshot: Snapshot) -> list[Migration]:
    """Every resize that waits for its confirmation."""
    found = snapshot.execute(sa.select(migrations).where(_ROW.status == MigrationStatus.FINISHED))
    return MIGRATIONS.load_all(found)


def waiting_since(snapshot: Snapshot, before: datetime) -> list[InstanceId]:
    """Instances whose resize has waited for its confirmation since this time, or longer."""
    found = sa.select(instances.c.id).join_from(migrations, instances)
    found = found.where(
        instances.c.vm_state == VmState.RESIZED,
        _ROW.status == MigrationStatus.FINISHED,
        _ROW.updated_at <= before,
    )
    return list(snapshot.execute(found.order_by(_ROW.id)).scalars())
