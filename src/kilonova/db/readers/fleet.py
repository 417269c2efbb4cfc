# SPDX-License-Identifier: Apache-2.0
"""Reading the state of a fleet: its processes, hosts, open actions, outbox, and the database itself."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from kilonova.db.migrate import HEAD
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.hosts import COMPUTE
from kilonova.db.schema import actions, contests, notifications, outbox
from kilonova.db.transaction import Snapshot
from kilonova.objects.fleet import AGES, DatabaseVersion, FleetHost, FleetProcess, OpenWork, Outbox, ProcessState
from kilonova.objects.ids import HostName
from kilonova.objects.leg import LegState
from kilonova.objects.service import Service

_OPEN = sa.select(actions.c.started_at, actions.c.updated_at, actions.c.legs).where(
    actions.c.state == sa.literal_column("'open'")
)
_UNNUMBERED = sa.select(sa.func.count(), sa.func.min(notifications.c.created_at)).where(
    notifications.c.number.is_(None)
)
_OUTBOX = sa.select(outbox.c.numbered, outbox.c.published)
_CLAIMED = sa.select(contests.c.host, contests.c.conflict, contests.c.claimant, contests.c.claimed_at).order_by(
    contests.c.host
)


def processes(snapshot: Snapshot, now: datetime) -> list[FleetProcess]:
    """The API processes and the conductors, by host and binary."""
    return [_process(one) for one in read_hosts.services_at(snapshot, now) if one.binary != COMPUTE]


def host_states(snapshot: Snapshot) -> list[ProcessState]:
    """The state of each host."""
    return [_state(one) for one in read_hosts.list_services(snapshot, binary=COMPUTE)]


def hosts(snapshot: Snapshot, after: str, limit: int) -> list[FleetHost]:
    """The first `limit` hosts whose names are greater than `after`, by name."""
    nodes = {node.service.host: node for node in read_hosts.list_nodes(snapshot)}
    found = [one for one in read_hosts.list_services(snapshot, binary=COMPUTE) if one.host > after]
    made: list[FleetHost] = []
    for service in sorted(found, key=lambda one: one.host)[:limit]:
        node = nodes.get(service.host)
        if node is None:
            made.append(FleetHost(_process(service), service.zone))
            continue
        total = node.inventory
        made.append(
            FleetHost(
                _process(service),
                service.zone,
                *(total.vcpus_capacity, node.vcpus_used),
                *(total.memory_mib_capacity, node.memory_mib_used),
                *(total.disk_gib_capacity, node.disk_gib_used),
                node.running_vms,
            )
        )
    return made


def _process(service: Service) -> FleetProcess:
    reason = "forced down by an operator" if service.forced_down else service.disabled_reason or ""
    return FleetProcess(service.host, service.binary, _state(service), reason, service.version, service.updated_at)


def _state(service: Service) -> ProcessState:
    if service.forced_down or not service.up:
        return ProcessState.DOWN
    return ProcessState.DISABLED if service.disabled else ProcessState.UP


def open_work(snapshot: Snapshot, now: datetime) -> OpenWork:
    """All open actions."""
    counts, unplaced = [0] * (len(AGES) + 1), None
    unfetched: tuple[float, HostName] | None = None
    for started_at, updated_at, legs in snapshot.execute(_OPEN):
        age_s = (now - started_at).total_seconds()
        counts[bisect_right([limit for limit, _ in AGES], age_s)] += 1
        leg = _current(legs)
        if leg is None or leg.get("attempt"):
            continue
        if (host := leg.get("host")) is None:
            unplaced = max(age_s, unplaced or 0.0)
            continue
        waits = ((now - updated_at).total_seconds(), HostName(host))
        unfetched = waits if unfetched is None else max(waits, unfetched)
    return OpenWork(tuple(counts), unplaced, *(unfetched or (None, None)))


def _current(legs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((leg for leg in legs if leg["state"] == LegState.OPEN), None)


def outbox_state(snapshot: Snapshot, now: datetime) -> Outbox:
    """What the conductors have not published yet."""
    count, oldest = snapshot.execute(_UNNUMBERED).one()
    row = snapshot.execute(_OUTBOX).first()
    published = 0 if row is None else row.published
    if row is not None and row.numbered > published:
        count += row.numbered - published
        first = sa.select(sa.func.min(notifications.c.created_at)).where(notifications.c.number > published)
        times = [at for at in (oldest, snapshot.execute(first).scalar()) if at is not None]
        oldest = min(times, default=None)
    return Outbox(count, 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds()))


class Claimed(NamedTuple):
    """A host whose name another process has claimed: a conflict of two live processes, and the process that was refused
    last."""

    host: HostName
    conflict: str | None
    claimant: str | None
    claimed_at: datetime | None


def claimed(snapshot: Snapshot, only: HostName | None = None) -> list[Claimed]:
    """All such hosts by name, or this host if it is one."""
    query = _CLAIMED if only is None else _CLAIMED.where(contests.c.host == only)
    return [Claimed(*row) for row in snapshot.execute(query)]


def database_version(snapshot: Snapshot) -> DatabaseVersion:
    """The kind and the version of the database.  Its schema is that of this code, which reads no other."""
    numbers = snapshot.dialect.server_version_info or ()
    return DatabaseVersion(snapshot.dialect.name, ".".join(map(str, numbers)), HEAD)
