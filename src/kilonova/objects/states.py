# SPDX-License-Identifier: Apache-2.0
"""States and the one table of transitions.

An instance has three axes, as in Nova: `vm_state` (its stable state), `task_state` (the work in progress on it) and
`power_state` (the last report of the hypervisor). VERBS lists, for each verb, the states in which it may be requested,
the states that the instance shows meanwhile, and the final state.  docs/states.md is generated from this file.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kilonova.base.open_enum import OpenIntEnum, OpenStrEnum


class VmState(OpenStrEnum):
    """The stable state of the instance, apart from any work in progress."""

    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    RESIZED = "resized"
    RESCUED = "rescued"
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"
    ERROR = "error"
    DELETED = "deleted"


class TaskState(OpenStrEnum):
    """The work in progress on the instance; none when there is no work."""

    SCHEDULING = "scheduling"
    SPAWNING = "spawning"
    POWERING_OFF = "powering-off"
    POWERING_ON = "powering-on"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    SUSPENDING = "suspending"
    RESUMING = "resuming"
    REBUILDING = "rebuilding"
    RESCUING = "rescuing"
    UNRESCUING = "unrescuing"
    RESIZING = "resize_prep"
    RESIZE_CONFIRMING = "resize_confirming"
    RESIZE_REVERTING = "resize_reverting"
    IMAGE_SNAPSHOT = "image_snapshot"
    IMAGE_BACKUP = "image_backup"
    SHELVING = "shelving"
    SHELVING_OFFLOADING = "shelving_offloading"
    UNSHELVING = "unshelving"
    DELETING = "deleting"


class PowerState(OpenIntEnum):
    """The last report of the hypervisor; the numbers are the API's (OS-EXT-STS:power_state)."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


class Verb(OpenStrEnum):
    """The verbs of an instance; the value is also the action's name in the API."""

    CREATE = "create"
    DELETE = "delete"
    STOP = "stop"
    START = "start"
    REBOOT = "reboot"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    SUSPEND = "suspend"
    RESUME = "resume"
    RESCUE = "rescue"
    UNRESCUE = "unrescue"
    REBUILD = "rebuild"
    RESIZE = "resize"
    CONFIRM_RESIZE = "confirmResize"
    REVERT_RESIZE = "revertResize"
    CREATE_IMAGE = "createImage"
    CREATE_BACKUP = "createBackup"
    SHELVE = "shelve"
    SHELVE_OFFLOAD = "shelveOffload"
    UNSHELVE = "unshelve"
    EVACUATE = "evacuate"
    LOCK = "lock"
    UNLOCK = "unlock"
    RESET_STATE = "resetState"
    POWER_UPDATE = "power-update"
    """Never requested: a guest changed by itself, or another tool changed it. The name is Nova's for a power change
    from outside (its external event)."""


class ActionState(OpenStrEnum):
    """The life of an accepted action."""

    OPEN = "open"
    """Accepted; the work continues or will begin."""
    DONE = "done"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    """A delete was accepted while the action was open; the action ends without an outcome."""
    CANCELLED = "cancelled"
    """A user cancelled it; what it had done is undone (docs/cancel.md)."""
    ABANDONED = "abandoned"
    """An operator forced its host down while it was open. It continues when the operator takes the host back, unless
    another verb was requested for the instance since (docs/adr/0011-a-deadline-is-not-an-outcome.md)."""


FINAL = frozenset(ActionState) - {ActionState.OPEN, ActionState.ABANDONED}
"""An action in one of these states never opens again."""


@dataclass(frozen=True, slots=True)
class Transition:
    """When a verb is allowed, what the instance shows meanwhile, and its state after success.

    `final_state` and `desired_power` are recorded when the verb has succeeded.  They are None where the verb does not
    change them, or where they depend on the instance (see kilonova.conductor.verbs).
    `deadline_s` counts only the time in which the work was possible (see kilonova.conductor.watch.deadlines).
    `preempts`: the verb is accepted while another action is open, and supersedes that action.
    `immediate`: the verb ends in the transaction that accepts it, beside an open action; no host takes part.
    `error_on_failure`: the instance goes to ERROR when the verb fails.
    `respects_lock`: the verb is refused to the owner while the instance is locked.
    `needs_placement`: an instance without a host gets one for this verb.
    `until_done`: the action stays open until its host has done it.  It has no deadline, and it is neither failed nor
    abandoned when the host is down.
    `uses_disks`: the verb reads or writes whole disks or images (the scheduler counts such work of a host).
    """

    allowed: frozenset[VmState]
    task_state: TaskState | None
    final_state: VmState | None
    desired_power: PowerState | None
    deadline_s: float
    preempts: bool = False
    immediate: bool = False
    error_on_failure: bool = False
    respects_lock: bool = True
    needs_placement: bool = False
    until_done: bool = False
    uses_disks: bool = False


_ANY = frozenset(VmState) - {VmState.DELETED}
_BUILT = _ANY - {VmState.BUILDING}
_ON, _OFF = PowerState.RUNNING, PowerState.SHUTDOWN
_V, _T, _P = VmState, TaskState, PowerState


def _in(*states: VmState) -> frozenset[VmState]:
    return frozenset(states)


_WITH_A_DISK = _in(_V.ACTIVE, _V.STOPPED, _V.PAUSED, _V.SUSPENDED)

IMAGE_DEADLINE_S = 3600.0
"""The deadline of verbs that copy a whole disk and then put the copy into the image store."""


_VERBS: Mapping[Verb, Transition] = {
    Verb.CREATE: Transition(
        _in(), _T.SCHEDULING, _V.ACTIVE, _ON, 1800, error_on_failure=True, needs_placement=True, uses_disks=True
    ),
    Verb.DELETE: Transition(
        _ANY, _T.DELETING, _V.DELETED, None, 600, preempts=True, error_on_failure=True, until_done=True
    ),
    Verb.STOP: Transition(_in(_V.ACTIVE, _V.ERROR), _T.POWERING_OFF, _V.STOPPED, _OFF, 300),
    Verb.START: Transition(_in(_V.STOPPED), _T.POWERING_ON, _V.ACTIVE, _ON, 300),
    Verb.REBOOT: Transition(
        _in(_V.ACTIVE, _V.STOPPED, _V.ERROR, _V.PAUSED, _V.SUSPENDED), _T.REBOOTING, _V.ACTIVE, _ON, 300
    ),
    Verb.PAUSE: Transition(_in(_V.ACTIVE), _T.PAUSING, _V.PAUSED, None, 120),
    Verb.UNPAUSE: Transition(_in(_V.PAUSED), _T.UNPAUSING, _V.ACTIVE, _ON, 120),
    # Both move the guest's whole memory from or to the host's disk.
    Verb.SUSPEND: Transition(_in(_V.ACTIVE), _T.SUSPENDING, _V.SUSPENDED, _P.SUSPENDED, 3600),
    Verb.RESUME: Transition(_in(_V.SUSPENDED), _T.RESUMING, _V.ACTIVE, _ON, 3600),
    Verb.RESCUE: Transition(_in(_V.ACTIVE, _V.STOPPED, _V.ERROR), _T.RESCUING, _V.RESCUED, _ON, 900, uses_disks=True),
    Verb.UNRESCUE: Transition(_in(_V.RESCUED), _T.UNRESCUING, _V.ACTIVE, _ON, 600, error_on_failure=True),
    Verb.REBUILD: Transition(
        _in(_V.ACTIVE, _V.STOPPED, _V.ERROR),
        _T.REBUILDING,
        _V.ACTIVE,
        None,
        1800,
        error_on_failure=True,
        uses_disks=True,
    ),
    # A resize copies the root disk, whose size has no fixed limit.
    Verb.RESIZE: Transition(_in(_V.ACTIVE, _V.STOPPED), _T.RESIZING, _V.RESIZED, None, 3600, uses_disks=True),
    Verb.CONFIRM_RESIZE: Transition(_in(_V.RESIZED), _T.RESIZE_CONFIRMING, _V.ACTIVE, None, 300),
    Verb.REVERT_RESIZE: Transition(_in(_V.RESIZED), _T.RESIZE_REVERTING, _V.ACTIVE, None, 600),
    Verb.CREATE_IMAGE: Transition(
        _WITH_A_DISK, _T.IMAGE_SNAPSHOT, None, None, IMAGE_DEADLINE_S, respects_lock=False, uses_disks=True
    ),
    Verb.CREATE_BACKUP: Transition(
        _WITH_A_DISK, _T.IMAGE_BACKUP, None, None, IMAGE_DEADLINE_S, respects_lock=False, uses_disks=True
    ),
    Verb.SHELVE: Transition(_WITH_A_DISK, _T.SHELVING, _V.SHELVED, _OFF, IMAGE_DEADLINE_S, uses_disks=True),
    Verb.SHELVE_OFFLOAD: Transition(_in(_V.SHELVED), _T.SHELVING_OFFLOADING, _V.SHELVED_OFFLOADED, None, 600),
    Verb.UNSHELVE: Transition(
        _in(_V.SHELVED, _V.SHELVED_OFFLOADED),
        _T.UNSHELVING,
        _V.ACTIVE,
        _ON,
        IMAGE_DEADLINE_S,
        needs_placement=True,
        uses_disks=True,
    ),
    Verb.EVACUATE: Transition(
        _in(_V.ERROR),
        _T.REBUILDING,
        _V.ACTIVE,
        None,
        1800,
        error_on_failure=True,
        needs_placement=True,
        uses_disks=True,
    ),
    Verb.LOCK: Transition(_ANY, None, None, None, 60, immediate=True, respects_lock=False),
    Verb.UNLOCK: Transition(_ANY, None, None, None, 60, immediate=True, respects_lock=False),
    # Only a confirmation or a reversion removes what a resize keeps for its way back; a reset of the state does not.
    Verb.RESET_STATE: Transition(_BUILT - {_V.RESIZED}, None, None, None, 60, immediate=True),
}

_UNKNOWN = Transition(_in(), None, None, None, 3600, until_done=True)
"""Of a verb of a newer version: it is allowed in no state, and its open action is neither failed nor abandoned."""


class _Transitions(dict[Verb, Transition]):
    def __missing__(self, verb: Verb) -> Transition:
        if verb.is_known:
            raise KeyError(verb)
        return _UNKNOWN


VERBS: Mapping[Verb, Transition] = _Transitions(_VERBS)
"""The transition of each verb that can be requested, and of any verb that this version does not have."""

EVENTS: Mapping[Verb, str] = {
    Verb.CREATE: "instance.create",
    Verb.DELETE: "instance.delete",
    Verb.STOP: "instance.power_off",
    Verb.START: "instance.power_on",
    Verb.REBOOT: "instance.reboot",
    Verb.PAUSE: "instance.pause",
    Verb.UNPAUSE: "instance.unpause",
    Verb.SUSPEND: "instance.suspend",
    Verb.RESUME: "instance.resume",
    Verb.RESCUE: "instance.rescue",
    Verb.UNRESCUE: "instance.unrescue",
    Verb.REBUILD: "instance.rebuild",
    Verb.RESIZE: "instance.resize",
    Verb.CONFIRM_RESIZE: "instance.resize_confirm",
    Verb.REVERT_RESIZE: "instance.resize_revert",
    Verb.CREATE_IMAGE: "instance.snapshot",
    Verb.CREATE_BACKUP: "instance.backup",
    Verb.SHELVE: "instance.shelve",
    Verb.SHELVE_OFFLOAD: "instance.shelve_offload",
    Verb.UNSHELVE: "instance.unshelve",
    Verb.EVACUATE: "instance.evacuate",
    Verb.LOCK: "instance.lock",
    Verb.UNLOCK: "instance.unlock",
    Verb.RESET_STATE: "instance.update",
    Verb.POWER_UPDATE: "instance.update",
}
"""The event of each verb.  Verbs that end at once have this one event; the others have `.start`, and `.end` or
`.error`."""

OBSERVED: Mapping[tuple[VmState, PowerState], VmState] = {
    (VmState.ACTIVE, PowerState.SHUTDOWN): VmState.STOPPED,
    (VmState.ACTIVE, PowerState.CRASHED): VmState.STOPPED,
    (VmState.ACTIVE, PowerState.PAUSED): VmState.PAUSED,
    (VmState.ACTIVE, PowerState.SUSPENDED): VmState.SUSPENDED,
    (VmState.STOPPED, PowerState.RUNNING): VmState.ACTIVE,
    (VmState.STOPPED, PowerState.PAUSED): VmState.PAUSED,
    (VmState.STOPPED, PowerState.SUSPENDED): VmState.SUSPENDED,
    (VmState.PAUSED, PowerState.RUNNING): VmState.ACTIVE,
    (VmState.PAUSED, PowerState.SHUTDOWN): VmState.STOPPED,
    (VmState.PAUSED, PowerState.CRASHED): VmState.STOPPED,
    (VmState.PAUSED, PowerState.SUSPENDED): VmState.SUSPENDED,
    (VmState.SUSPENDED, PowerState.RUNNING): VmState.ACTIVE,
    (VmState.SUSPENDED, PowerState.PAUSED): VmState.PAUSED,
    (VmState.SUSPENDED, PowerState.SHUTDOWN): VmState.STOPPED,
    (VmState.SUSPENDED, PowerState.CRASHED): VmState.STOPPED,
}
"""The new vm_state when, with no action open, the hypervisor reports this power state. Pairs that are not listed change
nothing: NOSTATE, and a state of a newer version, change no vm_state."""


def observed(vm_state: VmState, power_state: PowerState) -> VmState:
    """The vm_state that follows from a libvirt read while nothing is in progress."""
    return OBSERVED.get((vm_state, power_state), vm_state)


SAVED = "saved"
"""The hypervisor's reason for a guest that is off with its memory kept on disk: the guest continues where it was. A
guest that is SUSPENDED for another reason has suspended itself, and loses its memory with the host's power."""

GIVEN_UP = frozenset({"failed", "daemon", ""})
"""The hypervisor's reasons for a guest that is off because its start failed, because the hypervisor's own daemon gave
it up at a restart, or for an unknown reason."""

GONE_BY_ITSELF = GIVEN_UP | {"crashed"}
"""The hypervisor's reasons for a guest that is off without a request: its process died, or the machine below did (then
the reason is unknown)."""


def desired(before: PowerState, power_state: PowerState, reason: str) -> PowerState:
    """The desired power state after a read of a guest while no work was in progress. A guest that shut itself down, or
    that another tool destroyed, is meant to be off, and stays off at the next boot of its host. A guest that another
    tool started is meant to run, and a guest that another tool saved is meant to stay saved. A crash or a loss of power
    changes no desired power state.
    """
    if power_state is PowerState.SUSPENDED and reason == SAVED:
        return PowerState.SUSPENDED
    if power_state is PowerState.RUNNING:
        return PowerState.RUNNING
    if power_state is PowerState.SHUTDOWN and reason not in GONE_BY_ITSELF:
        return PowerState.SHUTDOWN
    return before


def changes_nothing(vm_state: VmState, power_state: PowerState, desired_power: PowerState) -> bool:
    """Whether a report of the recorded power state changes nothing in these columns, whatever its reason."""
    follows = power_state in (PowerState.RUNNING, PowerState.SHUTDOWN, PowerState.SUSPENDED)
    return observed(vm_state, power_state) == vm_state and (not follows or desired_power == power_state)


RESUMED = frozenset(
    {VmState.ACTIVE, VmState.PAUSED, VmState.SUSPENDED, VmState.RESCUED, VmState.STOPPED, VmState.RESIZED}
)
"""After its host has booted, an instance in one of these states that should run is started. An instance that crashed
before is STOPPED and should run. An instance that was stopped on purpose is STOPPED and should not run, and neither
should an instance whose memory was saved (it is SUSPENDED)."""
