# SPDX-License-Identifier: Apache-2.0
"""States and the one table of transitions.

An instance has three axes, as in Nova: `vm_state` (what it is), `task_state` (what is being done to it) and
`power_state` (what the hypervisor last said).  VERBS says, for each verb, in which states it may be asked for, what it
shows meanwhile, and where it ends.  docs/states.md is generated from this file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class VmState(StrEnum):
    """What the instance is, apart from anything in progress."""

    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    ERROR = "error"
    DELETED = "deleted"


class TaskState(StrEnum):
    """What is being done to it; none when nothing is."""

    SCHEDULING = "scheduling"
    SPAWNING = "spawning"
    POWERING_OFF = "powering-off"
    POWERING_ON = "powering-on"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    DELETING = "deleting"


class PowerState(IntEnum):
    """What the hypervisor said last; the numbers are the API's (OS-EXT-STS:power_state)."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


class Verb(StrEnum):
    """What can be done to an instance; also the action's name in the API."""

    CREATE = "create"
    DELETE = "delete"
    STOP = "stop"
    START = "start"
    REBOOT = "reboot"
    POWER_UPDATE = "power-update"
    """Never asked for: a guest was seen to change by itself, or on somebody else's word.  The name is Nova's for a
    power change that came from outside (its external event)."""


class ActionState(StrEnum):
    """The life of an accepted action."""

    OPEN = "open"
    """Accepted; work goes on or will."""
    DONE = "done"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    """A delete was accepted while it was open; it ends without an outcome of its own."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a verb may be asked for, what it shows meanwhile, and where it ends.

    `ends` and `desired_power` are None where the verb does not change them.  `preempts`: accepted while another action
    is open, which it supersedes.
    """

    allowed: frozenset[VmState]
    task_state: TaskState
    ends: VmState | None
    desired_power: PowerState | None
    deadline_s: float
    preempts: bool = False


_ANY = frozenset(VmState) - {VmState.DELETED}

VERBS: Mapping[Verb, Rule] = {
    Verb.CREATE: Rule(frozenset(), TaskState.SCHEDULING, VmState.ACTIVE, PowerState.RUNNING, deadline_s=1800),
    Verb.DELETE: Rule(_ANY, TaskState.DELETING, VmState.DELETED, None, deadline_s=600, preempts=True),
    Verb.STOP: Rule(
        frozenset({VmState.ACTIVE, VmState.ERROR}),
        TaskState.POWERING_OFF,
        VmState.STOPPED,
        PowerState.SHUTDOWN,
        deadline_s=300,
    ),
    Verb.START: Rule(
        frozenset({VmState.STOPPED}), TaskState.POWERING_ON, VmState.ACTIVE, PowerState.RUNNING, deadline_s=300
    ),
    Verb.REBOOT: Rule(
        frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.ERROR, VmState.PAUSED, VmState.SUSPENDED}),
        TaskState.REBOOTING,
        VmState.ACTIVE,
        PowerState.RUNNING,
        deadline_s=300,
    ),
}

OBSERVED: Mapping[tuple[VmState, PowerState], VmState] = {
    (VmState.ACTIVE, PowerState.SHUTDOWN): VmState.STOPPED,
    (VmState.ACTIVE, PowerState.CRASHED): VmState.STOPPED,
    (VmState.ACTIVE, PowerState.PAUSED): VmState.PAUSED,
    (VmState.ACTIVE, PowerState.SUSPENDED): VmState.SUSPENDED,
    (VmState.STOPPED, PowerState.RUNNING): VmState.ACTIVE,
    (VmState.PAUSED, PowerState.RUNNING): VmState.ACTIVE,
    (VmState.PAUSED, PowerState.SHUTDOWN): VmState.STOPPED,
    (VmState.PAUSED, PowerState.CRASHED): VmState.STOPPED,
    (VmState.SUSPENDED, PowerState.RUNNING): VmState.ACTIVE,
    (VmState.SUSPENDED, PowerState.SHUTDOWN): VmState.STOPPED,
}
"""Where a vm_state goes when, with no action open, the hypervisor says this.  Pairs not listed change nothing:
NOSTATE (unknown) never moves anything."""


def observed(vm_state: VmState, power_state: PowerState) -> VmState:
    """The vm_state that follows from a libvirt read while nothing is in progress."""
    return OBSERVED.get((vm_state, power_state), vm_state)


GONE_BY_ITSELF = frozenset({"crashed", "failed", ""})
"""The hypervisor's words for a guest that is off though nobody wanted it off: its process died, or the machine below
did (then it knows no reason)."""


def desired(before: PowerState, power_state: PowerState, reason: str) -> PowerState:
    """What a guest should be from now on, given a read of it while nothing was in progress.

    One that shut itself down, or was destroyed behind our back, was meant to be off, and stays off when its host boots
    next; one that was started behind our back was meant to run.  A crash or a loss of power is nobody's wish.
    """
    if power_state is PowerState.RUNNING:
        return PowerState.RUNNING
    if power_state is PowerState.SHUTDOWN and reason not in GONE_BY_ITSELF:
        return PowerState.SHUTDOWN
    return before


RESUMED = frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.SUSPENDED, VmState.STOPPED})
"""After its host has booted, an instance in one of these that should run is started.  One that crashed before is
STOPPED and should run; one that was stopped on purpose is STOPPED and should not."""


_STATUS_BY_TASK: Mapping[tuple[VmState, TaskState], str] = {
    (vm, task): status
    for vm in (VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED, VmState.ERROR)
    for task, status in ((TaskState.REBOOTING, "REBOOT"), (TaskState.REBOOTING_HARD, "HARD_REBOOT"))
}

_STATUS: Mapping[VmState, str] = {
    VmState.BUILDING: "BUILD",
    VmState.ACTIVE: "ACTIVE",
    VmState.STOPPED: "SHUTOFF",
    VmState.PAUSED: "PAUSED",
    VmState.SUSPENDED: "SUSPENDED",
    VmState.ERROR: "ERROR",
    VmState.DELETED: "DELETED",
}


UNKNOWN_STATUS = "UNKNOWN"
"""The status of a server that should run, and of which the hypervisor cannot say that it does."""


def api_status(vm_state: VmState, task_state: TaskState | None, power_state: PowerState) -> str:
    """The one word that the API calls `status` (source: OpenStack Compute API reference, server statuses)."""
    if task_state is not None and (word := _STATUS_BY_TASK.get((vm_state, task_state))):
        return word
    if (vm_state, power_state) == (VmState.ACTIVE, PowerState.NOSTATE):
        return UNKNOWN_STATUS
    return _STATUS[vm_state]


def vm_states_of_status(status: str) -> frozenset[VmState]:
    """The vm_states that a `?status=` filter means; empty for a word that we do not know.  An ACTIVE server of unknown
    power is UNKNOWN instead."""
    return frozenset(vm for vm, word in _STATUS.items() if word == status.upper())
