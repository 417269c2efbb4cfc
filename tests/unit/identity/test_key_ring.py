# SPDX-License-Identifier: Apache-2.0
"""The keys of a fleet: a new key signs when all processes have it, the former one verifies until its tokens end."""

from datetime import timedelta

import pytest

from kilonova.base.errors import DatabaseUnavailable, Unauthorized
from kilonova.identity.key_ring import LEAD_S, KeyRing
from kilonova.identity.tokens import TokenMinter
from kilonova.objects.signing_key import FIRST, SigningKey
from tests.make import NOW
from tests.unit.identity.test_tokens import ALICE, StoppedClock

LIFETIME_S = 3600.0
OLD = SigningKey(FIRST, b"o" * 48, NOW)
RETIRED = SigningKey(FIRST, b"o" * 48, NOW, NOW + timedelta(seconds=100))
NEW = SigningKey("k2", b"n" * 48, NOW + timedelta(seconds=100))


class HandClock(StoppedClock):
    """Both of its times are set by hand."""

    uptime_s = 0.0

    def monotonic(self) -> float:
        return self.uptime_s

    def pass_time(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.uptime_s += seconds


def ring(*keys: SigningKey) -> tuple[KeyRing, HandClock]:
    clock = HandClock()
    made = KeyRing(clock, LIFETIME_S)
    made.replace(keys)
    return made, clock


def test_the_first_key_signs_at_once() -> None:
    assert ring(OLD)[0].signing() == (FIRST, OLD.secret)


def test_a_new_key_verifies_at_once_and_signs_when_all_processes_have_it() -> None:
    keys, clock = ring(RETIRED, NEW)
    clock.pass_time(100 + LEAD_S - 1)
    assert keys.signing()[0] == FIRST
    assert keys.secret_of("k2") == NEW.secret
    clock.pass_time(1)
    assert keys.signing()[0] == "k2"


def test_a_retired_key_verifies_until_its_last_token_has_expired() -> None:
    keys, clock = ring(RETIRED, NEW)
    clock.pass_time(100 + LEAD_S + LIFETIME_S)
    assert keys.secret_of(FIRST) == OLD.secret
    clock.pass_time(LEAD_S)
    assert keys.secret_of(FIRST) is None


def test_a_token_outlives_a_rotation_and_not_a_revocation() -> None:
    keys, clock = ring(OLD)
    minter = TokenMinter(keys, clock, LIFETIME_S)
    text, claims = minter.mint(ALICE, ("password",))
    keys.replace((RETIRED, NEW))
    assert minter.verify(text) == claims
    keys.replace((NEW,))
    with pytest.raises(Unauthorized, match="not valid"):
        minter.verify(text)
    assert minter.verify(minter.mint(ALICE, ("password",))[0]).subject == claims.subject


def test_a_key_of_the_same_name_with_another_secret_verifies_nothing_of_the_first() -> None:
    keys, clock = ring(OLD)
    minter = TokenMinter(keys, clock, LIFETIME_S)
    text, _ = minter.mint(ALICE, ("password",))
    minter.verify(text)
    keys.replace((SigningKey(FIRST, b"x" * 48, NOW),))
    with pytest.raises(Unauthorized):
        minter.verify(text)


def test_an_unknown_key_is_refused_and_is_no_verdict_after_a_long_outage_of_the_database() -> None:
    keys, clock = ring(OLD)
    assert keys.secret_of("k2") is None
    clock.pass_time(LEAD_S)
    with pytest.raises(DatabaseUnavailable):
        keys.secret_of("k2")
    assert keys.secret_of(FIRST) == OLD.secret


def test_without_keys_nothing_is_signed_and_no_token_is_called_invalid() -> None:
    keys = KeyRing(HandClock(), LIFETIME_S)
    with pytest.raises(DatabaseUnavailable):
        keys.signing()
    with pytest.raises(DatabaseUnavailable):
        keys.secret_of(FIRST)


def test_a_secret_is_in_no_text_of_a_key() -> None:
    assert "nnn" not in f"{NEW!r} {NEW}"
