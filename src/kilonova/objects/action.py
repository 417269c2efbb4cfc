# SPDX-License-Identifier: Apache-2.0
"""An instance action: the durable thing that an accepted request becomes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from kilonova.objects.ids import ActionId, AttemptId, HostName, InstanceId
from kilonova.objects.leg import Leg, LegId, Legs, current_index
from kilonova.objects.states import ActionState, Verb

# Names in an action's params.
IMAGE = "image"
"""The image that it makes."""
FORGOTTEN_IMAGES = "forgotten_images"
"""Images whose records went with its acceptance, with commas: their bytes are to go, too."""
BACKUP_TYPE, ROTATION = "backup_type", "rotation"
DROPPED = "dropped"
"""Backups beyond the rotation whose records are gone, with commas: their bytes are to go, too."""
FROM_SHELF = "from_shelf"
"""What an unshelving finds: OFFLOADED, TORN, or nothing of the kind."""
OFFLOADED = "offloaded"
"""Nothing of the guest is on any host."""
TORN = "torn"
"""An offloading failed: its host may have lost the disk."""
AT_BOOT = "at_boot"
"""Set when the action was open while its host booted: after its end the guest is started if it should run."""
VM_STATE = "vm_state"
"""What the instance was before the action was abandoned."""


@dataclass(frozen=True, slots=True)
class Action:
    """`deadline` is when its time is up (see kilonova.conductor.watch); `legs` what hosts do for it, one after
    another (kilonova.objects.leg), at least one; `counted_at` up to when the watchdog has counted its time.  `message`
    says how it ended, or what an open one waits for."""

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
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    message: str | None = None
    ended_at: datetime | None = None
    counted_at: datetime | None = None

    @property
    def current(self) -> int:
        """The index of the current leg; in an ended action, of the one that ended last."""
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
