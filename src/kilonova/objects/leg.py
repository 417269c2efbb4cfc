# SPDX-License-Identifier: Apache-2.0
"""The legs of an action: the work of each host, one after another. Pure functions.

A leg is one operation on one host.  One leg is current at a time.  When a leg fails, legs that undo the earlier ones
are appended in reverse order, each on the host of the leg that it undoes.  A leg is therefore run in one direction
only, and its index names it permanently: a message about an earlier leg cannot be mistaken for a message about a later
leg. See docs/adr/0020-legs.md.
"""

from dataclasses import dataclass, replace

from kilonova.base.open_enum import OpenStrEnum
from kilonova.objects.guest import ReadMark
from kilonova.objects.ids import ActionId, AttemptId, HostName
from kilonova.objects.states import PowerState


class LegState(OpenStrEnum):
    """How far a leg has come."""

    PENDING = "pending"
    """The legs before it have not ended."""
    OPEN = "open"
    """Its host works on it, or will do so. It stays OPEN when its action is superseded or abandoned."""
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Leg:
    """`operation` is a key of the host's table of operations.  `host` is None until the action is placed; `attempt` is
    the token of the newest hand-out, None before the first.

    `undoes` is the index of the leg whose steps this leg makes absent; None: it ensures its steps. `commits`: once
    this leg is done, neither it nor an earlier leg is undone.  `power` is the guest's power state on this host when the
    leg ended (None: no guest is there), `read` which read of the guest reported it, `message` why the leg failed.
    `retried`: it failed for a reason of its host, and another host gets the work: the action has not failed with it.
    `repeated`: it was handed out under another attempt before, which may have begun; a conductor older than this field
    does not set it.
    """

    host: HostName | None
    operation: str
    state: LegState = LegState.PENDING
    attempt: AttemptId | None = None
    undoes: int | None = None
    commits: bool = False
    power: PowerState | None = None
    message: str | None = None
    retried: bool = False
    read: ReadMark | None = None
    repeated: bool = False

    def under(self, attempt: AttemptId) -> "Leg":
        """The leg as it is handed out.  A host that repeats its request has the same attempt."""
        repeated = self.repeated or self.attempt not in (None, attempt)
        return replace(self, attempt=attempt, repeated=repeated)

    @property
    def ends_by_report(self) -> bool:
        """Whether only its host can end it: the host received it, or has made what it undoes."""
        return self.attempt is not None or self.undoes is not None


Legs = tuple[Leg, ...]

_ENDED = (LegState.DONE, LegState.FAILED)


@dataclass(frozen=True, slots=True)
class LegId:
    """Which leg of which action.  Each leg is run in one direction only, so that this names one piece of work."""

    action_id: ActionId
    index: int


def one_leg(host: HostName | None, operation: str, *, attempt: AttemptId | None = None) -> Legs:
    """The legs of an action that one host does alone."""
    return (Leg(host, operation, LegState.OPEN, attempt),)


def planned(*legs: Leg) -> Legs:
    """These legs in this order, before any has begun."""
    return (replace(legs[0], state=LegState.OPEN), *(replace(leg, state=LegState.PENDING) for leg in legs[1:]))


def current_index(legs: Legs) -> int:
    """The index of the current leg; when none is, of the leg that ended last."""
    return next((index for index, leg in enumerate(legs) if leg.state is LegState.OPEN), len(legs) - 1)


def has_ended(legs: Legs) -> bool:
    """Whether no leg is left to do."""
    return all(leg.state in _ENDED for leg in legs)


def after_success(legs: Legs, power: PowerState | None, read: ReadMark | None = None) -> Legs:
    """The current leg is done, and the next one, if there is one, is open."""
    return _next_open(_end_current(legs, LegState.DONE, power, None, read))


def after_failure(legs: Legs, power: PowerState | None, message: str | None, read: ReadMark | None = None) -> Legs:
    """The current leg has failed.  Pending legs of the plan are dropped, and what the earlier legs have done is to be
    undone, the newest first.  A failed leg that undoes another leg is not retried: the others are undone."""
    index = current_index(legs)
    failed = _end_current(legs, LegState.FAILED, power, message, read)
    if legs[index].undoes is not None:
        return _next_open(_without_plan(failed))
    begun = failed[: index + 1]
    return _next_open((*begun, *_undo_of(begun)))


def _undo_of(begun: Legs) -> Legs:
    """The legs that undo those that are done, the newest first."""
    commits = max((number for number, leg in enumerate(begun) if leg.commits and _is_done(leg)), default=-1)
    undo = (
        Leg(leg.host, leg.operation, undoes=number)
        for number, leg in enumerate(begun)
        if number > commits and _is_done(leg) and leg.undoes is None
    )
    return tuple(reversed(tuple(undo)))


def to_undo(legs: Legs, message: str) -> Legs:
    """The action was cancelled while a host had its current leg: the leg has failed with this message, and the same
    host undoes it.  The pending legs stay until it is undone, because the host may refuse that
    (`continued`).  An undo for a reason of the host (`after_failure_of_host`) is not followed by a new try."""
    index = current_index(legs)
    undone = legs[index].undoes
    if undone is not None and not legs[undone].retried:
        return legs
    if undone is not None:
        return (*legs[:undone], replace(legs[undone], retried=False, message=message), *legs[undone + 1 :])
    failed = _end_current(legs, LegState.FAILED, None, message, None)
    return (*failed, Leg(legs[index].host, legs[index].operation, LegState.OPEN, undoes=index))


def continued(legs: Legs) -> Legs:
    """The host has refused to undo the cancelled leg: that leg is current again."""
    index = legs[current_index(legs)].undoes
    assert index is not None
    return (*legs[:index], replace(legs[index], state=LegState.OPEN, message=None), *legs[index + 1 : -1])


def after_undo(legs: Legs, power: PowerState | None, read: ReadMark | None = None) -> Legs:
    """The cancelled leg is undone.  The pending legs are dropped, and what the earlier legs have done is undone."""
    index = legs[current_index(legs)].undoes
    assert index is not None
    done = _without_plan(_end_current(legs, LegState.DONE, power, None, read))
    begun = {leg.undoes for leg in done}
    return _next_open((*done, *(leg for leg in _undo_of(done[:index]) if leg.undoes not in begun)))


def _without_plan(legs: Legs) -> Legs:
    """The pending legs of the plan never begin."""
    return tuple(
        replace(leg, state=LegState.FAILED) if leg.state is LegState.PENDING and leg.undoes is None else leg
        for leg in legs
    )


def after_failure_of_host(
    legs: Legs, power: PowerState | None, message: str | None, read: ReadMark | None = None
) -> Legs:
    """The current leg has failed for a reason of its host.  What it has made there is removed; then another host is to
    be found (`to_place_again`)."""
    index = current_index(legs)
    failed = _end_current(legs, LegState.FAILED, power, message, read)
    undo = Leg(legs[index].host, legs[index].operation, LegState.OPEN, undoes=index)
    return (*failed[:index], replace(failed[index], retried=True), undo)


def moves_on(legs: Legs) -> bool:
    """Whether the current leg is the undo of a leg that another host is to repeat."""
    undone = legs[current_index(legs)].undoes
    return undone is not None and legs[undone].retried


def to_place_again(legs: Legs) -> Legs:
    """The current leg has undone a leg; a new one, without a host, repeats it."""
    done = _end_current(legs, LegState.DONE, None, None, None)
    return (*done, Leg(None, done[-1].operation, LegState.OPEN))


def tried(legs: Legs) -> tuple[HostName, ...]:
    """The hosts on which a leg failed for a reason of the host."""
    return tuple(leg.host for leg in legs if leg.retried and leg.host is not None)


def has_failed(legs: Legs) -> bool:
    """Whether a leg has failed, and with it the action."""
    return any(leg.state is LegState.FAILED and not leg.retried for leg in legs)


def failure(legs: Legs) -> str | None:
    """Why the action failed: each failed leg, with what could not be undone after it.  None when it did not fail."""
    if not has_failed(legs):
        return None
    messages = [_failure_of(leg, several=bool(tried(legs))) for leg in legs if leg.state is LegState.FAILED]
    return " ".join(filter(None, messages)) or None


def _failure_of(leg: Leg, *, several: bool) -> str | None:
    if leg.undoes is not None:
        return f"What was done in step {leg.undoes + 1} was not undone: {leg.message}"
    return f"On host {leg.host}: {leg.message}" if several and leg.host is not None else leg.message


def last_of_host(legs: Legs, host: HostName | None) -> Leg | None:
    """The last leg that ended by a report of this host; None when the host received no leg."""
    reported = (leg for leg in reversed(legs) if leg.state in _ENDED and leg.attempt is not None)
    return next((leg for leg in reported if leg.host == host), None)


def touched(legs: Legs) -> tuple[HostName, ...]:
    """The hosts that received a leg whose work was not undone: parts of the guest may be there."""
    undone = {leg.undoes for leg in legs if _is_done(leg)}
    hosts = (
        leg.host
        for number, leg in enumerate(legs)
        if leg.attempt is not None and leg.undoes is None and number not in undone
    )
    return tuple(dict.fromkeys(host for host in hosts if host is not None))


def is_undone(legs: Legs) -> bool:
    """Whether each leg that was to undo another one has done so."""
    return all(_is_done(leg) for leg in legs if leg.undoes is not None)


def _is_done(leg: Leg) -> bool:
    return leg.state is LegState.DONE


def _end_current(
    legs: Legs, state: LegState, power: PowerState | None, message: str | None, read: ReadMark | None
) -> Legs:
    index = current_index(legs)
    ended = replace(legs[index], state=state, power=power, message=message, read=read)
    return (*legs[:index], ended, *legs[index + 1 :])


def _next_open(legs: Legs) -> Legs:
    index = next((number for number, leg in enumerate(legs) if leg.state is LegState.PENDING), None)
    if index is None:
        return legs
    return (*legs[:index], replace(legs[index], state=LegState.OPEN), *legs[index + 1 :])
