# SPDX-License-Identifier: Apache-2.0
"""Which legs an accepted action has.  A verb without a plan of its own has one leg, on the host of its instance.

A plan is made when the action is accepted, in the same transaction.
"""

from collections.abc import Callable, Iterable, Mapping

from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.transaction import Transaction
from kilonova.objects.action import Action
from kilonova.objects.ids import HostName
from kilonova.objects.instance import Instance
from kilonova.objects.leg import Leg, Legs, LegState, one_leg, planned, touched
from kilonova.objects.states import VERBS, Verb

Plan = Callable[[Transaction, Instance], Legs]
"""Makes the legs of an action on the instance."""

PLANS: Mapping[Verb, Plan] = {}
"""The plans of verbs that use several hosts."""


def plan(
    tx: Transaction, verb: Verb, instance: Instance, superseded: Iterable[Action], plans: Mapping[Verb, Plan]
) -> Legs:
    """The legs of a new action with this verb."""
    rule = VERBS[verb]
    if rule.immediate:
        return (Leg(instance.host, verb, LegState.DONE),)
    if rule.preempts:
        return _everywhere(tx, verb, instance, superseded)
    make = plans.get(verb)
    return one_leg(instance.host, verb) if make is None else make(tx, instance)


def _everywhere(tx: Transaction, verb: Verb, instance: Instance, superseded: Iterable[Action]) -> Legs:
    """A leg on each host that may have parts of the guest: the host of the instance, and those of legs that were not
    undone.

    The first is the host that may be running a leg now: it must stop before anything is removed on other hosts.  Hosts
    that are down come last, so that the removal on other hosts does not wait for them.
    """
    open_ones = tuple(superseded)
    at_work = {action.host for action in open_ones}
    several = (*open_ones, *read_actions.not_done(tx, instance.id))
    others = {host for action in several if len(action.legs) > 1 for host in touched(action.legs)} - {instance.host}
    if not others:
        return one_leg(instance.host, verb)
    hosts = [*((instance.host,) if instance.host is not None else ()), *sorted(others)]
    known = [host for host in hosts if host == instance.host or read_hosts.process_of(tx, host) is not None]

    def order(host: HostName) -> tuple[bool, bool, bool]:
        return not read_hosts.is_up(tx, host), host not in at_work, host != instance.host

    return planned(*(Leg(host, verb, commits=True) for host in sorted(known, key=order)))
