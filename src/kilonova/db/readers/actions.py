# SPDX-License-Identifier: Apache-2.0
"""Reading actions and their events."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
import structlog

from kilonova.base.errors import DatabaseUnreadable, NotFound
from kilonova.db.codec import ACTIONS, EVENTS
from kilonova.db.schema import action_events, actions, instances
from kilonova.db.transaction import Snapshot, single_statement
from kilonova.objects.action import Action, ActionEvent
from kilonova.objects.action_params import image_made_with
from kilonova.objects.ids import ActionId, ActionRef, HostName, ImageId, InstanceId
from kilonova.objects.states import VERBS, ActionState, Verb

log = structlog.get_logger(__name__)

# Built once: building a statement costs more than running it.
_OF_ID = sa.select(actions).where(actions.c.id == sa.bindparam("of_id"))
_OPEN_OF_INSTANCE = sa.select(actions).where(
    actions.c.instance_id == sa.bindparam("of_id"), actions.c.state == sa.literal_column("'open'")
)

_IS_KNOWN = sa.select(actions.c.id).where(
    actions.c.request_id == sa.bindparam("request"), actions.c.instance_id == sa.bindparam("of_id")
)
_OPEN_OF_HOST = (
    sa.select(actions)
    .where(actions.c.state == sa.literal_column("'open'"), actions.c.host == sa.bindparam("of_host"))
    .order_by(actions.c.started_at)
)

_PLACED = [verb for verb, rule in VERBS.items() if rule.needs_placement]
_UNPLACED = (
    sa.select(actions.c.id, actions.c.request_id)
    .where(actions.c.state == sa.literal_column("'open'"), actions.c.host.is_(None), actions.c.verb.in_(_PLACED))
    .order_by(actions.c.started_at, actions.c.id)
)


def of_instance(snapshot: Snapshot, instance_id: InstanceId) -> list[Action]:
    """All actions of an instance, newest first."""
    query = sa.select(actions).where(actions.c.instance_id == instance_id)
    query = query.order_by(actions.c.started_at.desc(), actions.c.id.desc())
    return ACTIONS.load_all(snapshot.execute(query))


def newest_of_instance(snapshot: Snapshot, instance_id: InstanceId, count: int) -> list[Action]:
    """The newest few actions of an instance, the newest first."""
    query = sa.select(actions).where(actions.c.instance_id == instance_id)
    query = query.order_by(actions.c.started_at.desc(), actions.c.id.desc()).limit(count)
    return ACTIONS.load_all(snapshot.execute(query))


def by_request(snapshot: Snapshot, instance_id: InstanceId, request_id: str) -> Action:
    """The action of a request.  Raises NotFound."""
    query = sa.select(actions).where(actions.c.instance_id == instance_id, actions.c.request_id == request_id)
    row = snapshot.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"Action for request_id {request_id} on instance {instance_id} not found")
    return ACTIONS.load(row)


def is_known(snapshot: Snapshot, instance_id: InstanceId, request_id: str) -> bool:
    """Whether this request already has an action of the instance, open or ended."""
    return snapshot.execute(_IS_KNOWN, {"of_id": instance_id, "request": request_id}).first() is not None


def get(snapshot: Snapshot, action_id: ActionId) -> Action:
    """One action.  Raises NotFound."""
    row = snapshot.execute(_OF_ID, {"of_id": action_id}).mappings().first()
    if row is None:
        raise NotFound(f"Action {action_id} could not be found.")
    return ACTIONS.load(row)


def events(snapshot: Snapshot, action_id: ActionId) -> list[ActionEvent]:
    """The steps of all attempts at an action, in the order of their start."""
    query = sa.select(action_events).where(action_events.c.action_id == action_id)
    query = query.order_by(action_events.c.start_time, action_events.c.name)
    return EVENTS.load_all(snapshot.execute(query))


def open_of_instance(snapshot: Snapshot, instance_id: InstanceId) -> list[Action]:
    """Open actions of an instance: at most one, by construction."""
    found = snapshot.execute(_OPEN_OF_INSTANCE, {"of_id": instance_id})
    return ACTIONS.load_all(found)


def open_of_host(snapshot: Snapshot, host: HostName) -> list[Action]:
    """Open actions that a host must work on, oldest first."""
    return list(known_actions(snapshot.execute(_OPEN_OF_HOST, {"of_host": host}).mappings()))


_BUSY = (
    sa.select(actions.c.instance_id)
    .join(instances, instances.c.id == actions.c.instance_id)
    .where(actions.c.state == sa.literal_column("'open'"), instances.c.host == sa.bindparam("of_host"))
)
_DELETES_OF_LIVING = (
    sa.select(actions)
    .join(instances, instances.c.id == actions.c.instance_id)
    .where(
        actions.c.state == sa.literal_column("'open'"),
        actions.c.host == sa.bindparam("of_host"),
        actions.c.verb == Verb.DELETE,
        instances.c.deleted_at.is_(None),
    )
)
_NAMED = (
    sa.select(actions)
    .where(
        sa.or_(
            actions.c.id == sa.bindparam("name"),
            actions.c.request_id == sa.bindparam("name"),
            sa.and_(actions.c.instance_id == sa.bindparam("name"), actions.c.state == sa.literal_column("'open'")),
        )
    )
    .order_by(actions.c.started_at, actions.c.id)
)
_NAMED_IN_PROJECT = _NAMED.where(actions.c.instance_project == sa.bindparam("of_project"))


def named(snapshot: Snapshot, name: str, project_id: str | None) -> list[Action]:
    """The action with this id, those of the request with this id, or the open one of the instance with this id, the
    oldest first; with a project, only of its instances."""
    if project_id is None:
        return ACTIONS.load_all(snapshot.execute(_NAMED, {"name": name}))
    return ACTIONS.load_all(snapshot.execute(_NAMED_IN_PROJECT, {"name": name, "of_project": project_id}))


@single_statement
def unplaced(snapshot: Snapshot) -> list[ActionRef]:
    """Open actions that need a host and have none yet."""
    return [ActionRef(row.id, row.request_id) for row in snapshot.execute(_UNPLACED)]


def all_open(snapshot: Snapshot) -> list[Action]:
    """Every open action (for the watchdog: few, however many have ended)."""
    query = sa.select(actions).where(actions.c.state == sa.literal_column("'open'"))
    return list(known_actions(snapshot.execute(query).mappings()))


def known_actions(found: Iterable[Mapping[Any, Any]]) -> Iterator[Action]:
    """Without the actions that a newer version has recorded and this one does not have: they are left to that version.
    An action that cannot be read is logged and left alone, too."""
    for row in found:
        try:
            action = ACTIONS.load(row)
        except DatabaseUnreadable as exc:
            log.error("an action in the database cannot be read", action=row["id"], error=str(exc))
        else:
            if action.is_known:
                yield action


def deletes_of_living(snapshot: Snapshot, host: HostName) -> list[Action]:
    """Open deletes of instances of a host that are not marked as deleted yet."""
    return list(known_actions(snapshot.execute(_DELETES_OF_LIVING, {"of_host": host}).mappings()))


def abandoned(snapshot: Snapshot, host: HostName) -> list[Action]:
    """Actions that were abandoned in a leg of the host, the oldest first; their instances may be deleted."""
    query = sa.select(actions).join(instances, instances.c.id == actions.c.instance_id)
    query = query.where(
        actions.c.state == sa.literal_column("'abandoned'"), actions.c.host == host, instances.c.purged_at.is_(None)
    ).order_by(actions.c.started_at, actions.c.id)
    return list(known_actions(snapshot.execute(query).mappings()))


def not_done(snapshot: Snapshot, instance_id: InstanceId) -> list[Action]:
    """Actions of an instance that ended without success."""
    states = (ActionState.FAILED, ActionState.SUPERSEDED, ActionState.CANCELLED, ActionState.ABANDONED)
    query = sa.select(actions).where(actions.c.instance_id == instance_id, actions.c.state.in_(states))
    return ACTIONS.load_all(snapshot.execute(query))


def busy_on_host(snapshot: Snapshot, host: HostName) -> frozenset[InstanceId]:
    """Instances of a host that have an open action, whichever host works on it."""
    return frozenset(snapshot.execute(_BUSY, {"of_host": host}).scalars())


def images_in_the_making(snapshot: Snapshot) -> frozenset[ImageId]:
    """Images that open actions create: only their host sends their bytes."""
    made = (image_made_with(one.params) for one in all_open(snapshot))
    return frozenset(image_id for image_id in made if image_id is not None)


def is_open(action: Action) -> bool:
    return action.state is ActionState.OPEN
