# SPDX-License-Identifier: Apache-2.0
"""power-update: an ended action that records a change of a guest without a request.  The API has no request for it."""

from datetime import datetime, timedelta

from kilonova.base.context import system_context
from kilonova.conductor import outbox
from kilonova.db.readers import actions as read_actions
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.objects.action import Action, ActionEvent
from kilonova.objects.action_params import PowerUpdateParams
from kilonova.objects.ids import ActionId, AttemptId
from kilonova.objects.instance import Instance
from kilonova.objects.leg import Leg, LegState
from kilonova.objects.states import ActionState, Verb
from kilonova.rpcapi.host_to_conductor import Observed

MOST_CHANGES, FLAPPING = 5, timedelta(minutes=1)
"""At most so many changes of a guest without a request, within this time, have an action each."""
_EVENT = "compute_power_update"


def record(tx: Transaction, instance: Instance, seen: Observed, action_id: ActionId, now: datetime) -> None:
    """The actions of a server show that its guest changed without a request, when, and the hypervisor's reason.  The
    project is the instance's, so that its users see the host's id.  A guest that changes often has one action, with a
    count."""
    newest = read_actions.newest_of_instance(tx, instance.id, MOST_CHANGES)
    if _flaps(newest, now):
        _fold(tx, newest[0], instance, seen, now)
        return
    system = system_context(f"req-{action_id}")
    action = Action(
        id=action_id,
        instance_id=instance.id,
        verb=Verb.POWER_UPDATE,
        params=PowerUpdateParams(),
        request_id=system.request_id,
        user_id=system.user_id,
        project_id=instance.project_id,
        started_at=now,
        updated_at=now,
        deadline=now,
        state=ActionState.DONE,
        legs=(Leg(instance.host, Verb.POWER_UPDATE, LegState.DONE),),
        message=_in_words(seen),
        ended_at=now,
    )
    write_actions.insert(tx, action, instance.project_id)
    outbox.began(tx, action, instance, now)
    _record_event(tx, action, now, instance)


def _fold(tx: Transaction, action: Action, instance: Instance, seen: Observed, now: datetime) -> None:
    """The action represents one more change: it began with the first one, and ends with this one."""
    count = _changes(action) + 1
    message = f"{_in_words(seen)} ({count} changes since {action.started_at:%Y-%m-%d %H:%M:%S} UTC)"
    write_actions.update(tx, action.id, now, message=message, params=PowerUpdateParams(count), ended_at=now)
    _record_event(tx, action, now, instance)
    outbox.changed_again(tx, action, instance, count, now)


def _record_event(tx: Transaction, action: Action, now: datetime, instance: Instance) -> None:
    step = ActionEvent(_EVENT, action.started_at, now, "Success", instance.host)
    write_actions.record_events(tx, action.id, AttemptId(action.id), (step,))


def _flaps(newest: list[Action], now: datetime) -> bool:
    """Whether there are too many changes: the newest actions are all power updates, within a minute."""
    if not newest or newest[0].verb is not Verb.POWER_UPDATE or now - newest[0].updated_at > FLAPPING:
        return False
    if _changes(newest[0]) > 1:
        return True
    changes = [one for one in newest if one.verb is Verb.POWER_UPDATE and now - one.started_at <= FLAPPING]
    return len(changes) == MOST_CHANGES


def _changes(action: Action) -> int:
    assert isinstance(action.params, PowerUpdateParams)
    return action.params.changes


def _in_words(seen: Observed) -> str:
    if seen.power is None:
        return "The hypervisor does not know this guest."
    word = seen.power.name.lower()
    return f"{word}: {seen.reason}" if seen.reason else word
