# SPDX-License-Identifier: Apache-2.0
"""An instance action: the durable record of an accepted request."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import JsonValue

from kilonova.objects.action_params import NO_PARAMS, RECORDED, RecordedParams, check_params
from kilonova.objects.ids import ActionId, AttemptId, HostName, InstanceId
from kilonova.objects.image import ImageRef
from kilonova.objects.leg import Leg, LegId, Legs, current_index
from kilonova.objects.states import ActionState, Verb, VmState


@dataclass(frozen=True, slots=True)
class Cancel:
    """The cancel of an action.  `by`: the user's name, or the id where the name is not known.

    `refused`: the point of no return that the action has passed; the action continues.  `let_go_from`: the instance's
    vm_state before the action ended for its user, while its host had not ended its work.
    """

    by: str
    at: datetime
    refused: str | None = None
    let_go_from: VmState | None = None


@dataclass(frozen=True, slots=True)
class Former:
    """What the acceptance of an action has replaced in its instance's record.  A cancel restores it.  `columns` have
    the values of the database."""

    image: ImageRef
    columns: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Bookkeeping:
    """The conductor's notes about an action of any verb.

    `host_boot`: the action starts a guest because its host has booted; the host runs few of these at a time.
    `open_at_boot`: it was open while its host booted: after its end the guest is started if it should run.
    `abandoned_in`: the instance's vm_state before the action was abandoned.  `cancel`: it was requested.
    `former`: see Former; hosts do not receive it.
    """

    host_boot: bool = False
    open_at_boot: bool = False
    abandoned_in: VmState | None = None
    cancel: Cancel | None = None
    former: Former | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """`deadline` is when its time is up (see kilonova.conductor.watch); `legs` are the parts that hosts run, one after
    another (kilonova.objects.leg), at least one; `counted_at` is the time up to which the watchdog has counted its
    time. `message` says how the action ended, or what an open action waits for."""

    id: ActionId
    instance_id: InstanceId
    verb: Verb
    request_id: str
    user_id: str
    project_id: str
    started_at: datetime
    updated_at: datetime
    deadline: datetime
    legs: Legs
    state: ActionState = ActionState.OPEN
    params: RecordedParams = NO_PARAMS
    bookkeeping: Bookkeeping = Bookkeeping()
    message: str | None = None
    ended_at: datetime | None = None
    counted_at: datetime | None = None

    def __post_init__(self) -> None:
        check_params(self.verb, self.params, RECORDED)

    @property
    def is_known(self) -> bool:
        """Whether this version has its verb and all its states.  Another action is left to the processes of the newer
        version: this version neither hands it out nor ends, abandons or supersedes it."""
        return self.verb.is_known and self.state.is_known and all(leg.state.is_known for leg in self.legs)

    @property
    def is_requested(self) -> bool:
        """Whether somebody requested it: not a record of a guest that changed without a request."""
        return self.verb is not Verb.POWER_UPDATE

    @property
    def is_cancelled(self) -> bool:
        """Whether it was cancelled: what it has done is undone, or will be."""
        cancel = self.bookkeeping.cancel
        return cancel is not None and cancel.refused is None

    @property
    def is_let_go(self) -> bool:
        """Whether it was cancelled and has ended for its user, while its host has not ended its work."""
        cancel = self.bookkeeping.cancel
        return cancel is not None and cancel.refused is None and cancel.let_go_from is not None

    @property
    def current(self) -> int:
        """The index of the current leg; in an ended action, the index of the leg that ended last."""
        return current_index(self.legs)

    @property
    def leg(self) -> Leg:
        """The current leg."""
        return self.legs[self.current]

    @property
    def leg_id(self) -> LegId:
        """The current leg's name in messages."""
        return LegId(self.id, self.current)

    @property
    def host(self) -> HostName | None:
        """The host of the current leg; None until the action is placed."""
        return self.leg.host

    @property
    def attempt(self) -> AttemptId | None:
        """The token of the newest hand-out of the current leg; None before the first."""
        return self.leg.attempt

    @property
    def hosts(self) -> frozenset[HostName]:
        """The hosts of all legs."""
        return frozenset(leg.host for leg in self.legs if leg.host is not None)

    def with_leg(self, leg: Leg) -> "Action":
        """The action with this leg in place of its current one."""
        index = self.current
        return replace(self, legs=(*self.legs[:index], leg, *self.legs[index + 1 :]))


@dataclass(frozen=True, slots=True)
class ActionEvent:
    """One step of one attempt at a leg, for people to read; never an input to recovery.

    `result` is "Success" or "Error" once `finish_time` is set.
    """

    name: str
    start_time: datetime
    finish_time: datetime | None = None
    result: str | None = None
    host: str | None = None
    details: str | None = None
    leg: int = 0
