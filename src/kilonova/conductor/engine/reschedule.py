# SPDX-License-Identifier: Apache-2.0
"""A build that failed for a reason of its host is tried on another host, on MOST_HOSTS in all.

The failed host first removes what it has made, in a leg of its own.  Then the instance leaves the host, and the action
waits to be placed like a new one.  See docs/adr/0026-scheduling.md.  Each function is part of a transaction.
"""

from datetime import datetime

from kilonova.conductor.verbs.handler import Outcome
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import instances as write_instances
from kilonova.objects.action import Action, ActionEvent
from kilonova.objects.action_params import CreateParams
from kilonova.objects.ids import AttemptId, HostName
from kilonova.objects.instance import Instance
from kilonova.objects.leg import to_place_again, tried
from kilonova.objects.states import TaskState

MOST_HOSTS = 3
"""The most hosts on which one build is tried."""
EVENT = "conductor.reschedule"


def note_failure(tx: Transaction, action: Action, outcome: Outcome, now: datetime) -> None:
    """Count a build that failed for a reason of the host.  The scheduler prefers hosts without such failures."""
    host = _builder(action)
    if host is not None and not outcome.succeeded and outcome.of_host:
        write_hosts.build_failed(tx, host, now)


def note_success(tx: Transaction, action: Action) -> None:
    """A build that succeeded clears the count of its host."""
    host = _builder(action)
    if host is not None:
        write_hosts.build_succeeded(tx, host)


def _builder(action: Action) -> HostName | None:
    """The host that builds an instance in the action's current leg, if that is what the leg does."""
    is_build = isinstance(action.params, CreateParams) and action.leg.undoes is None
    return action.host if is_build else None


def may_move(tx: Transaction, action: Action, outcome: Outcome) -> bool:
    """Whether the failed leg is to be tried on another host: a build, without a requested host, that has been on few
    enough hosts, and there is another host in service."""
    params = action.params
    if not outcome.of_host or not isinstance(params, CreateParams) or params.host is not None:
        return False
    if action.host is None or action.leg.undoes is not None:
        return False
    hosts = (*tried(action.legs), action.host)
    return len(hosts) < MOST_HOSTS and read_hosts.is_another_in_service(tx, hosts)


def note_move(tx: Transaction, action: Action, outcome: Outcome, now: datetime) -> None:
    """Record in the action's events that it leaves its host, and why."""
    number = len(tried(action.legs)) + 1
    event = ActionEvent(
        f"{EVENT}.{number}", now, now, "Error", host=action.host, details=outcome.message, leg=action.current
    )
    write_actions.record_events(tx, action.id, AttemptId(action.id), (event,))


def move_on(tx: Transaction, action: Action, instance: Instance, now: datetime) -> None:
    """Nothing of the build is left on its host: the instance leaves it, and waits for another one.  Its addresses stay
    reserved until it is placed, so that it keeps those that are valid there, too."""
    assert instance.host is not None
    write_hosts.release(tx, instance.host, instance)
    write_instances.update(
        tx,
        instance.id,
        now,
        host=None,
        node=None,
        availability_zone=instance.requested_zone,
        task_state=TaskState.SCHEDULING,
    )
    write_actions.put_legs(tx, action.id, to_place_again(action.legs), now)
