# SPDX-License-Identifier: Apache-2.0
"""Hosts that are down: what is said of their work, and what an operator's word ends.

A delete is recorded at once and answered as Nova's local delete; the host removes the guest when it is back.  Anything
else that the host was given stays open: only the host knows what became of it.  An operator who calls the host down
(`openstack compute service set --down`) ends that wait.  Each function is part of a transaction.
"""

from datetime import datetime

from kilonova.conductor.engine import end, legs
from kilonova.conductor.verbs.delete import release_from_project
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import instances as read_instances
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import HostName
from kilonova.objects.states import VERBS


def delete_for_users(tx: Transaction, host: HostName, now: datetime) -> int:
    """Mark deleted what waits for a delete on a host that is down; how many instances.  Their claims, addresses and
    open deletes stay until the host has removed the guests."""
    waiting = read_actions.deletes_of_living(tx, host)
    for action in waiting:
        release_from_project(tx, read_instances.get(tx, action.instance_id), now)
    return len(waiting)


def call_down(tx: Transaction, host: HostName, now: datetime, *, forced: bool) -> None:
    """An operator calls a host down, or takes it back.

    Down: what the host was never given fails, what it was given is abandoned, deletes are done for their users.  Back:
    abandoned actions go on.  Said again, it changes nothing.
    """
    if forced:
        delete_for_users(tx, host, now)
        for action in read_actions.open_of_host(tx, host):
            if VERBS[action.verb].until_done:
                continue
            if not action.leg.ends_by_report:
                legs.fail(tx, action, f"An operator called host {host} down before {action.verb} began.", now)
            else:
                end.abandon(tx, action, now)
        return
    for action in read_actions.abandoned(tx, host):
        end.reopen_abandoned(tx, action, now)


def forget(tx: Transaction, host: HostName, now: datetime) -> None:
    """The host will not come back, by an operator's word: nothing waits for it, and its addresses are free."""
    delete_for_users(tx, host, now)
    for action in read_actions.open_of_host(tx, host):
        message = f"The service of host {host} was deleted by an operator: what is left there was not removed."
        legs.forget_leg(tx, action, message, now)
