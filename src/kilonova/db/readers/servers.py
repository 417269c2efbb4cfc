# SPDX-License-Identifier: Apache-2.0
"""Reading instances for the lists of the API: filtered, sorted, page by page.

Filters that differ between SQL dialects (regular expressions, JSON arrays) are matched here, on the few columns that
they need.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from kilonova.base.errors import InvalidInput
from kilonova.db.codec import INSTANCES
from kilonova.db.readers.hosts import COMPUTE
from kilonova.db.readers.patterns import Budget, Search, literal
from kilonova.db.schema import instances, services
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import VmState
from kilonova.objects.statuses import KNOWN_POWER, StatusMeaning


@dataclass(frozen=True, slots=True)
class TagFilter:
    """All of `every`, one of `any`, not all of `not_every`, none of `not_any`; an empty one does not filter."""

    every: frozenset[str] = frozenset()
    any: frozenset[str] = frozenset()
    not_every: frozenset[str] = frozenset()
    not_any: frozenset[str] = frozenset()

    def takes(self, tags: Collection[str]) -> bool:
        """Whether an instance with these tags passes."""
        has = frozenset(tags)
        return (
            self.every <= has
            and (not self.any or bool(self.any & has))
            and not (self.not_every and self.not_every <= has)
            and not self.not_any & has
        )


@dataclass(frozen=True, slots=True)
class ServerQuery:
    """The filter and the order of a list of servers; None and empty mean any.

    `name` and `ip` are regular expressions for an unanchored search.  `equals` maps columns of EQUALS to values.
    `within` maps columns of times to the second in which they lie.  `deleted` and `locked` None mean both; `nothing`:
    no server matches the request.  `sort` has columns of SORTABLE, True for descending; equal ones are sorted newest
    first.
    """

    project_id: str | None = None
    deleted: bool | None = False
    statuses: tuple[StatusMeaning, ...] | None = None
    equals: Mapping[str, Any] = field(default_factory=dict[str, Any])
    within: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    locked: bool | None = None
    nothing: bool = False
    image_id: str | None = None
    flavor_id: str | None = None
    name: str | None = None
    ip: str | None = None
    tags: TagFilter = TagFilter()
    changed_since: datetime | None = None
    changed_before: datetime | None = None
    sort: tuple[tuple[str, bool], ...] = ()
    marker: str | None = None
    limit: int = 1000


EQUALS = frozenset(
    {"id", "user_id", "host", "node", "availability_zone", "key_name", "vm_state", "task_state", "power_state"}
    | {"reservation_id", "hostname", "launch_index", "config_drive", "description", "access_ip_v4", "access_ip_v6"}
    | {"disk_config", "locked_by"}
)

SORTABLE = frozenset(
    {
        "created_at",
        "updated_at",
        "launched_at",
        "terminated_at",
        "id",
        "name",
        "hostname",
        "description",
        "host",
        "node",
    }
    | {"availability_zone", "key_name", "vm_state", "task_state", "power_state", "project_id", "user_id"}
    | {"launch_index", "config_drive", "image_id", "flavor_id", "access_ip_v4", "access_ip_v6", "disk_config"}
    | {"locked_by"}
)

_STATUSES = sa.select(services.c.host, services.c.up, services.c.disabled, services.c.forced_down).where(
    services.c.binary == COMPUTE, services.c.host.in_(sa.bindparam("hosts", expanding=True))
)
_SECOND = timedelta(seconds=1) - timedelta(microseconds=1)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_DEFAULT_SORT = (("created_at", True), ("id", True))


def page(snapshot: Snapshot, query: ServerQuery) -> list[Instance]:
    """A page of instances.

    Raises InvalidInput for an unknown marker and for a regular expression that is invalid or takes long.
    """
    keys = [(_sort_key(name), descending) for name, descending in (*query.sort, *_DEFAULT_SORT)]
    where = _conditions(query)
    if query.marker is not None:
        where.append(_after(snapshot, query, keys))
    order = [key.desc() if descending else key.asc() for key, descending in keys]
    budget = Budget()
    name = _name(snapshot, query, where, budget)
    ip = None if query.ip is None else Search("ip", query.ip, budget)
    if name is None and ip is None and query.tags == TagFilter():
        found = snapshot.execute(sa.select(instances).where(*where).order_by(*order).limit(query.limit))
        return INSTANCES.load_all(found)
    columns: list[sa.ColumnElement[Any]] = [
        instances.c.id,
        instances.c.name,
    ]  # only the requested columns: JSON is expensive to read
    if ip is not None:
        columns.append(instances.c.addresses)
    if query.tags != TagFilter():
        columns.append(instances.c.tags)
    ids: list[InstanceId] = []
    for row in snapshot.execute(sa.select(*columns).where(*where).order_by(*order)).mappings():
        if len(ids) == query.limit:
            break
        if _matches(row, name, ip, query):
            ids.append(row["id"])
    return _in_order(snapshot, ids)


def _name(snapshot: Snapshot, query: ServerQuery, where: list[sa.ColumnElement[bool]], budget: Budget) -> Search | None:
    """The pattern for names; None when `where` is enough.

    Clients search a server by its exact name, without escaping it: that server is found, also when its name is not a
    regular expression, or does not match itself.
    """
    text = query.name
    if text is None or literal(text) is not None:
        return None
    try:
        return Search("name", text, budget)
    except InvalidInput:
        named = instances.c.name == text
        if snapshot.execute(sa.select(instances.c.id).where(*where, named).limit(1)).first() is None:
            raise
        where.append(named)
        return None


def _matches(row: sa.RowMapping, name: Search | None, ip: Search | None, query: ServerQuery) -> bool:
    tags = query.tags
    if name is not None and row["name"] != query.name and not name.finds(row["name"]):
        return False
    if ip is not None and not any(ip.finds(address["address"]) for address in row["addresses"]):
        return False
    return tags == TagFilter() or tags.takes(row["tags"])


def _in_order(snapshot: Snapshot, ids: Sequence[InstanceId]) -> list[Instance]:
    found: dict[InstanceId, Instance] = {}
    for some in _slices(ids, 500):
        query = sa.select(instances).where(instances.c.id.in_(some))
        for row in snapshot.execute(query).mappings():
            found[row["id"]] = INSTANCES.load(row)
    return [found[instance_id] for instance_id in ids]


def _slices(ids: Sequence[InstanceId], size: int) -> Iterator[Sequence[InstanceId]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _conditions(query: ServerQuery) -> list[sa.ColumnElement[bool]]:
    where: list[sa.ColumnElement[bool]] = []
    if query.deleted is not None:
        where.append(instances.c.deleted_at.is_not(None) if query.deleted else instances.c.deleted_at.is_(None))
    if query.deleted is not False:
        where.append(instances.c.purged_at.is_(None))
    if query.project_id is not None:
        where.append(instances.c.project_id == query.project_id)
    if query.statuses is not None:
        where.append(sa.or_(sa.false(), *(_status(status) for status in query.statuses)))
    where += [instances.c[name] == value for name, value in query.equals.items()]
    for name, second in query.within.items():
        where.append(instances.c[name].between(second, second + _SECOND))
    if query.locked is not None:
        where.append(instances.c.locked_by.is_not(None) if query.locked else instances.c.locked_by.is_(None))
    if query.nothing:
        where.append(sa.false())
    if query.image_id is not None:
        where.append(instances.c.image["id"].as_string() == query.image_id)
    if query.flavor_id is not None:
        where.append(instances.c.flavor["id"].as_string() == query.flavor_id)
    if query.changed_since is not None:
        where.append(instances.c.updated_at >= query.changed_since)
    if query.changed_before is not None:
        where.append(instances.c.updated_at <= query.changed_before)
    if query.name is not None and (text := literal(query.name)) is not None:
        where.append(instances.c.name.in_((text, query.name)))
    return where


def _status(status: StatusMeaning) -> sa.ColumnElement[bool]:
    vm = instances.c.vm_state.in_(sorted(status.vm_states))
    if status.unknown is not None:
        known = instances.c.power_state.in_(sorted(KNOWN_POWER))
        vm = sa.and_(vm, sa.not_(known) if status.unknown else known)
    if status.unknown:
        vm = sa.or_(vm, instances.c.vm_state.not_in(sorted(VmState)))
    task = sa.func.coalesce(instances.c.task_state, "")
    if status.task_states:
        return sa.and_(vm, task.in_(sorted(status.task_states)))
    if status.but_not:
        return sa.and_(vm, task.not_in(sorted(status.but_not)))
    return vm


def _sort_key(name: str) -> sa.ColumnElement[Any]:
    """A column that is never NULL: databases disagree on where NULL sorts."""
    if name in ("image_id", "flavor_id"):
        return instances.c[name.removesuffix("_id")]["id"].as_string()
    column = instances.c[name]
    if isinstance(column.type, sa.Boolean):  # it has no order that is the same in every database
        return sa.cast(column, sa.Integer)
    if not column.nullable:
        return column
    return sa.func.coalesce(column, sa.literal(_NEVER if name.endswith("_at") else "", column.type))


def _after(
    snapshot: Snapshot, query: ServerQuery, keys: Sequence[tuple[sa.ColumnElement[Any], bool]]
) -> sa.ColumnElement[bool]:
    """Rows that sort after the marker: behind it in the first key in which they differ."""
    select = sa.select(*(key.label(f"k{at}") for at, (key, _) in enumerate(keys))).where(instances.c.id == query.marker)
    if query.project_id is not None:
        select = select.where(instances.c.project_id == query.project_id)
    row = snapshot.execute(select).first()
    if row is None:
        raise InvalidInput(f"marker [{query.marker}] not found", path="marker")
    condition: sa.ColumnElement[bool] = sa.false()
    for (key, descending), value in reversed(list(zip(keys, row, strict=True))):
        behind = key < value if descending else key > value
        condition = sa.or_(behind, sa.and_(key == value, condition))
    return condition


@dataclass(frozen=True, slots=True)
class HostStatus:
    """The facts about its host that a server's owner and an administrator see."""

    up: bool
    disabled: bool
    forced_down: bool


def host_statuses(snapshot: Snapshot, hosts: Collection[HostName]) -> dict[HostName, HostStatus]:
    """The state of the compute service of each of these hosts that has one."""
    if not hosts:
        return {}
    found = snapshot.execute(_STATUSES, {"hosts": sorted(hosts)})
    return {row.host: HostStatus(row.up, row.disabled, row.forced_down) for row in found}
