# SPDX-License-Identifier: Apache-2.0
"""A server as clients see it: a register with pending operations, by the table of objects/states."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from kilonova.objects.states import OBSERVED, RESUMED, VERBS, PowerState, TaskState, Verb, VmState
from tests.simulation.explore.history import REFUSED_BY_STATE, Exchange, Shown
from tests.simulation.explore.linear import Operation, TooLarge, has_order

V = VmState


class State(NamedTuple):
    """`task` is the task_state of the open action; None: no action is open.  `before`: the states before an operator
    forced the host down, to which the server returns with its host."""

    vm: VmState
    task: TaskState | None = None
    locked: bool = False
    before: tuple[VmState, TaskState] | None = None


START = frozenset({State(V.BUILDING, TaskState.SCHEDULING)})
DELETED = State(V.DELETED)
_PLACING = (TaskState.SCHEDULING, TaskState.SPAWNING)
"""A build that a host could not do is given to another one."""

_TASKS = {rule.task_state: verb for verb, rule in VERBS.items() if rule.task_state is not None}
_TASKS |= {TaskState.REBOOTING_HARD: Verb.REBOOT, TaskState.SPAWNING: Verb.CREATE}
_BY_NAME: Mapping[str, Verb] = {
    "hard reboot": Verb.REBOOT,
    "resetState to active": Verb.RESET_STATE,
    "resetState to error": Verb.RESET_STATE,
    "forceDelete": Verb.DELETE,
}


def _verb(state: State) -> Verb:
    """The verb of the open action."""
    unshelves = state.task is TaskState.SPAWNING and state.vm is V.SHELVED_OFFLOADED
    return Verb.UNSHELVE if unshelves else _TASKS[state.task]


def _ends(state: State) -> set[State]:
    """The states in which the open action may end."""
    verb = _verb(state)
    rule = VERBS[verb]
    if verb is Verb.DELETE:
        return {DELETED, State(V.ERROR, None, state.locked)}
    ends = {rule.final_state or state.vm, state.vm, V.ERROR}
    if verb in (Verb.CONFIRM_RESIZE, Verb.REVERT_RESIZE, Verb.REBUILD, Verb.EVACUATE):
        ends.add(V.STOPPED)
    if verb is Verb.CREATE:
        ends = {V.ACTIVE, V.ERROR}
    return {State(vm, None, state.locked) for vm in ends}


@cache
def _next(state: State) -> frozenset[State]:
    """What the server becomes without a request: its action goes on or ends, its guest changes, its host boots, an
    operator forces its host down or gives it up."""
    if state.vm is V.DELETED:
        return frozenset()
    found = set[State]()
    if state.task is None:
        found |= {state._replace(vm=OBSERVED.get((state.vm, power), state.vm)) for power in PowerState}
        if state.vm in RESUMED:
            found.add(state._replace(task=TaskState.POWERING_ON))
        if state.vm is V.SHELVED:
            found.add(state._replace(task=TaskState.SHELVING_OFFLOADING))
        if state.vm is V.ERROR:  # a delete that failed is repeated when the host reports that the guest is off
            found.add(state._replace(task=TaskState.DELETING))
        if state.before is not None:
            vm, task = state.before
            found |= {State(vm, one, state.locked) for one in {task, VERBS[_verb(State(vm, task))].task_state}}
    else:
        found |= _ends(state)
        if state.task in _PLACING and state.vm is V.BUILDING:
            found |= {state._replace(task=task) for task in _PLACING}
        if state.task is TaskState.UNSHELVING and state.vm is V.SHELVED_OFFLOADED:
            found.add(state._replace(task=TaskState.SPAWNING))
        if _verb(state) is not Verb.DELETE:
            found |= {State(V.ERROR, None, state.locked), State(V.ERROR, None, state.locked, (state.vm, state.task))}
    found.discard(state)
    return frozenset(found)


@cache
def _reachable(state: State) -> frozenset[State]:
    """All states that the server reaches by itself, with this one."""
    found, left = {state}, [state]
    while left:
        for one in _next(left.pop()) - found:
            found.add(one)
            left.append(one)
    return frozenset(found)


def by_itself(states: frozenset[State]) -> frozenset[State]:
    """All states that the server reaches from these without a request."""
    return frozenset(one for state in states for one in _reachable(state))


def _accept(verb: Verb, name: str, *, admin: bool, state: State) -> frozenset[State]:
    """The states after the request was accepted; none: it is refused in this state."""
    rule = VERBS[verb]
    if verb is Verb.DELETE and state.task is TaskState.DELETING:  # a second request changes nothing
        return frozenset({state})
    if state.vm is V.DELETED or (state.locked and rule.respects_lock and not admin):
        return frozenset()
    if verb is Verb.DELETE:
        return frozenset({State(state.vm, TaskState.DELETING, state.locked), DELETED})
    if verb in (Verb.LOCK, Verb.UNLOCK):
        return frozenset({state._replace(locked=verb is Verb.LOCK)})
    if verb is Verb.RESET_STATE:
        wanted = V.ERROR if name.endswith("error") else V.ACTIVE
        return frozenset(
            {state._replace(vm=wanted)} | {state._replace(vm=OBSERVED.get((wanted, p), wanted)) for p in PowerState}
        )
    if state.task is not None or not _allowed(verb, state):
        return frozenset()
    task = TaskState.REBOOTING_HARD if name == "hard reboot" else rule.task_state
    vm = V.SHELVED_OFFLOADED if verb is Verb.UNSHELVE and state.vm not in rule.allowed else state.vm
    return frozenset({State(vm, task, state.locked)})


def _allowed(verb: Verb, state: State) -> bool:
    """An offloaded server may be unshelved also after a reset of its state."""
    return state.vm in VERBS[verb].allowed or (verb is Verb.UNSHELVE and state.vm in (V.ACTIVE, V.ERROR, V.STOPPED))


def _shows(shown: Shown, state: State) -> frozenset[State]:
    seen = (shown.vm_state, shown.task_state, shown.locked)
    return frozenset({state}) if seen == (state.vm, state.task, state.locked) else frozenset()


def _refused(verb: Verb, *, admin: bool, state: State) -> frozenset[State]:
    """A refusal because of the state is right only in a state that does not allow the request."""
    locked = state.locked and not admin
    busy = state.task is not None and not VERBS[verb].immediate
    wrong = state.vm not in VERBS[verb].allowed or state.vm is V.ERROR or verb is Verb.REBOOT
    return frozenset({state}) if locked or busy or wrong else frozenset()


def _gone(state: State) -> frozenset[State]:
    return frozenset({state}) if state.vm is V.DELETED else frozenset()


def operation_of(one: Exchange) -> Operation[State] | None:
    """The exchange as an operation; None if it says nothing about the state."""
    name = _BY_NAME.get(one.verb)
    verb = name if name is not None else next((verb for verb in Verb if verb == one.verb), None)
    ended: float | None = one.answered_s
    if one.shown is not None:
        shown = one.shown
        apply = lambda state: _shows(shown, state)  # noqa: E731
    elif one.verb == "show":
        if one.code != 404:
            return None
        apply = _gone
    elif verb is None or verb is Verb.CREATE:
        return None
    elif one.accepted or one.unknown:
        apply = lambda state: _accept(verb, one.verb, admin=one.admin, state=state)  # noqa: E731
        ended = one.answered_s if one.accepted else None
    elif one.code == 404:
        apply = _gone
    elif one.code == 409 and one.message.startswith(REFUSED_BY_STATE) and "without a host" not in one.message:
        apply = lambda state: _refused(verb, admin=one.admin, state=state)  # noqa: E731
    else:
        return None
    return Operation(str(one), one.invoked_s, ended, apply)


def operations_of(exchanges: Sequence[Exchange]) -> Mapping[str, list[Operation[State]]]:
    """The operations of each server whose id a client has learned."""
    found: dict[str, list[Operation[State]]] = defaultdict(list)
    for one in exchanges:
        if one.server and (operation := operation_of(one)) is not None:
            found[one.server].append(operation)
    return found


def explained(operations: Sequence[Operation[State]]) -> bool:
    """Whether one order explains them; True if the search is too large."""
    try:
        return has_order(operations, START, by_itself)
    except TooLarge:
        return True
