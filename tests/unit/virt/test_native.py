# SPDX-License-Identifier: Apache-2.0
"""Native threads: deadlines, abandoned calls, lanes, exclusion, proxies."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kilonova.base.errors import HypervisorUnavailable, NativeCallTimeout
from kilonova.virt.calls.pool import Lane, NativeThreads, Proxy, unwrap


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


def run(test: Callable[[NativeThreads], Awaitable[None]]) -> None:
    async def main() -> None:
        threads = NativeThreads("t")
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
    async def test(threads: NativeThreads) -> None:
        lane = threads.lane("a", 2)
        assert await lane.call(threading.get_ident) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await lane.call(lambda: 1 / 0)
        assert (lane.in_flight, lane.abandoned) == (0, 0)

    run(test)


def test_a_call_over_its_deadline_is_counted_until_it_ends_and_its_late_result_is_handed_over() -> None:
    async def test(threads: NativeThreads) -> None:
        lane, stuck, late = threads.lane("a", 2), Stuck("at last"), list[str]()
        with pytest.raises(NativeCallTimeout):
            await lane.call(stuck, deadline_s=0.05, on_late=late.append)
        assert (lane.in_flight, lane.abandoned, threads.abandoned) == (1, 1, 1)
        assert late == []
        stuck.go.set()
        await lane.all_back()
        assert (lane.in_flight, lane.abandoned, late) == (0, 0, ["at last"])

    run(test)


def test_a_late_failure_is_dropped_in_silence() -> None:
    async def test(threads: NativeThreads) -> None:
        lane, stuck = threads.lane("a", 1), Stuck()

        def fails() -> None:
            stuck()
            raise ValueError

        with pytest.raises(NativeCallTimeout):
            await lane.call(fails, deadline_s=0.02, on_late=lambda _: pytest.fail("there was no result"))
        stuck.go.set()
        await lane.all_back()

    run(test)


def test_a_cancelled_call_is_abandoned_too() -> None:
    async def test(threads: NativeThreads) -> None:
        lane, stuck, late = threads.lane("a", 1), Stuck("x"), list[str]()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(lane.call(stuck, on_late=late.append))
            await until(stuck.begun.is_set)
            task.cancel()
        assert lane.abandoned == 1
        stuck.go.set()
        await lane.all_back()
        assert late == ["x"]

    run(test)


def test_a_lane_full_of_abandoned_calls_refuses_at_once_and_lets_go_of_those_who_wait() -> None:
    async def test(threads: NativeThreads) -> None:
        lane, stuck = threads.lane("a", 2), Stuck()

        async def outcome(deadline_s: float) -> str:
            try:
                await lane.call(stuck, deadline_s=deadline_s)
            except NativeCallTimeout:
                return "timeout"
            except HypervisorUnavailable:
                return "refused"
            return "done"

        async with asyncio.TaskGroup() as group:
            first = [group.create_task(outcome(0.1)) for _ in range(2)]
            await until(lambda: lane.in_flight == 2)
            waiting = group.create_task(outcome(3600))
        assert [task.result() for task in first] == ["timeout", "timeout"]
        assert waiting.result() == "refused"
        with pytest.raises(HypervisorUnavailable, match="do not come back"):
            await lane.call(lambda: None, deadline_s=3600)
        assert lane.in_flight == 2
        assert threads.lane("b", 1) is not lane
        assert await threads.lanes["b"].call(lambda: "another lane works") == "another lane works"
        stuck.go.set()
        await lane.all_back()
        assert await lane.call(lambda: "again") == "again"

    run(test)


def test_no_more_calls_in_flight_than_the_lane_allows() -> None:
    async def test(threads: NativeThreads) -> None:
        lane = threads.lane("a", 4)
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
                group.create_task(lane.call(work))
        assert most == 4

    run(test)


def test_exclusion_lasts_until_the_native_call_really_ended() -> None:
    async def test(threads: NativeThreads) -> None:
        lane, host, stuck = threads.lane("a", 3), threads.lane("b", 1), Stuck()
        with pytest.raises(NativeCallTimeout):
            await lane.call(stuck, deadline_s=0.02, exclusive="guest")
        with pytest.raises(HypervisorUnavailable, match="not begun"):
            await host.call(lambda: None, deadline_s=0.05, exclusive="guest")
        assert await lane.call(lambda: "other guest", exclusive="other") == "other guest"
        async with asyncio.TaskGroup() as group:
            cancelled = group.create_task(lane.call(lambda: None, exclusive="guest"))
            waiting = group.create_task(lane.call(lambda: time.monotonic(), exclusive="guest"))
            await asyncio.sleep(0.02)
            cancelled.cancel()
            assert not waiting.done()
            freed = time.monotonic()
            stuck.go.set()
        assert waiting.result() >= freed
        assert threads._keys == {}  # pyright: ignore[reportPrivateUsage]

    run(test)


def test_a_furnished_lane_gives_each_call_a_thing_for_itself() -> None:
    async def test(threads: NativeThreads) -> None:
        wanted: list[int] = []
        gone: list[str] = []
        lane = threads.lane("a", 2, on_wait=lambda: wanted.append(1))
        lane.on_withdrawn = gone.append
        with pytest.raises(HypervisorUnavailable, match="not begun"):
            await lane.call(lambda thing: thing, deadline_s=0.02)
        assert wanted == [1]
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(lane.call(lambda thing, more: thing + more, "!"))
            await asyncio.sleep(0)
            assert (lane.waiting, lane.room) == (True, 2)
            lane.put("one")
        assert waiting.result() == "one!"
        stuck = Stuck()
        with pytest.raises(NativeCallTimeout):
            await lane.call(lambda _: stuck(), deadline_s=0.02)
        lane.put("two")
        assert lane.room == 0
        for _ in range(3):
            assert await lane.call(lambda thing: thing) == "two"
        lane.withdraw("one")
        lane.withdraw("two")
        assert gone == ["two"]  # the other one is still in use
        stuck.go.set()
        await lane.all_back()
        assert gone == ["two", "one"]
        assert (lane.room, lane.in_flight) == (2, 0)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_refused(lane))
            await asyncio.sleep(0)
            lane.refuse_waiting(lambda: HypervisorUnavailable("an outage"))
        assert task.result() == "an outage"

    run(test)


async def _refused(lane: Lane) -> str:
    with pytest.raises(HypervisorUnavailable) as caught:
        await lane.call(lambda thing: thing)
    return caught.value.message


def test_proxies_wrap_results_of_the_named_types_and_unwrap_arguments() -> None:
    class Domain:
        def __init__(self, name: str) -> None:
            self.name = name
            self.thread = threading.get_ident()

        def sibling(self, other: "Domain") -> tuple["Domain", list["Domain"], int]:
            assert isinstance(other, Domain)
            return Domain("s"), [other, self], threading.get_ident()

    async def test(threads: NativeThreads) -> None:
        lane = threads.lane("a", 2)
        domain = await lane.proxy_call((Domain,), Domain, "d")
        assert isinstance(domain, Proxy)
        assert domain.name == "d"
        new, (first, second), thread = await domain.sibling(domain)
        assert all(isinstance(each, Proxy) for each in (new, first, second))
        assert unwrap(first) is unwrap(domain)
        assert thread != threading.get_ident()
        straight = await lane.proxy_call((Domain,), Domain, "n", nonblocking=True)
        assert straight.thread == threading.get_ident()
        assert await lane.proxy_call((), Domain, name="k") is not None

    run(test)


def test_a_native_object_is_let_go_of_in_a_native_thread() -> None:
    gone: list[int] = []

    class Connection:
        def __del__(self) -> None:
            gone.append(threading.get_ident())

        def ping(self) -> str:
            return "pong"

    async def test(threads: NativeThreads) -> None:
        lane = threads.lane("a", 1)
        proxy = await lane.proxy_call((Connection,), Connection)
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
        "from kilonova.virt.calls.pool import NativeThreads\n"
        "from kilonova.base.errors import NativeCallTimeout\n"
        "async def main():\n"
        "    lane = NativeThreads('t').lane('a', 1)\n"
        "    try:\n"
        "        await lane.call(threading.Event().wait, deadline_s=0.05)\n"
        "    except NativeCallTimeout:\n"
        "        print('timeout')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=20, check=True)
    assert done.stdout == b"timeout\n"
