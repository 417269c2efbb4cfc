# SPDX-License-Identifier: Apache-2.0
"""Reading instances.  Deleted ones are not among them but where a function says so."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db import rows
from kilonova.db.schema import instances
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import PowerState, VmState


@dataclass(frozen=True, slots=True)
class InstanceQuery:
    """What a list of servers is filtered by; None means any.  `name` is a regular expression, searched, unanchored.
    Newest first; at most `limit` after the instance `marker`."""

    project_id: str | None = None
    name: str | None = None
    vm_states: frozenset[VmState] | None = None
    host: HostName | None = None
    image_id: str | None = None
    flavor_id: str | None = None
    marker: InstanceId | None = None
    limit: int = 1000


def get(connection: sa.Connection, instance_id: InstanceId, project_id: str | None = None) -> Instance:
    """One instance; with a project, only that project's.  Raises NotFound."""
    query = sa.select(instances).where(instances.c.id == instance_id, instances.c.deleted_at.is_(None))
    if project_id is not None:
        query = query.where(instances.c.project_id == project_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"Instance {instance_id} could not be found.", instance_id=instance_id)
    return rows.instance_from(row)


def owner(connection: sa.Connection, instance_id: InstanceId) -> str:
    """The project of an instance, deleted ones included (their actions can still be read).  Raises NotFound."""
    found = connection.execute(sa.select(instances.c.project_id).where(instances.c.id == instance_id)).scalar()
    if found is None:
        raise NotFound(f"Instance {instance_id} could not be found.", instance_id=instance_id)
    return found


def listing(connection: sa.Connection, query: InstanceQuery) -> list[Instance]:
    """A page.  Raises InvalidInput for a marker that does not exist or a name that is no regular expression."""
    return [rows.instance_from(row) for row in _page(connection, query)]


def _page(connection: sa.Connection, query: InstanceQuery) -> Iterator[sa.RowMapping]:
    select = _filtered(query).order_by(instances.c.created_at.desc(), instances.c.id.desc())
    if query.marker is not None:
        select = select.where(_after(connection, query.marker))
    pattern = _pattern(query.name)
    if pattern is None:
        yield from connection.execute(select.limit(query.limit)).mappings()
        return
    # A regular expression is matched here and not in SQL: databases differ in theirs.
    left = query.limit
    for row in connection.execute(select).mappings():
        if left == 0:
            return
        if pattern.search(row["name"]):
            left -= 1
            yield row


def _filtered(query: InstanceQuery) -> sa.Select[tuple[object, ...]]:
    select = sa.select(instances).where(instances.c.deleted_at.is_(None))
    if query.project_id is not None:
        select = select.where(instances.c.project_id == query.project_id)
    if query.vm_states is not None:
        select = select.where(instances.c.vm_state.in_(sorted(query.vm_states)))
    if query.host is not None:
        select = select.where(instances.c.host == query.host)
    if query.image_id is not None:
        select = select.where(instances.c.image["id"].as_string() == query.image_id)
    if query.flavor_id is not None:
        select = select.where(instances.c.flavor["id"].as_string() == query.flavor_id)
    return select


def _after(connection: sa.Connection, marker: InstanceId) -> sa.ColumnElement[bool]:
    at = connection.execute(sa.select(instances.c.created_at).where(instances.c.id == marker)).scalar()
    if at is None:
        raise InvalidInput(f"marker [{marker}] not found", path="marker")
    return sa.or_(instances.c.created_at < at, sa.and_(instances.c.created_at == at, instances.c.id < marker))


def _pattern(name: str | None) -> re.Pattern[str] | None:
    if name is None:
        return None
    try:
        return re.compile(name)
    except re.error as exc:
        raise InvalidInput(f"name is not a regular expression: {exc}", path="name") from exc


def powers_of_host(connection: sa.Connection, host: HostName) -> dict[InstanceId, PowerState]:
    """The recorded power state of each instance of a host."""
    query = sa.select(instances.c.id, instances.c.power_state)
    query = query.where(instances.c.host == host, instances.c.deleted_at.is_(None))
    return {row.id: PowerState(row.power_state) for row in connection.execute(query)}


def names(connection: sa.Connection, ids: Sequence[InstanceId]) -> dict[InstanceId, str]:
    """Names of some instances, deleted ones included."""
    query = sa.select(instances.c.id, instances.c.name).where(instances.c.id.in_(ids))
    return {row.id: row.name for row in connection.execute(query)}
