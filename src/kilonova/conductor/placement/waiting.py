# SPDX-License-Identifier: Apache-2.0
"""A create waits for a host that is returning, for a bounded time, before it fails with "no valid host".

It waits for a host that could take the instance and is out of service without an operator's decision: its hypervisor
does not answer, it has just started and has not reported its resources yet, or it went down a short time ago.  It does
not wait for a host that an operator has disabled or forced down, or that is full.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.hosts import COMPUTE
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.objects.action import Action, ActionEvent
from kilonova.objects.ids import AttemptId, HostName
from kilonova.objects.service import ComputeNode, Service
from kilonova.scheduler.filters import refusal
from kilonova.scheduler.request import PlacementRequest

SAYS = "Waiting for a host: "
"""The beginning of the message of an open action that waits.  Only the log has the hosts' names: users do not see
them."""
EVENT = "conductor.wait"

SILENT_HYPERVISOR = "its hypervisor does not answer"
JUST_STARTED = "it has just started"
JUST_DOWN = "it does not answer"


@dataclass(frozen=True, slots=True)
class Wait:
    """No host is available now; `hosts` (empty: the first host has not registered yet) are returning, for `reason`."""

    hosts: tuple[HostName, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a create waits for a host.  `young`: the conductor has started within that time, so that hosts may not
    have registered yet.  `down_time`: a host without a heartbeat for this long is down."""

    host_wait: timedelta = timedelta(0)
    young: bool = False
    down_time: timedelta = timedelta(0)


def left(tx: Transaction, action: Action, patience: Patience) -> Patience:
    """The patience that this action still has: none when its time is over.

    How long it has waited follows from its own record, so that it is the same for every conductor: from the begin of
    its wait to the time up to which its time was counted (watch/deadlines).  The wait of a time that was not counted
    yet, because no conductor worked, does not count.
    """
    began = _began(tx, action)
    if began is None or action.counted_at is None or action.counted_at - began.start_time < patience.host_wait:
        return patience
    return Patience()


def move(tx: Transaction, action: Action, passed: timedelta) -> None:
    """The action's time is not counted for that long: its wait for a host, if it waits, began later by as much."""
    began = _began(tx, action)
    if began is not None:
        write_actions.move_event(tx, action.id, AttemptId(action.id), EVENT, began.start_time + passed)


def _began(tx: Transaction, action: Action) -> ActionEvent | None:
    """The event of the wait in which the action is."""
    if action.host is not None or action.message is None or not action.message.startswith(SAYS):
        return None
    return next((event for event in read_actions.events(tx, action.id) if event.name == EVENT), None)


def coming(
    tx: Transaction,
    request: PlacementRequest,
    nodes: Mapping[HostName, ComputeNode],
    patience: Patience,
    now: datetime,
) -> Wait | None:
    """The hosts that are worth waiting for; None when there are none."""
    if not patience.host_wait:
        return None
    services = read_hosts.list_services(tx, binary=COMPUTE)
    found = {one.host: why for one in services if (why := _why(request, one, nodes.get(one.host), patience, now))}
    if found:
        return Wait(tuple(found), next(iter(found.values())))
    return Wait((), JUST_STARTED) if not services and patience.young else None


def _why(
    request: PlacementRequest, service: Service, node: ComputeNode | None, patience: Patience, now: datetime
) -> str | None:
    """Why this host cannot take the instance now, but may soon."""
    if service.forced_down or (service.disabled and not service.disabled_by_host):
        return None
    if not service.up:
        silent = now - service.updated_at  # the time at which it was heard last
        lately = silent < patience.down_time + patience.host_wait
        return JUST_DOWN if lately and _fits(request, service, node) else None
    if node is None:
        return JUST_STARTED if request.host in (None, service.host) else None
    return SILENT_HYPERVISOR if service.disabled_by_host and _fits(request, service, node) else None


def _fits(request: PlacementRequest, service: Service, node: ComputeNode | None) -> bool:
    if node is None:
        return request.host in (None, service.host)
    in_service = replace(node, service=replace(service, up=True, disabled=False, disabled_by_host=False))
    return refusal(request, in_service) is None


def begin(tx: Transaction, action: Action, wait: Wait, now: datetime) -> None:
    """Record in the open action that it waits, and the reason; once for each reason."""
    words = f"{SAYS}{wait.reason}."
    if action.message != words:
        write_actions.update(tx, action.id, now, message=words)
        _tell(tx, action, (ActionEvent(EVENT, now, details=words),))


def end(tx: Transaction, action: Action, now: datetime, *, found: bool) -> None:
    """The wait is over, if there was one."""
    if action.message is None or not action.message.startswith(SAYS):
        return
    if found:
        write_actions.update(tx, action.id, now, message=None)
    result = "Success" if found else "Error"
    _tell(tx, action, (ActionEvent(EVENT, now, now, result, details=action.message),))


def _tell(tx: Transaction, action: Action, events: Iterable[ActionEvent]) -> None:
    write_actions.record_events(tx, action.id, AttemptId(action.id), events)
