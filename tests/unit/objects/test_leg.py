# SPDX-License-Identifier: Apache-2.0
"""The legs of an action: what follows the end of each."""

from dataclasses import replace

import pytest

from kilonova.objects.guest import ReadMark
from kilonova.objects.ids import AttemptId, HostName
from kilonova.objects.leg import (
    Leg,
    Legs,
    LegState,
    after_failure,
    after_success,
    current_index,
    failure,
    has_ended,
    has_failed,
    last_of_host,
    one_leg,
    planned,
    touched,
)
from kilonova.objects.states import PowerState

A, B, C = HostName("a"), HostName("b"), HostName("c")
RUNNING = PowerState.RUNNING


def shape(legs: Legs) -> list[str]:
    return [f"{'undo ' if leg.undoes is not None else ''}{leg.operation}@{leg.host} {leg.state}" for leg in legs]


def plan(*, commits: bool = False) -> Legs:
    return planned(Leg(A, "leave"), Leg(B, "arrive", commits=commits), Leg(A, "tidy"))


def test_one_leg_is_current_at_a_time_and_in_order() -> None:
    legs = plan()
    seen: list[int] = []
    while not has_ended(legs):
        seen.append(current_index(legs))
        assert [leg.state for leg in legs].count(LegState.OPEN) == 1
        legs = after_success(legs, RUNNING)
    assert (seen, has_failed(legs), failure(legs)) == ([0, 1, 2], False, None)


def test_an_action_of_one_leg_ends_with_it() -> None:
    legs = after_failure(one_leg(A, "stop"), None, "why")
    assert (shape(legs), has_ended(legs), failure(legs)) == (["stop@a failed"], True, "why")


def test_what_was_done_is_undone_in_reverse_order_on_its_hosts() -> None:
    legs = after_failure(after_success(after_success(plan(), RUNNING), None), RUNNING, "full")
    assert shape(legs)[2:] == ["tidy@a failed", "undo arrive@b open", "undo leave@a pending"]
    legs = after_success(after_success(legs, None), RUNNING)
    assert (has_ended(legs), has_failed(legs), failure(legs)) == (True, True, "full")
    assert [leg.undoes for leg in legs] == [None, None, None, 1, 0]


def test_pending_legs_of_a_plan_that_failed_are_dropped() -> None:
    legs = after_failure(after_success(plan(), RUNNING), None, "full")
    assert shape(legs) == ["leave@a done", "arrive@b failed", "undo leave@a open"]


def test_an_undo_that_fails_does_not_keep_the_others_from_being_undone() -> None:
    legs = after_failure(after_success(after_success(plan(), RUNNING), None), RUNNING, "full")
    legs = after_failure(legs, None, "gone")
    assert shape(legs)[3:] == ["undo arrive@b failed", "undo leave@a open"]
    legs = after_success(legs, RUNNING)
    assert failure(legs) == "full What was done in step 2 was not undone: gone"


def test_nothing_is_undone_from_a_leg_that_commits_backwards() -> None:
    legs = after_failure(after_success(after_success(plan(commits=True), RUNNING), None), RUNNING, "full")
    assert (has_ended(legs), has_failed(legs)) == (True, True)


def test_the_guests_state_is_the_last_that_its_host_reported() -> None:
    given = (replace(leg, attempt=AttemptId("t")) for leg in plan())
    mark = ReadMark("process-a", 7)
    legs = after_success(after_success(tuple(given), PowerState.PAUSED, mark), None, ReadMark("process-b", 2))
    reported = {host: last_of_host(legs, host) for host in (A, B, C)}
    assert reported[A] is not None
    assert (reported[A].power, reported[A].read) == (PowerState.PAUSED, mark)
    assert (reported[B] is not None and reported[B].power, reported[C]) == (None, None)
    assert last_of_host(after_failure(plan(), PowerState.NOSTATE, "never began"), A) is None


@pytest.mark.parametrize(
    ("legs", "expected"),
    [
        (plan(), ()),
        (after_success((Leg(A, "leave", LegState.OPEN, AttemptId("t")), *plan()[1:]), None), (A,)),
        ((Leg(A, "x", LegState.DONE, AttemptId("t")), Leg(B, "y", LegState.FAILED, AttemptId("t"))), (A, B)),
        (
            (
                Leg(A, "x", LegState.DONE, AttemptId("t")),
                Leg(B, "y", LegState.FAILED),
                Leg(A, "x", LegState.DONE, AttemptId("u"), undoes=0),
            ),
            (),
        ),
    ],
)
def test_a_host_is_touched_until_its_legs_are_undone(legs: Legs, expected: tuple[HostName, ...]) -> None:
    assert touched(legs) == expected


def test_a_leg_is_repeated_when_another_attempt_had_it_and_stays_so() -> None:
    first, again = AttemptId("t1"), AttemptId("t2")
    (leg,) = one_leg(A, "shelve")
    handed = leg.under(first)
    assert [handed.repeated, handed.under(first).repeated] == [False, False]  # the host did not receive the reply
    assert [handed.under(again).repeated, handed.under(again).under(again).repeated] == [True, True]
