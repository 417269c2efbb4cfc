# SPDX-License-Identifier: Apache-2.0
"""Mechanisms by which accepted actions end truly, taken away."""

from collections.abc import Sequence

from lab.mutant import Edit, Mutant, one

TRUTH = "tests/simulation/test_truth_after_outages.py"
BOOT = "tests/simulation/test_boot_in_the_middle.py"
REPORTS = "conductor/engine/reports.py"
WATCHDOG = "conductor/watch/deadlines.py"

MUTANTS_OF_ACTIONS: Sequence[Mutant] = (
    Mutant(
        "what a host was given is not ended",
        "tests/unit/conductor/test_deadlines.py",
        (
            Edit(WATCHDOG, "elif not action.leg.ends_by_report and is_overdue(", "elif is_overdue("),
            Edit(WATCHDOG, "or action.leg.ends_by_report or", "or"),
        ),
    ),
    one(
        "time in which the host is down",
        "tests/unit/conductor/test_deadlines.py",
        WATCHDOG,
        "if why is not None or passed > still or passed < -JUMP:",
        "if passed > still or passed < -JUMP:",
    ),
    one(
        "time in which the conductor is away",
        "tests/unit/conductor/test_deadlines.py",
        WATCHDOG,
        "if why is not None or passed > still or passed < -JUMP:",
        "if why is not None:",
    ),
    one(
        "the reason of an action that is late",
        "tests/unit/conductor/test_deadlines.py",
        WATCHDOG,
        "why or _overruns(action), now)",
        "why, now)",
    ),
    one(
        "the end of an action whose guest cannot be read",
        "tests/simulation/test_slow_work.py::"
        "test_an_action_whose_call_never_returns_names_its_host_and_ends_with_an_unknown_state",
        "compute/runner.py",
        "                    if clock.monotonic() >= give_up:\n                        raise\n",
        "",
    ),
    one(
        "the host that ends what is late",
        TRUTH + "::test_a_host_whose_time_is_up_ends_the_action_itself_and_undoes_it",
        "compute/feed.py",
        "self._queues.expire(leg)",
        "pass",
    ),
    one(
        "the delete whose host is down",
        TRUTH + "::test_a_delete_while_its_host_is_down_is_done_for_its_user_and_finished_when_it_returns",
        WATCHDOG,
        "lost_hosts.delete_for_users(tx, service.host, now)",
        "pass",
    ),
    one(
        "the claim until the host has cleaned up",
        TRUTH + "::test_a_delete_while_its_host_is_down_is_done_for_its_user_and_finished_when_it_returns",
        "conductor/engine/legs.py",
        "    release_from_host(tx, instance)\n    return None",
        "    return None",
    ),
    one(
        "the end of an interrupted resize before another verb",
        "tests/unit/conductor/test_resize.py::test_an_interrupted_resize_keeps_its_server_until_it_ends",
        "conductor/engine/accept.py",
        "instance.has_interrupted_resize and",
        "False and",
    ),
    one(
        "the start of a guest that a failed shelving has powered off",
        "tests/unit/conductor/test_power_verbs.py"
        "::test_a_guest_that_a_failed_shelving_or_rescue_has_powered_off_is_started",
        "conductor/verbs/start_after_boot.py",
        " and not action.is_cancelled and not failed:",
        " and not action.is_cancelled:",
    ),
    one(
        "an abandoned action that goes on",
        TRUTH + "::test_an_operator_who_calls_a_host_down_ends_the_wait_and_one_who_takes_it_back_gets_the_truth",
        "conductor/hosts/lost_hosts.py",
        "        if not end.reopen_abandoned(tx, action, now):",
        "        if False:",
    ),
    one(
        "the look after what was open at boot",
        BOOT,
        REPORTS,
        "    resume_after(tx, action, instance, new_id, now)\n",
        "",
    ),
    one(
        "a wish that follows its outcome",
        TRUTH + "::test_a_stop_that_failed_leaves_the_wish_to_run",
        "conductor/verbs/power.py",
        "if ending.power is wanted and not ending.succeeded",
        "if not ending.succeeded",
    ),
    one(
        "one action that cannot be ended",
        "tests/simulation/test_truth_after_outages.py::test_one_action_that_cannot_be_ended_keeps_no_other_open",
        "conductor/service.py",
        'an action past its deadline could not be ended", action=action.id)\n            return',
        'an action past its deadline could not be ended", action=action.id)\n            raise',
    ),
)
