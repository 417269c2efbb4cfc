# SPDX-License-Identifier: Apache-2.0
"""The words and numbers of the API for the states of a server: `status` and the power state."""

from collections.abc import Mapping
from dataclasses import dataclass

from kilonova.objects.states import PowerState, TaskState, VmState

_STATUS_BY_TASK: Mapping[TaskState, str] = {
    TaskState.REBOOTING: "REBOOT",
    TaskState.REBOOTING_HARD: "HARD_REBOOT",
    TaskState.REBUILDING: "REBUILD",
    TaskState.RESIZING: "RESIZE",
    TaskState.RESIZE_REVERTING: "REVERT_RESIZE",
}

_STATUS: Mapping[VmState, str] = {
    VmState.BUILDING: "BUILD",
    VmState.ACTIVE: "ACTIVE",
    VmState.STOPPED: "SHUTOFF",
    VmState.PAUSED: "PAUSED",
    VmState.SUSPENDED: "SUSPENDED",
    VmState.RESIZED: "VERIFY_RESIZE",
    VmState.RESCUED: "RESCUE",
    VmState.SHELVED: "SHELVED",
    VmState.SHELVED_OFFLOADED: "SHELVED_OFFLOADED",
    VmState.ERROR: "ERROR",
    VmState.DELETED: "DELETED",
}

UNKNOWN_STATUS = "UNKNOWN"
"""The status of a server that should run, when the hypervisor cannot report whether it does; and of a server in a
vm_state of a newer version."""

KNOWN_POWER = frozenset(PowerState) - {PowerState.NOSTATE}
"""The power states that say what the guest does."""


def api_status(vm_state: VmState, task_state: TaskState | None, power_state: PowerState) -> str:
    """The word that the API calls `status` (source: OpenStack Compute API reference, server statuses)."""
    if task_state is not None and (word := _STATUS_BY_TASK.get(task_state)):
        return word
    if vm_state == VmState.ACTIVE and power_state not in KNOWN_POWER:
        return UNKNOWN_STATUS
    return _STATUS.get(vm_state, UNKNOWN_STATUS)


def api_power(power_state: PowerState) -> int:
    """The number that the API shows: NOSTATE for a state of a newer version."""
    return int(power_state if power_state.is_known else PowerState.NOSTATE)


@dataclass(frozen=True, slots=True)
class StatusMeaning:
    """The meaning of a status of the API: one of these vm_states, and one of these task_states (none: any but
    `but_not`), with an unknown power state, or a known power state (None: either)."""

    vm_states: frozenset[VmState]
    task_states: frozenset[TaskState] = frozenset()
    but_not: frozenset[TaskState] = frozenset()
    unknown: bool | None = None


_MAY_BE_UNKNOWN = frozenset({VmState.ACTIVE})


def meaning_of(status: str) -> StatusMeaning | None:
    """The meaning of a `?status=` filter; None for a word that is not the status of any server."""
    word = status.upper()
    tasks = frozenset(task for task, shown in _STATUS_BY_TASK.items() if shown == word)
    if tasks:
        return StatusMeaning(frozenset(VmState), tasks)
    but_not = frozenset(_STATUS_BY_TASK)
    if word == UNKNOWN_STATUS:
        return StatusMeaning(_MAY_BE_UNKNOWN, but_not=but_not, unknown=True)
    states = frozenset(vm for vm, shown in _STATUS.items() if shown == word)
    if not states:
        return None
    return StatusMeaning(states, but_not=but_not, unknown=False if states == _MAY_BE_UNKNOWN else None)
