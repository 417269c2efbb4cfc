# SPDX-License-Identifier: Apache-2.0
"""Reading actions together with their instances: one query for both."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog

from kilonova.base.errors import DatabaseUnreadable, NotFound
from kilonova.db.codec import ACTIONS, INSTANCES
from kilonova.db.readers.actions import known_actions
from kilonova.db.readers.hosts import COMPUTE, HostProcess
from kilonova.db.readers.instances import read_mark
from kilonova.db.schema import actions, compute_nodes, instances, project_numbers, services
from kilonova.db.transaction import Snapshot, single_statement
from kilonova.objects.action import Action
from kilonova.objects.guest import ReadMark
from kilonova.objects.ids import ActionId, HostName
from kilonova.objects.instance import Instance

log = structlog.get_logger(__name__)

_ACTION, _INSTANCE = tuple(actions.c.keys()), tuple(instances.c.keys())
_WIDTH, _BOTH_WIDTH = len(_ACTION), len(_ACTION) + len(_INSTANCE)
_JOINED = actions.outerjoin(instances, instances.c.id == actions.c.instance_id)

# Built once: building a statement costs more than running it.
_BOTH = sa.select(*actions.c, *instances.c).select_from(_JOINED)
_OF_ID = _BOTH.where(actions.c.id == sa.bindparam("of_id"))
_NUMBER = sa.select(project_numbers.c.number).where(project_numbers.c.project_id == instances.c.project_id)
_TO_PLACE = _OF_ID.add_columns(_NUMBER.scalar_subquery())
_FAILED_HERE = sa.exists().where(compute_nodes.c.host == actions.c.host, compute_nodes.c.failed_builds > 0)
_TO_FINISH = _OF_ID.add_columns(_FAILED_HERE)
_OF_HOST = (
    sa.select(*actions.c, *instances.c, *(services.c[name] for name in HostProcess._fields))
    .select_from(
        services.outerjoin(
            actions, sa.and_(actions.c.host == services.c.host, actions.c.state == sa.literal_column("'open'"))
        ).outerjoin(instances, instances.c.id == actions.c.instance_id)
    )
    .where(services.c.host == sa.bindparam("of_host"), services.c.binary == COMPUTE)
    .order_by(actions.c.started_at, actions.c.id)
)
_HAS_OPEN = sa.select(
    services.c.epoch,
    sa.exists().where(actions.c.state == sa.literal_column("'open'"), actions.c.host == services.c.host),
).where(services.c.host == sa.bindparam("of_host"), services.c.binary == COMPUTE)


class Work(NamedTuple):
    """An action and its instance.  `project_number`: see writers.instances.number_project; None without one, or if it
    was not read.  `failed_here`: whether builds failed on the action's host since the last success, if that was read.
    `read`: the read of the guest that the instance's record is from.
    """

    action: Action
    instance: Instance
    is_deleted: bool
    project_number: int | None = None
    failed_here: bool = False
    read: ReadMark | None = None


class WorkOfHost(NamedTuple):
    """The work of a host, and its process.

    `open_actions`: those whose current leg belongs to the host, the oldest first, each with its instance, or None for
    an instance that cannot be read.  `others`: the open actions of the host that are left to a newer version, or that
    cannot be read.  `process`: None for an unknown host.
    """

    process: HostProcess | None
    open_actions: Sequence[tuple[Action, Instance | None]]
    others: frozenset[ActionId]


def of_action(snapshot: Snapshot, action_id: ActionId) -> Work:
    """An action and its instance, also a deleted one.  Raises NotFound."""
    row = snapshot.execute(_TO_FINISH, {"of_id": action_id}).first()
    if row is None:
        raise NotFound(f"Action {action_id} could not be found.")
    return _work(tuple(row[:_BOTH_WIDTH]))._replace(failed_here=row[_BOTH_WIDTH])


def to_place(snapshot: Snapshot, action_id: ActionId) -> Work:
    """An action and its instance, with the number of the project.  Raises NotFound.

    It takes no lock: of two conductors that place one action, the slower one begins again and finds the host.  To skip
    a locked action would be wrong: its lock may belong to the watchdog, and nobody would place it then.
    """
    row = snapshot.execute(_TO_PLACE, {"of_id": action_id}).first()
    if row is None:
        raise NotFound(f"Action {action_id} could not be found.")
    return _work(tuple(row[:_BOTH_WIDTH]))._replace(project_number=row[_BOTH_WIDTH])


def of_host(snapshot: Snapshot, host: HostName) -> WorkOfHost:
    """The work of a host, and its process: one statement.  An instance that cannot be read is logged."""
    found = [tuple(row) for row in snapshot.execute(_OF_HOST, {"of_host": host})]
    if not found:
        return WorkOfHost(None, (), frozenset())
    rows = {row[0]: row[:_BOTH_WIDTH] for row in found if row[0] is not None}
    known = list(known_actions(dict(zip(_ACTION, row[:_WIDTH], strict=True)) for row in rows.values()))
    others = frozenset(rows.keys() - {one.id for one in known})
    work = [(action, _instance_of(rows[action.id], action)) for action in known]
    return WorkOfHost(HostProcess(*found[0][_BOTH_WIDTH:]), work, others)


@single_statement
def is_idle(snapshot: Snapshot, host: HostName, epoch: int) -> bool:
    """Whether this is the host's current process, and no open action belongs to the host."""
    row = snapshot.execute(_HAS_OPEN, {"of_host": host}).first()
    return row is not None and row[0] == epoch and not row[1]


def _instance_of(values: tuple[Any, ...], action: Action) -> Instance | None:
    try:
        return _work(values, action).instance
    except (NotFound, DatabaseUnreadable) as exc:
        log.error("an action is held back: its instance cannot be read", action=action.id, error=repr(exc))
        return None


def _action(values: tuple[Any, ...]) -> Action:
    return ACTIONS.load(dict(zip(_ACTION, values[:_WIDTH], strict=True)))


def _work(values: tuple[Any, ...], action: Action | None = None) -> Work:
    """The objects of a joined row.  Raises NotFound without an instance, and DatabaseUnreadable."""
    action = action or _action(values)
    row = dict(zip(_INSTANCE, values[_WIDTH:], strict=True))
    if row["id"] is None:
        raise _unknown(action)
    return Work(action, INSTANCES.load(row), row["deleted_at"] is not None, read=read_mark(row))


def _unknown(action: Action) -> NotFound:
    return NotFound(f"Instance {action.instance_id} could not be found.", instance_id=action.instance_id)
