# SPDX-License-Identifier: Apache-2.0
"""Wrong passwords are answered ever later."""

from kilonova.base.clock import SystemClock
from kilonova.identity.failures import FORGET_S, FREE, FREE_OF_PEER, MOST_S, Failures
from kilonova.identity.turns import Asker

ANN = Asker("192.0.2.1", "ann")


class SetClock(SystemClock):
    at_s = 100.0

    def monotonic(self) -> float:
        return self.at_s


def test_it_grows_ends_with_the_right_password_and_is_forgotten() -> None:
    clock = SetClock()
    failures = Failures(clock)
    delays = [failures.delay_s(ANN) for _ in range(FREE + 10)]
    assert delays[:FREE] == [0.0] * FREE
    assert delays[FREE:] == sorted(delays[FREE:])
    assert delays[FREE] > 0
    assert delays[-1] == MOST_S
    failures.succeeded(ANN)
    assert failures.delay_s(ANN) == 0.0
    for _ in range(FREE):
        failures.delay_s(ANN)
    clock.at_s += FORGET_S
    assert failures.delay_s(ANN) == 0.0


def test_it_is_of_the_peer_and_of_a_peer_that_tries_many_users() -> None:
    failures = Failures(SetClock())
    for number in range(FREE_OF_PEER):
        assert failures.delay_s(Asker("192.0.2.1", f"user {number}")) == 0.0
    assert failures.delay_s(Asker("192.0.2.1", "one more")) > 0
    assert failures.delay_s(Asker("192.0.2.2", "one more")) == 0.0
    for _ in range(FREE_OF_PEER + 1):
        assert failures.delay_s(Asker("192.0.2.3", "health", trusted=True)) == 0.0
