# SPDX-License-Identifier: Apache-2.0
"""Passwords: right, wrong, and nobody's."""

from kilonova.base.clock import SystemClock
from kilonova.base.threads import DaemonWorkers
from kilonova.identity.passwords import MAX_BYTES, MEMORY_KIB, Passwords
from tests.make import run


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


def test_nobody_takes_as_long_as_somebody() -> None:
    async def main() -> None:
        clock, passwords = SystemClock(), Passwords(DaemonWorkers("argon2", 1))
        kept = await passwords.hash("secret")
        seconds: list[float] = []
        for who in (kept, None):
            best = 9.0
            for _ in range(3):
                began = clock.monotonic()
                assert not await passwords.verify(who, "wrong")
                best = min(best, clock.monotonic() - began)
            seconds.append(best)
        assert 0.5 < seconds[0] / seconds[1] < 2

    run(main())
