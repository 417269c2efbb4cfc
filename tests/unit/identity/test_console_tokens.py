# SPDX-License-Identifier: Apache-2.0
"""A console's token opens one server's console, once, in time."""

import base64
from dataclasses import replace

import pytest
from kilonova.identity.console_tokens import ConsoleTokens

from kilonova.base.clock import SystemClock
from kilonova.base.errors import Unauthorized
from kilonova.identity import console_tokens
from kilonova.identity.key_ring import OneKey
from kilonova.identity.tokens import Subject, TokenMinter
from kilonova.objects.ids import InstanceId

ONE, TWO = InstanceId("1"), InstanceId("2")
_, ANN = TokenMinter(OneKey(b"s" * 32), SystemClock(), 3600).mint(
    Subject("u2", "ann", "p2", "home", ("member",)), ("password",)
)


class SetClock(SystemClock):
    at_s = 100.0

    def monotonic(self) -> float:
        return self.at_s


def test_once_and_for_its_server() -> None:
    tokens = ConsoleTokens(SystemClock(), 60)
    one, two = tokens.mint(ONE, ANN), tokens.mint(TWO, ANN)
    assert tokens.redeem(two).instance_id == TWO
    assert tokens.redeem(one).instance_id == ONE
    for used in (one, two, "", "guessed"):
        with pytest.raises(Unauthorized):
            tokens.redeem(used)


def test_it_has_at_least_128_bits_and_is_kept_as_a_hash() -> None:
    tokens = ConsoleTokens(SystemClock(), 60)
    text = tokens.mint(ONE, ANN)
    assert len(base64.urlsafe_b64decode(text + "=")) >= 16
    assert text not in repr(vars(tokens))


def test_it_dies_with_its_time() -> None:
    clock = SetClock()
    tokens = ConsoleTokens(clock, 60)
    early, late = tokens.mint(ONE, ANN), tokens.mint(ONE, ANN)
    clock.at_s += 59.9
    assert tokens.redeem(early).instance_id == ONE
    clock.at_s += 0.1
    with pytest.raises(Unauthorized):
        tokens.redeem(late)


def test_it_ends_with_the_token_that_it_was_given_for() -> None:
    tokens = ConsoleTokens(SystemClock(), 60)
    text = tokens.mint(ONE, replace(ANN, expires_at=SystemClock().now()))
    with pytest.raises(Unauthorized):
        tokens.redeem(text)


def test_what_nobody_uses_does_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_tokens, "REMEMBERED", 3)
    tokens = ConsoleTokens(SystemClock(), 60)
    texts = [tokens.mint(ONE, ANN) for _ in range(4)]
    with pytest.raises(Unauthorized):
        tokens.redeem(texts[0])
    assert [tokens.redeem(text).instance_id for text in texts[1:]] == [ONE] * 3
