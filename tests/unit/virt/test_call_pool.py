# SPDX-License-Identifier: Apache-2.0
"""Native threads: deadlines, abandoned calls, pools, exclusion, proxies."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kilonova.base.errors import HypervisorUnavailable, NativeCallTimeout
from kilonova.virt.calls.pool import CallPool, CallPools
from kilonova.virt.calls.proxy import Proxy, unwrap


class Stuck:
    """A native call that blocks until told otherwise."""

    def __init__(self, result: Any = None) -> None:
        self.go = threading.Event()
        self.begun = threading.Event()
        self.result = result

    def __call__(self) -> Any:
        self.begun.set()
        assert self.go.wait(20)
        return self.result


def run(test: Callable[[CallPools], Awaitable[None]]) -> None:
    async def main() -> None:
        threads = CallPools("t")
        try:
            async with asyncio.timeout(15):
                await test(threads)
        finally:
            threads.close()

    asyncio.run(main())


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - the condition is set by another thread
        await asyncio.sleep(0.001)


def test_a_call_runs_off_the_loop_and_gives_its_result_or_its_error() -> None:
    async def test(threads: CallPools) -> None:
        pool = threads.pool("a", 2)
        assert await pool.call(threading.get_ident) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await pool.call(lambda: 1 / 0)
        assert (pool.in_flight, pool.abandoned) == (0, 0)

    run(test)


def test_a_call_over_its_deadline_is_counted_until_it_ends_and_its_late_result_is_handed_over() -> None:
    async def test(threads: CallPools) -> None:
        pool, stuck, late = threads.pool("a", 2), Stuck("at last"), list[str]()
        with pytest.raises(NativeCallTimeout):
            await pool.call(stuck, deadline_s=0.05, on_late=late.append)
        assert (pool.in_flight, pool.abandoned, threads.abandoned) == (1, 1, 1)
        assert late == []
        stuck.go.set()
        await pool.all_back()
        assert (pool.in_flight, pool.abandoned, late) == (0, 0, ["at last"])

    run(test)


def test_a_late_failure_is_dropped_in_silence() -> None:
    async def test(threads: CallPools) -> None:
        pool, stuck = threads.pool("a", 1), Stuck()

        def fails() -> None:
            stuck()
            raise ValueError

        with pytest.raises(NativeCallTimeout):
            await pool.call(fails, deadline_s=0.02, on_late=lambda _: pytest.fail("there was no result"))
        stuck.go.set()
        await pool.all_back()

    run(test)


def test_a_cancelled_call_is_abandoned_too() -> None:
    async def test(threads: CallPools) -> None:
        pool, stuck, late = threads.pool("a", 1), Stuck("x"), list[str]()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(pool.call(stuck, on_late=late.append))
            await until(stuck.begun.is_set)
            task.cancel()
        assert pool.abandoned == 1
        stuck.go.set()
        await pool.all_back()
        assert late == ["x"]

    run(test)


def test_a_pool_full_of_abandoned_calls_refuses_at_once_and_lets_go_of_those_who_wait() -> None:
    async def test(threads: CallPools) -> None:
        pool, stuck = threads.pool("a", 2), Stuck()

        async def outcome(deadline_s: float) -> str:
            try:
                await pool.call(stuck, deadline_s=deadline_s)
            except NativeCallTimeout:
                return "timeout"
            except HypervisorUnavailable:
                return "refused"
            return "done"

        async with asyncio.TaskGroup() as group:
            first = [group.create_task(outcome(0.1)) for _ in range(2)]
            await until(lambda: pool.in_flight == 2)
            waiting = group.create_task(outcome(3600))
        assert [task.result() for task in first] == ["timeout", "timeout"]
        assert waiting.result() == "refused"
        with pytest.raises(HypervisorUnavailable, match="do not return"):
            await pool.call(lambda: None, deadline_s=3600)
        assert pool.in_flight == 2
        assert threads.pool("b", 1) is not pool
        assert await threads.pools["b"].call(lambda: "another pool works") == "another pool works"
        stuck.go.set()
        await pool.all_back()
        assert await pool.call(lambda: "again") == "again"

    run(test)


def test_no_more_calls_in_flight_than_the_pool_allows() -> None:
    async def test(threads: CallPools) -> None:
        pool = threads.pool("a", 4)
        now, most, lock = 0, 0, threading.Lock()

        def work() -> None:
            nonlocal now, most
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.002)
            with lock:
                now -= 1

        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(pool.call(work))
        assert most == 4

    run(test)


def test_exclusion_lasts_until_the_native_call_really_ended() -> None:
    async def test(threads: CallPools) -> None:
        pool, host, stuck = threads.pool("a", 3), threads.pool("b", 1), Stuck()
        with pytest.raises(NativeCallTimeout):
            await pool.call(stuck, deadline_s=0.02, exclusive="guest")
        with pytest.raises(HypervisorUnavailable, match="not started"):
            await host.call(lambda: None, deadline_s=0.05, exclusive="guest")
        assert await pool.call(lambda: "other guest", exclusive="other") == "other guest"
        async with asyncio.TaskGroup() as group:
            cancelled = group.create_task(pool.call(lambda: None, exclusive="guest"))
            waiting = group.create_task(pool.call(lambda: time.monotonic(), exclusive="guest"))
            await asyncio.sleep(0.02)
            cancelled.cancel()
            assert not waiting.done()
            freed = time.monotonic()
            stuck.go.set()
        assert waiting.result() >= freed
        assert threads._keys == {}  # pyright: ignore[reportPrivateUsage]

    run(test)


def test_a_pool_with_resources_gives_each_call_one_for_itself() -> None:
    async def test(threads: CallPools) -> None:
        wanted: list[int] = []
        gone: list[str] = []
        pool = threads.pool("a", 2, on_wait=lambda: wanted.append(1))
        pool.on_withdrawn = gone.append
        with pytest.raises(HypervisorUnavailable, match="not started"):
            await pool.call(lambda thing: thing, deadline_s=0.02)
        assert wanted == [1]
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(pool.call(lambda thing, more: thing + more, "!"))
            await asyncio.sleep(0)
            assert (pool.waiting, pool.room) == (True, 2)
            pool.put("one")
        assert waiting.result() == "one!"
        stuck = Stuck()
        with pytest.raises(NativeCallTimeout):
            await pool.call(lambda _: stuck(), deadline_s=0.02)
        pool.put("two")
        assert pool.room == 0
        for _ in range(3):
            assert await pool.call(lambda thing: thing) == "two"
        pool.withdraw("one")
        pool.withdraw("two")
        assert gone == ["two"]  # the other one is still in use
        stuck.go.set()
        await pool.all_back()
        assert gone == ["two", "one"]
        assert (pool.room, pool.in_flight) == (2, 0)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_refused(pool))
            await asyncio.sleep(0)
            pool.refuse_waiting(lambda: HypervisorUnavailable("an outage"))
        assert task.result() == "an outage"

    run(test)


async def _refused(pool: CallPool) -> str:
    with pytest.raises(HypervisorUnavailable) as caught:
        await pool.call(lambda thing: thing)
    return caught.value.message


def test_proxies_wrap_results_of_the_named_types_and_unwrap_arguments() -> None:
    class Domain:
        def __init__(self, name: str) -> None:
            self.name = name
            self.thread = threading.get_ident()

        def sibling(self, other: "Domain") -> tuple["Domain", list["Domain"], int]:
            assert isinstance(other, Domain)
            return Domain("s"), [other, self], threading.get_ident()

    async def test(threads: CallPools) -> None:
        pool = threads.pool("a", 2)
        domain = await pool.proxy_call((Domain,), Domain, "d")
        assert isinstance(domain, Proxy)
        assert domain.name == "d"
        new, (first, second), thread = await domain.sibling(domain)
        assert all(isinstance(each, Proxy) for each in (new, first, second))
        assert unwrap(first) is unwrap(domain)
        assert thread != threading.get_ident()
        straight = await pool.proxy_call((Domain,), Domain, "n", nonblocking=True)
        assert straight.thread == threading.get_ident()
        assert await pool.proxy_call((), Domain, name="k") is not None

    run(test)


def test_a_native_object_is_let_go_of_in_a_native_thread() -> None:
    gone: list[int] = []

    class Connection:
        def __del__(self) -> None:
            gone.append(threading.get_ident())

        def ping(self) -> str:
            return "pong"

    async def test(threads: CallPools) -> None:
        pool = threads.pool("a", 1)
        proxy = await pool.proxy_call((Connection,), Connection)
        assert await proxy.ping() == "pong"
        await asyncio.sleep(0.01)
        del proxy
        await until(lambda: len(gone) == 1)
        assert gone[0] != threading.get_ident()

    run(test)


def test_a_thread_that_never_comes_back_does_not_keep_the_process() -> None:
    import subprocess
    import sys

    code = (
        "import asyncio, threading\n"
        "from kilonova.virt.calls.pool import CallPools\n"
        "from kilonova.base.errors import NativeCallTimeout\n"
        "async def main():\n"
        "    pool = CallPools('t').pool('a', 1)\n"
        "    try:\n"
        "        await pool.call(threading.Event().wait, deadline_s=0.05)\n"
        "    except NativeCallTimeout:\n"
        "        print('timeout')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=20, check=True)
    assert done.stdout == b"timeout\n"
