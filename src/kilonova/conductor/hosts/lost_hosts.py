# SPDX-License-Identifier: Apache-2.0
"""Hosts that are down: the records of their work, and the effects of an operator's decision.

A delete is recorded at once and answered as Nova's local delete; the host removes the guest when it returns.  Other
work that the host has received stays open: only the host knows its result.  An operator who forces the host down
(`openstack compute service set --down`) ends that wait.  Each function is part of a transaction.
"""

from datetime import datetime

from kilonova.conductor import images, outbox
from kilonova.conductor.engine import end, legs
from kilonova.conductor.verbs.delete import release_from_project
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import instances as read_instances
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.objects.action import Action
from kilonova.objects.ids import HostName
from kilonova.objects.states import VERBS, ActionState


def delete_for_users(tx: Transaction, host: HostName, now: datetime) -> int:
    """Mark the instances deleted that wait for a delete on a host that is down.  Returns their number.  Their claims,
    addresses and open deletes stay until the host has removed the guests."""
    waiting = read_actions.deletes_of_living(tx, host)
    for action in waiting:
        release_from_project(tx, read_instances.get(tx, action.instance_id), now)
    return len(waiting)


def call_down(tx: Transaction, host: HostName, now: datetime, *, forced: bool) -> None:
    """An operator forces a host down, or takes it back.

    Down: work that the host never received fails, work that it has received is abandoned, deletes are done for their
    users.  Back: abandoned actions continue, or have failed.  A repeat changes nothing.
    """
    if forced:
        delete_for_users(tx, host, now)
        for action in read_actions.open_of_host(tx, host):
            if VERBS[action.verb].until_done:
                continue
            if not action.leg.ends_by_report:
                legs.fail(tx, action, f"An operator forced host {host} down before {action.verb} began.", now)
            else:
                end.abandon(tx, action, now)
        return
    for action in read_actions.abandoned(tx, host):
        if not end.reopen_abandoned(tx, action, now):
            message = (
                f"An operator forced host {host} down while {action.verb} was in progress. It does not continue, "
                "because the server was changed by another request. What it has done was not undone."
            )
            _fail_abandoned(tx, action, message, now)


def forget(tx: Transaction, host: HostName, now: datetime, message: str) -> int:
    """An operator has decided that the host will not return: nothing waits for it, and the addresses of deleted servers
    are free.  Abandoned actions have failed.  `message` is the reason.  Returns the number of deletes that it ends."""
    delete_for_users(tx, host, now)
    deletes = 0
    for action in read_actions.open_of_host(tx, host):
        deletes += VERBS[action.verb].until_done
        legs.forget_leg(tx, action, message, now)
    for action in read_actions.abandoned(tx, host):
        _fail_abandoned(tx, action, message, now)
    return deletes


def _fail_abandoned(tx: Transaction, action: Action, message: str, now: datetime) -> None:
    """An abandoned action will not continue: it has failed, without the image that it has not completed.  The record
    of its instance, which may be deleted, stays as it is."""
    instance, _is_deleted = read_instances.get_known(tx, action.instance_id)
    write_actions.end(tx, action.id, now, ActionState.FAILED, message)
    outbox.ended(tx, action, instance, now, state=ActionState.FAILED, message=message)
    images.forget_unfinished(tx, action, now)
