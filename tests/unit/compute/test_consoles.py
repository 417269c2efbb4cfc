# SPDX-License-Identifier: Apache-2.0
"""Tokens and tickets of a host's consoles: for one console, once, in time."""

from kilonova.base.clock import SystemClock
from kilonova.compute import consoles
from kilonova.compute.consoles import MOST_UNUSED, OnceOnly, hash_of


class SetClock(SystemClock):
    at_s = 100.0

    def monotonic(self) -> float:
        return self.at_s


def test_a_value_is_given_out_once() -> None:
    kept = OnceOnly[int](SetClock())
    kept.put("a", 1, 60)
    kept.put("a", 2, 60)  # a repeated message
    kept.put("b", 3, 60)
    assert [kept.take(key) for key in ("a", "a", "b", "c")] == [1, None, 3, None]


def test_it_dies_with_its_time() -> None:
    clock = SetClock()
    kept = OnceOnly[int](clock)
    kept.put("early", 1, 60)
    kept.put("late", 2, 60)
    clock.at_s += 59.9
    assert kept.take("early") == 1
    clock.at_s += 0.1
    assert kept.take("late") is None


def test_what_nobody_uses_does_not_pile_up() -> None:
    clock = SetClock()
    kept = OnceOnly[int](clock)
    for number in range(MOST_UNUSED + 1):
        kept.put(str(number), number, 60)
    assert kept.take("0") is None
    assert kept.take("1") == 1
    clock.at_s += 61
    kept.put("new", 1, 60)
    assert len(vars(kept)["_kept"]) == 1


def test_the_secret_is_kept_as_a_hash() -> None:
    kept = OnceOnly[int](SystemClock())
    kept.put(hash_of("secret"), 1, 60)
    assert "secret" not in repr(vars(kept))
    assert consoles.SECRET_BYTES * 8 >= 128
