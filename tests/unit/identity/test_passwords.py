# SPDX-License-Identifier: Apache-2.0
"""Passwords: right, wrong, and nobody's."""

from collections.abc import Callable
from typing import Any, TypeVar

import argon2
import pytest

from kilonova.base.threads import DaemonWorkers
from kilonova.identity.passwords import MAX_BYTES, MEMORY_KIB, Passwords
from tests.make import run

T = TypeVar("T")


def test_only_the_right_password_matches() -> None:
    async def main() -> None:
        passwords = Passwords(DaemonWorkers("argon2", 1))
        kept = await passwords.hash("correct horse")
        assert f"m={MEMORY_KIB}" in kept
        assert "correct" not in kept
        assert await passwords.verify(kept, "correct horse")
        assert not await passwords.verify(kept, "battery staple")
        assert not await passwords.verify(kept, "x" * (MAX_BYTES + 1))
        assert not await passwords.verify("no hash", "correct horse")

    run(main())


class _Listening:
    """Workers that remember against which hashes was verified."""

    def __init__(self) -> None:
        self.hashes: list[str] = []

    async def run(self, fn: Callable[..., T], *args: Any) -> T:
        self.hashes.append(args[0])
        return fn(*args)


def test_nobody_costs_as_much_as_somebody() -> None:
    async def main() -> None:
        workers = _Listening()
        passwords = Passwords(workers)
        kept = await passwords.hash("secret")
        workers.hashes.clear()
        assert not await passwords.verify(kept, "wrong")
        assert not await passwords.verify(None, "wrong")
        somebody, nobody = map(argon2.extract_parameters, workers.hashes)
        assert nobody == somebody

    run(main())


class _Counting:
    """Workers that count what they do."""

    def __init__(self) -> None:
        self.done = 0

    async def run(self, fn: Callable[..., T], *args: Any) -> T:
        self.done += 1
        return fn(*args)


def test_a_right_password_is_known_again_and_a_wrong_one_is_looked_at_each_time() -> None:
    async def main() -> None:
        workers = _Counting()
        passwords = Passwords(workers, b"key")
        kept, changed = await passwords.hash("secret"), await passwords.hash("changed")
        for hashed, password, right, looks in (
            (kept, "secret", True, 2),
            (kept, "wrong", False, 3),
            (kept, "wrong", False, 4),
            (changed, "secret", False, 5),
            (changed, "changed", True, 5),
        ):
            assert await passwords.verify(hashed, password) == right
            assert workers.done == looks
        later = Passwords(workers, b"another key")
        for looks in (6, 6):
            assert await later.verify(kept, "secret")
            assert workers.done == looks
        assert "secret" not in repr(vars(passwords))

    run(main())


def test_only_so_many_are_known_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr("kilonova.identity.passwords.REMEMBERED", 1)
        workers = _Counting()
        passwords = Passwords(workers, b"key")
        hashes = [await passwords.hash("secret") for _ in range(2)]
        for hashed in (hashes[0], hashes[1], hashes[0]):
            assert await passwords.verify(hashed, "secret")
        assert workers.done == 2 + 3

    run(main())
