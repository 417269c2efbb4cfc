# SPDX-License-Identifier: Apache-2.0
"""Reading instances.  Deleted ones are included only where a function states it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from kilonova.base.errors import NotFound
from kilonova.db.codec import INSTANCES
from kilonova.db.schema import instances
from kilonova.db.transaction import Snapshot
from kilonova.objects.guest import ReadMark
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import PowerState, VmState

AT_A_TIME = 500
"""The maximum number of ids in one query: databases have a limit of parameters."""

# Built once: building a statement costs more than running it.
_KNOWN = sa.select(instances).where(instances.c.id == sa.bindparam("of_id"))
_SHOWN = _KNOWN.where(instances.c.purged_at.is_(None))
_ALIVE = _KNOWN.where(instances.c.deleted_at.is_(None))
_SHELVED = sa.select(instances).where(
    instances.c.deleted_at.is_(None), instances.c.vm_state == VmState.SHELVED, instances.c.task_state.is_(None)
)
_ALL_KNOWN = (
    sa.select(instances).where(instances.c.id.in_(sa.bindparam("ids", expanding=True))).order_by(instances.c.id)
)


def get(snapshot: Snapshot, instance_id: InstanceId, project_id: str | None = None) -> Instance:
    """One instance; with a project, only that project's.  Raises NotFound."""
    row = _row_of(snapshot, instance_id)
    if project_id not in (None, row["project_id"]):
        raise _unknown(instance_id)
    return INSTANCES.load(row)


def get_with_read(snapshot: Snapshot, instance_id: InstanceId) -> tuple[Instance, ReadMark | None]:
    """One instance, and the read of its guest that the record is from; None when that read had no number.  Raises
    NotFound."""
    row = _row_of(snapshot, instance_id)
    return INSTANCES.load(row), read_mark(row)


def read_mark(row: Mapping[str, Any] | RowMapping) -> ReadMark | None:
    """The read of the guest that a row of `instances` is from."""
    return None if row["read_number"] is None else ReadMark(row["read_by"], row["read_number"])


def _row_of(snapshot: Snapshot, instance_id: InstanceId) -> RowMapping:
    """Raises NotFound."""
    row = snapshot.execute(_ALIVE, {"of_id": instance_id}).mappings().first()
    if row is None:
        raise _unknown(instance_id)
    return row


def _unknown(instance_id: InstanceId) -> NotFound:
    return NotFound(f"Instance {instance_id} could not be found.", instance_id=instance_id)


def get_known(snapshot: Snapshot, instance_id: InstanceId, project_id: str | None = None) -> tuple[Instance, bool]:
    """One instance, and whether it is deleted; with a project, only that project's.  Raises NotFound for an instance
    that was never recorded, or is purged."""
    row = snapshot.execute(_SHOWN, {"of_id": instance_id}).mappings().first()
    if row is not None and project_id in (None, row["project_id"]):
        return INSTANCES.load(row), row["deleted_at"] is not None
    raise _unknown(instance_id)


def owner(snapshot: Snapshot, instance_id: InstanceId) -> str:
    """The project of an instance, deleted ones included (their actions can still be read).  Raises NotFound."""
    found = snapshot.execute(sa.select(instances.c.project_id).where(instances.c.id == instance_id)).scalar()
    if found is None:
        raise _unknown(instance_id)
    return found


def get_all_known(snapshot: Snapshot, ids: Sequence[InstanceId]) -> list[tuple[Instance, bool]]:
    """Those of these instances that were ever recorded, each with whether it is deleted."""
    found: list[tuple[Instance, bool]] = []
    for start in range(0, len(ids), AT_A_TIME):
        some = list(ids[start : start + AT_A_TIME])
        for row in snapshot.execute(_ALL_KNOWN, {"ids": some}).mappings():
            found.append((INSTANCES.load(row), row["deleted_at"] is not None))
    return found


def powers_of_host(snapshot: Snapshot, host: HostName) -> dict[InstanceId, PowerState]:
    """The recorded power state of each instance of a host."""
    query = sa.select(instances.c.id, instances.c.power_state)
    query = query.where(instances.c.host == host, instances.c.deleted_at.is_(None))
    return {row.id: PowerState(row.power_state) for row in snapshot.execute(query)}


def shelved(snapshot: Snapshot) -> list[Instance]:
    """Shelved instances that are still on their host, and have no open action."""
    return INSTANCES.load_all(snapshot.execute(_SHELVED))


def to_run_on_host(
    snapshot: Snapshot, host: HostName, vm_states: Collection[VmState], only: InstanceId | None = None
) -> list[Instance]:
    """A host's instances (or this one of them) that should run and are in one of these states, in the order of their
    creation."""
    query = sa.select(instances).where(
        instances.c.host == host,
        instances.c.deleted_at.is_(None),
        instances.c.desired_power == PowerState.RUNNING,
        instances.c.vm_state.in_(vm_states),
    )
    if only is not None:
        query = query.where(instances.c.id == only)
    query = query.order_by(instances.c.created_at, instances.c.id)
    return INSTANCES.load_all(snapshot.execute(query))
