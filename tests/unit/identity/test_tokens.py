# SPDX-License-Identifier: Apache-2.0
"""Tokens are believed when they are ours, unchanged, and not over."""

from dataclasses import replace
from datetime import datetime, timedelta

import jwt
import pytest

from kilonova.base.clock import SystemClock
from kilonova.base.errors import Unauthorized
from kilonova.identity.key_ring import OneKey
from kilonova.identity.tokens import Claims, CredentialRef, Subject, TokenMinter
from tests.make import NOW

SECRET = b"s" * 32
ALICE = Subject("u1", "alice", "p1", "project one", ("member", "reader"))


class StoppedClock(SystemClock):
    """Stands at `at`."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


def minted(clock: StoppedClock, lifetime_s: float = 60) -> tuple[TokenMinter, str, Claims]:
    minter = TokenMinter(OneKey(SECRET), clock, lifetime_s)
    return minter, *minter.mint(ALICE, ("password",))


def test_a_token_says_what_was_minted_also_to_another_process() -> None:
    clock = StoppedClock()
    minter, text, claims = minted(clock)
    assert claims.expires_at == NOW + timedelta(seconds=60)
    assert minter.verify(text) == claims
    assert TokenMinter(OneKey(SECRET), clock, 1).verify(text) == claims


def test_a_token_ends() -> None:
    clock = StoppedClock()
    minter, text, _ = minted(clock)
    minter.verify(text)
    clock.at = NOW + timedelta(seconds=60)
    for process in (minter, TokenMinter(OneKey(SECRET), clock, 60)):
        with pytest.raises(Unauthorized, match="expired"):
            process.verify(text)


def test_two_tokens_of_one_moment_differ() -> None:
    minter, text, _ = minted(StoppedClock())
    assert minter.mint(ALICE, ("password",))[0] != text


def test_a_token_made_from_a_token_lives_no_longer_and_knows_its_origin() -> None:
    clock = StoppedClock()
    minter, _, parent = minted(clock)
    clock.at = NOW + timedelta(seconds=30)
    text, child = minter.mint(ALICE, ("token",), parent)
    assert child.expires_at == parent.expires_at
    assert child.audit_ids == (child.audit_ids[0], parent.audit_ids[0])
    assert child.methods == ("token", "password")
    assert minter.verify(text) == child


def test_strangers_are_refused() -> None:
    minter, text, _ = minted(StoppedClock())
    head, body, signature = text.split(".")
    another = TokenMinter(OneKey(b"t" * 32), StoppedClock(), 60).mint(ALICE, ())[0]
    unsigned = jwt.encode({"iss": "kilonova", "sub": "u1"}, None, algorithm="none")
    incomplete = jwt.encode({"iss": "kilonova", "sub": "u1"}, SECRET, algorithm="HS256")
    odd = jwt.encode({"iss": "kilonova", "sub": "u", "iat": 1, "exp": 9e9, "jti": "x", "project": 3}, SECRET)
    for stranger in ("", "x", "a.b.c", f"{head}.{body}x.{signature}", another, unsigned, incomplete, odd):
        with pytest.raises(Unauthorized):
            minter.verify(stranger)


def test_a_short_secret_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        TokenMinter(OneKey(b"short"), StoppedClock(), 60)


def test_only_so_many_tokens_are_remembered() -> None:
    clock = StoppedClock()
    minter, text, claims = minted(clock)
    for _ in range(600):
        minter.verify(minter.mint(ALICE, ())[0])
    assert len(minter._seen) < 300  # pyright: ignore[reportPrivateUsage]
    assert minter.verify(text) == claims


def test_roles_come_with_what_they_imply() -> None:
    minter = TokenMinter(OneKey(SECRET), StoppedClock(), 60)
    implied = {
        ("admin",): ("admin", "member", "reader"),
        ("member", "gardener"): ("gardener", "member", "reader"),
        ("reader",): ("reader",),
        (): (),
    }
    for given, carried in implied.items():
        text, claims = minter.mint(replace(ALICE, roles=given), ())
        assert claims.subject.roles == minter.verify(text).subject.roles == carried


def test_a_credential_is_carried() -> None:
    clock = StoppedClock()
    robot = replace(ALICE, credential=CredentialRef("c1", "robot", restricted=True))
    text, claims = TokenMinter(OneKey(SECRET), clock, 60).mint(robot, ())
    assert claims.subject.credential == robot.credential
    assert TokenMinter(OneKey(SECRET), clock, 60).verify(text) == claims


def test_a_token_says_from_which_password_it_was_minted_and_so_does_one_made_from_it() -> None:
    clock = StoppedClock()
    minter, changed = TokenMinter(OneKey(SECRET), clock, 60), NOW - timedelta(microseconds=1)
    text, parent = minter.mint(ALICE, ("password",), tokens_from=changed)
    assert TokenMinter(OneKey(SECRET), clock, 60).verify(text).tokens_from == parent.tokens_from == changed
    text, child = minter.mint(ALICE, ("token",), parent, tokens_from=NOW)
    assert TokenMinter(OneKey(SECRET), clock, 60).verify(text) == child
    assert child.tokens_from == changed


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(days=1)], ids=str)
def test_a_clock_that_jumps_shuts_nobody_out_for_good(jump: timedelta) -> None:
    clock = StoppedClock()
    minter, before, claims = minted(clock)
    clock.at += jump
    again, after = minter.mint(ALICE, ("password",), tokens_from=claims.issued_at)
    assert minter.verify(again) == TokenMinter(OneKey(SECRET), clock, 1).verify(again) == after
    if jump < timedelta(0):
        assert minter.verify(before) == claims
    else:
        with pytest.raises(Unauthorized, match="expired"):
            minter.verify(before)
