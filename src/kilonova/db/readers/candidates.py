# SPDX-License-Identifier: Apache-2.0
"""Reading the hosts on which an instance is most likely placed: a bounded number, whatever the size of the fleet.

The database knows which hosts are out of service, too small, or in another zone, and how much is free on the others.
It returns the best MOST hosts; those that cannot take the instance come last.  So a small fleet is always read whole.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kilonova.config.filter_scheduler import FilterSchedulerSettings
from kilonova.db.readers.hosts import FAILURES_COUNT, NODE_COLUMNS, NODES, io_ops, nodes_of
from kilonova.db.schema import aggregate_hosts, aggregates, compute_nodes, services
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import HostName
from kilonova.objects.service import ComputeNode

MOST = 100
"""How many hosts are read.  More than enough for the filters of which the database knows nothing."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the database can compare: the resources, and the zone and the host if they are requested."""

    vcpus: int
    memory_mib: int
    disk_gib: int
    zone: str | None = None
    host: HostName | None = None


@dataclass(frozen=True, slots=True)
class Candidates:
    """The nodes that were read, by host, and how many others there are."""

    nodes: Sequence[ComputeNode]
    left_out: int


def candidates(snapshot: Snapshot, now: datetime, wanted: Wanted, rules: FilterSchedulerSettings) -> Candidates:
    """The best hosts for an instance, by their failed builds and their free resources as the scheduler weighs them.

    The work in progress counts only among the hosts that are read.
    """
    multipliers = {name: getattr(rules, f"{name}_weight_multiplier") for name in _MULTIPLIERS}
    since = now - FAILURES_COUNT
    rows = [tuple(row) for row in snapshot.execute(_BEST, {**asdict(wanted), **multipliers, "since": since})]
    rows.sort(key=lambda row: row[_HOST])
    nodes = nodes_of(snapshot, [row[:_WIDTH] for row in rows], since, io_ops(snapshot), only_these=True)
    return Candidates(nodes, rows[0][_WIDTH] - len(rows) if rows else 0)


_MULTIPLIERS = ("ram", "cpu", "disk", "build_failure")
_HOST = NODE_COLUMNS.index("host")
_WIDTH = len(NODE_COLUMNS)
_node, _service = compute_nodes.c, services.c


def _bound(name: str, type_: sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]]) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=type_)


def _share(name: str) -> sa.ColumnElement[float]:
    """The free share of a resource (scheduler.weighers)."""
    capacity, free = _node[f"{name}_capacity"], _node[f"{name}_capacity"] - _node[f"{name}_used"]
    return sa.case((free > 0, sa.cast(free, sa.Float) / sa.cast(capacity, sa.Float)), else_=0.0)


def _has(name: str) -> sa.ColumnElement[bool]:
    """(the sum of what is used and what is wanted may be too large for the column's type)"""
    return _bound(name, sa.BigInteger) <= _node[f"{name}_capacity"] - _node[f"{name}_used"]


_zone_of_aggregate = (
    sa.select(sa.func.max(aggregates.c.availability_zone))
    .join(aggregate_hosts)
    .where(aggregate_hosts.c.host == _node.host)
    .scalar_subquery()
)
_zone, _host = _bound("zone", sa.String), _bound("host", sa.String)
_can_take = sa.and_(
    _service.up,
    ~_service.disabled,
    ~_service.forced_down,
    *(_has(name) for name in ("vcpus", "memory_mib", "disk_gib")),
    sa.or_(_host.is_(None), _node.host == _host),
    sa.or_(_zone.is_(None), sa.func.coalesce(_zone_of_aggregate, _service.zone) == _zone),
)
_failures = sa.case(
    (_node.build_failed_at >= _bound("since", _node.build_failed_at.type), _node.failed_builds), else_=0
)
_weight = (
    _bound("ram", sa.Float) * _share("memory_mib")
    + _bound("cpu", sa.Float) * _share("vcpus")
    + _bound("disk", sa.Float) * _share("disk_gib")
)
_all = sa.select(sa.func.count()).select_from(compute_nodes).scalar_subquery()
_BEST = (
    NODES.add_columns(_all)
    .order_by(None)
    .order_by(
        sa.case((_can_take, 0), else_=1), _bound("build_failure", sa.Float) * _failures, _weight.desc(), _node.host
    )
    .limit(MOST)
)
