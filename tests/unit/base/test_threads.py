# SPDX-License-Identifier: Apache-2.0
"""Daemon threads: bounded, reused, and no hindrance at the end."""

import asyncio
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest

from kilonova.base.context import REQUEST_ID, serving
from kilonova.base.threads import DaemonWorkers, Opening
from tests import make


def test_work_is_done_by_at_most_so_many_threads() -> None:
    async def body() -> None:
        workers = DaemonWorkers("t", 3)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(workers.run(threading.get_ident)) for _ in range(100)]
        assert 1 <= len({task.result() for task in tasks}) <= 3
        workers.close()

    make.run(body())


def test_threads_that_have_nothing_to_do_end_but_for_one() -> None:
    def ours() -> int:
        return sum(thread.name.startswith("idle-") for thread in threading.enumerate())

    async def body() -> None:
        workers = DaemonWorkers("idle", 3, idle_s=0.05)
        for _ in range(2):
            together = threading.Barrier(3)
            async with asyncio.timeout(20), asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(workers.run(together.wait))
            assert ours() == 3
            async with asyncio.timeout(20):
                while ours() > 1:  # noqa: ASYNC110 - nobody could set an event
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            assert ours() == 1
        workers.close()

    make.run(body())


def test_as_many_work_at_once_as_may_whatever_the_others_have_just_begun_or_ended() -> None:
    """A thread that has taken its job, and has not said so yet, is not counted on for another one."""

    async def body() -> None:
        workers = DaemonWorkers("t", 3, idle_s=0.001)
        async with asyncio.timeout(60):
            for _ in range(400):
                together = threading.Barrier(3)
                async with asyncio.TaskGroup() as group:
                    group.create_task(workers.run(together.wait))
                    await asyncio.sleep(0)
                    group.create_task(workers.run(together.wait))
                    group.create_task(workers.run(together.wait))
        workers.close()

    make.run(body())


def test_an_error_reaches_the_one_who_waits() -> None:
    async def body() -> None:
        workers = DaemonWorkers("t", 1)
        with pytest.raises(ZeroDivisionError):
            await workers.run(lambda: 1 // 0)
        assert await workers.run(lambda: 7) == 7
        workers.close()

    make.run(body())


def test_an_abandoned_call_runs_to_its_end_and_disturbs_nobody() -> None:
    async def body() -> None:
        workers = DaemonWorkers("t", 1)
        go, done = threading.Event(), threading.Event()

        def blocked() -> None:
            go.wait(10)
            done.set()

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await workers.run(blocked)
        go.set()
        assert await workers.run(done.wait, 10)
        workers.close()

    make.run(body())


def test_a_blocked_thread_does_not_keep_the_process_from_ending() -> None:
    program = """
import asyncio, threading
from kilonova.base.threads import DaemonWorkers, Opening
async def main():
    try:
        async with asyncio.timeout(0.1):
            await DaemonWorkers("t", 1).run(threading.Event().wait)
    except TimeoutError:
        print("gone")
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "gone\n"


def test_a_thread_works_under_the_request_that_submitted_the_work() -> None:
    async def submit(workers: DaemonWorkers, request_id: str) -> str:
        with serving(request_id):
            return await workers.run(REQUEST_ID.get)

    async def body() -> None:
        workers = DaemonWorkers("ids", 2)
        ids = [f"req-{number}" for number in range(20)]
        assert await asyncio.gather(*(submit(workers, request_id) for request_id in ids)) == ids
        assert await workers.run(REQUEST_ID.get) == ""
        workers.close()

    make.run(body())


def test_a_file_is_closed_whose_caller_is_cancelled_while_a_worker_opens_it(tmp_path: Path) -> None:
    arrived, allowed, made = threading.Event(), threading.Event(), list[BinaryIO]()

    def slowly() -> BinaryIO:
        arrived.set()
        assert allowed.wait(20)
        made.append((tmp_path / "file").open("wb"))
        return made[0]

    async def body() -> None:
        workers, opening = DaemonWorkers("t", 2), Opening(slowly)

        async def use() -> None:
            try:
                await workers.run(opening.open)
            finally:
                await workers.run(opening.close)

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            user = group.create_task(use())
            await asyncio.to_thread(arrived.wait, 20)
            user.cancel()
            await asyncio.sleep(0.05)  # the other thread closes first, if it does not wait
            allowed.set()
        await workers.drain()

    make.run(body())
    assert made[0].closed


def test_nothing_is_opened_for_a_caller_that_has_left(tmp_path: Path) -> None:
    opening = Opening(partial((tmp_path / "file").open, "wb"))
    opening.close()
    with pytest.raises(RuntimeError):
        opening.open()
    assert not (tmp_path / "file").exists()
