# SPDX-License-Identifier: Apache-2.0
"""Reading server groups and their members."""

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from kilonova.base.errors import NotFound
from kilonova.db.codec import SERVER_GROUPS
from kilonova.db.schema import instances, server_groups
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import HostName, InstanceId, ServerGroupId
from kilonova.objects.server_group import ServerGroup

_ALIVE = instances.c.deleted_at.is_(None)


def get(snapshot: Snapshot, group_id: ServerGroupId, project_id: str | None = None) -> ServerGroup:
    """One group; with a project, only that project's.  Raises NotFound."""
    row = snapshot.execute(sa.select(server_groups).where(server_groups.c.id == group_id)).mappings().first()
    if row is None or (project_id is not None and row["project_id"] != project_id):
        raise NotFound(f"Instance group {group_id} could not be found.", server_group_id=group_id)
    return SERVER_GROUPS.load(row)


def page(snapshot: Snapshot, project_id: str | None, offset: int, limit: int) -> list[ServerGroup]:
    """A project's groups, or those of all projects, in the order of their creation."""
    query = sa.select(server_groups).order_by(server_groups.c.created_at, server_groups.c.id)
    if project_id is not None:
        query = query.where(server_groups.c.project_id == project_id)
    found = snapshot.execute(query.offset(offset).limit(limit)).mappings()
    return [SERVER_GROUPS.load(row) for row in found]


def members(snapshot: Snapshot, group_ids: Sequence[ServerGroupId]) -> dict[ServerGroupId, list[InstanceId]]:
    """The instances of each group that are not deleted, in the order of their creation."""
    query = sa.select(instances.c.id, instances.c.server_group_id)
    query = query.where(instances.c.server_group_id.in_(group_ids), _ALIVE)
    found: dict[ServerGroupId, list[InstanceId]] = defaultdict(list)
    for row in snapshot.execute(query.order_by(instances.c.created_at, instances.c.id)):
        found[row.server_group_id].append(row.id)
    return found


def count_members(snapshot: Snapshot, group_id: ServerGroupId) -> int:
    """The number of instances of a group that are not deleted."""
    query = sa.select(sa.func.count()).select_from(instances)
    return snapshot.execute(query.where(instances.c.server_group_id == group_id, _ALIVE)).scalar_one()


def hosts_of_others(snapshot: Snapshot, group_id: ServerGroupId, instance_id: InstanceId) -> dict[HostName, int]:
    """The number of instances of a group, without this one, that each host has; deleted ones do not count."""
    query = sa.select(instances.c.host, sa.func.count().label("many")).group_by(instances.c.host)
    query = query.where(
        instances.c.server_group_id == group_id,
        instances.c.id != instance_id,
        instances.c.host.is_not(None),
        _ALIVE,
    )
    return {row.host: row.many for row in snapshot.execute(query)}
