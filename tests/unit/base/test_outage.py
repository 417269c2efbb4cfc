# SPDX-License-Identifier: Apache-2.0
"""Lines of an outage: who began it, how long it took, how many waited."""

import asyncio
from collections.abc import MutableMapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from kilonova.base.clock import SystemClock
from kilonova.base.errors import IncompatibleVersion
from kilonova.base.outage import Outage
from kilonova.base.tasks import Supervisor
from tests.make import run


def shown(said: Sequence[MutableMapping[str, Any]]) -> list[str]:
    return [line["event"] for line in said if line["log_level"] != "debug"]


def test_one_line_at_each_end() -> None:
    outage = Outage("the bus", SystemClock())
    with capture_logs() as said:
        outage.answered("a")
        assert not outage.lasts
        for who in ("a", "b", "a", "b", "a"):
            outage.waits(who, "no reply")
        outage.answered("a")
        assert outage.lasts
        outage.answered("b")
        outage.answered("b")
    assert shown(said) == ["waiting for the bus", "the bus answers again"]
    assert len(said) == 6  # the repeats are there for whoever debugs
    assert said[0]["error"] == "no reply"
    assert said[-1]["waited"] == 2
    assert said[-1]["lasted_s"] >= 0


def test_a_refusal_by_another_version_is_logged_though_silence_came_first() -> None:
    outage = Outage("the bus", SystemClock())
    with capture_logs() as said:
        for error in ("no reply", IncompatibleVersion("upgrade it"), "no reply", IncompatibleVersion("upgrade it")):
            outage.waits("a", error)
    shown_errors = [line["error"] for line in said if line["log_level"] != "debug"]
    assert shown_errors == ["no reply", "upgrade it"]


def test_each_outage_is_told() -> None:
    outage = Outage("the bus", SystemClock())
    with capture_logs() as said:
        for _ in range(2):
            with outage.ends_with("a"):
                outage.waits("a", "no reply")
    assert shown(said) == ["waiting for the bus", "the bus answers again"] * 2


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
def test_who_gives_up_had_no_answer(error: type[BaseException]) -> None:
    outage = Outage("the bus", SystemClock())

    def give_up() -> None:
        with outage.ends_with("a"):
            outage.waits("a", "no reply")
            raise error

    with capture_logs() as said, pytest.raises(error):
        give_up()
    assert not outage.lasts
    assert shown(said) == ["waiting for the bus", "nothing waits for the bus any more"]


def test_a_periodic_task_tells_the_same_trouble_once() -> None:
    rounds: list[str] = []
    all_done = asyncio.Event()
    troubles = ["gone", "gone", "full", "full", "", "full"]

    async def work() -> None:
        rounds.append("")
        if len(rounds) > len(troubles):
            all_done.set()
        if trouble := (troubles[len(rounds) - 1] if len(rounds) <= len(troubles) else ""):
            raise OSError(trouble)

    async def main() -> None:
        async with Supervisor(SystemClock()) as tasks:
            tasks.periodic("looks", 0.001, work, limit_s=30)
            await all_done.wait()

    with capture_logs() as said:
        run(main())
    assert [line["error"] for line in said if line["log_level"] == "warning"] == ["gone", "full", "full"]
    assert len(said) == 5
