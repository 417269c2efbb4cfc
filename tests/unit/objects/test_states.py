# SPDX-License-Identifier: Apache-2.0
"""The table of transitions holds together."""

import pytest

from kilonova.objects.states import OBSERVED, VERBS, PowerState, TaskState, Verb, VmState, observed
from kilonova.objects.statuses import api_status


def test_every_verb_that_can_be_asked_for_has_a_rule() -> None:
    assert set(VERBS) == set(Verb) - {Verb.POWER_UPDATE}


def test_a_deleted_instance_accepts_nothing() -> None:
    assert all(VmState.DELETED not in rule.allowed for rule in VERBS.values())


def test_a_delete_is_accepted_in_every_state_and_at_any_moment() -> None:
    assert VERBS[Verb.DELETE].allowed == frozenset(VmState) - {VmState.DELETED}
    assert [verb for verb, rule in VERBS.items() if rule.preempts] == [Verb.DELETE]


@pytest.mark.parametrize("vm_state", list(VmState))
def test_unknown_is_never_shown_as_off(vm_state: VmState) -> None:
    assert observed(vm_state, PowerState.NOSTATE) is vm_state


def test_observation_never_builds_breaks_or_deletes() -> None:
    ends = {VmState.BUILDING, VmState.ERROR, VmState.DELETED}
    assert not ends & set(OBSERVED.values())
    assert not ends & {before for before, _ in OBSERVED}


@pytest.mark.parametrize(
    ("vm_state", "task_state", "power_state", "status"),
    [
        (VmState.BUILDING, TaskState.SPAWNING, PowerState.NOSTATE, "BUILD"),
        (VmState.ACTIVE, None, PowerState.RUNNING, "ACTIVE"),
        (VmState.ACTIVE, TaskState.REBOOTING, PowerState.RUNNING, "REBOOT"),
        (VmState.ACTIVE, TaskState.REBOOTING_HARD, PowerState.RUNNING, "HARD_REBOOT"),
        (VmState.ACTIVE, TaskState.DELETING, PowerState.RUNNING, "ACTIVE"),
        (VmState.STOPPED, None, PowerState.SHUTDOWN, "SHUTOFF"),
        (VmState.ERROR, None, PowerState.NOSTATE, "ERROR"),
        (VmState.ACTIVE, None, PowerState.NOSTATE, "UNKNOWN"),
        (VmState.ACTIVE, TaskState.REBOOTING, PowerState.NOSTATE, "REBOOT"),
        (VmState.PAUSED, None, PowerState.NOSTATE, "PAUSED"),
    ],
)
def test_status_is_the_word_of_the_api_reference(
    vm_state: VmState, task_state: TaskState | None, power_state: PowerState, status: str
) -> None:
    assert api_status(vm_state, task_state, power_state) == status
