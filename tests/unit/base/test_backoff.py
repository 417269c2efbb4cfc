# SPDX-License-Identifier: Apache-2.0
"""Pauses grow up to a limit, differ between clients, and begin anew after a success."""

import pytest

from kilonova.base.backoff import Backoff
from tests.simulation.virtual import SimClock, run_virtually


def test_pauses_double_up_to_their_limit_and_begin_anew() -> None:
    pauses = Backoff(0.5, 3.0, jitter=(1.0, 1.0)).start(SimClock(1))
    assert [pauses.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    pauses.reset()
    assert pauses.next_s() == 0.5


def test_pauses_vary_within_their_jitter() -> None:
    pauses = Backoff(1.0, 1.0, jitter=(0.5, 1.5)).start(SimClock(1))
    found = [pauses.next_s() for _ in range(200)]
    assert 0.5 <= min(found) < 0.7
    assert 1.3 < max(found) <= 1.5


def test_waiting_sleeps_for_the_pause() -> None:
    async def body() -> float:
        clock = SimClock(1)
        pauses = Backoff(1.0, 4.0, jitter=(1.0, 1.0)).start(clock)
        began = clock.monotonic()
        for _ in range(3):
            await pauses.wait()
        return clock.monotonic() - began

    assert run_virtually(body()) == pytest.approx(7.0)
