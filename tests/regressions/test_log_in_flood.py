# SPDX-License-Identifier: Apache-2.0
"""Sixty clients that guessed a password locked out whoever knew it (0 of 52 log-ins), and each refusal wrote a line."""

import asyncio
import itertools
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from kilonova.api.http.login_limits import LINES
from kilonova.base.threads import DaemonWorkers
from kilonova.identity.passwords import Passwords
from tests.service.api import running_api
from tests.service.people import by_password, user

GUESSERS = 45


@pytest.mark.parametrize("known", [True, False], ids=["known to the process", "not known yet"])
async def test_who_knows_the_password_is_let_in_while_others_guess_it(known: bool) -> None:
    async def main() -> None:
        async with running_api() as api:
            await user(api, "ann")
            if not known:  # as after a start
                app = api.cloud.box.app
                app.deps = replace(app.deps, passwords=Passwords(DaemonWorkers("argon2", 1), b"another key"))
            numbers, answers, begun = itertools.count(), list[int](), asyncio.Event()

            async def guess() -> None:
                while True:
                    reply = await by_password(api, "ann", password=f"guess {next(numbers)}")
                    answers.append(reply.status_code)
                    begun.set()

            guessing = [asyncio.ensure_future(guess()) for _ in range(GUESSERS)]
            try:
                await begun.wait()
                for _ in range(2):
                    assert (await by_password(api, "ann")).status_code == 201
            finally:
                for task in guessing:
                    task.cancel()
                await asyncio.gather(*guessing, return_exceptions=True)
            assert set(answers) == {401}
            counted = api.cloud.box.vitals.metrics.value("kilonova_refused_log_ins_total", reason="wrong")
            assert counted >= len(answers)

    with capture_logs() as lines:
        await main()
    lines = [line for line in lines if "log-in" in line["event"]]
    assert 1 <= len(lines) <= LINES + 1


async def test_a_wrong_password_is_told_with_its_user_and_never_what_else_was_typed() -> None:
    async def main() -> str:
        async with running_api() as api:
            ann_id = await user(api, "ann")
            await by_password(api, "ann", password="typo")
            await by_password(api, "my password in the wrong box", password="typo")
            return ann_id

    with capture_logs() as lines:
        ann_id = await main()
    text = repr(lines)
    assert ann_id in text
    assert "unknown" in text
    assert "typo" not in text
    assert "wrong box" not in text
