# SPDX-License-Identifier: Apache-2.0
"""The room of threads.

Daemon threads of our own instead of ThreadPoolExecutor: `asyncio.run` waits for an executor's blocked workers at exit,
and a thread stuck in a native call would then keep a stopping service alive for ever (measured).
"""

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Workers(Protocol):
    """Runs functions off the event loop.  The simulation's runs them inline."""

    async def run(self, fn: Callable[..., T], *args: Any) -> T:
        """`fn(*args)` in a worker.  A cancelled wait abandons the call: it runs to its end, its result is dropped."""
        ...

    def close(self) -> None:
        """Take no more work; idle threads end.  Work already taken is finished."""
        ...

    async def drain(self) -> None:
        """Close, and wait until work already taken is finished: also such as nobody waits for any more."""
        ...


class _Job:
    __slots__ = ("args", "context", "fn", "future", "loop")

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...], loop: asyncio.AbstractEventLoop) -> None:
        self.fn, self.args, self.loop = fn, args, loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.context = contextvars.copy_context()  # with the request id, for log lines

    def work(self) -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = self.context.run(self.fn, *self.args)
        except BaseException as exc:  # the waiter gets it; a worker thread survives all of its jobs
            error = exc
        finally:
            # What the job held is let go of here, in the worker: dropping the last reference to some native objects
            # is itself a call that blocks.
            del self.fn, self.args, self.context
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(self._settle, result, error)

    def _settle(self, result: Any, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        elif isinstance(error, StopIteration):  # a future refuses it
            self.future.set_exception(RuntimeError("StopIteration in a worker"))
        else:
            self.future.set_exception(error)


class _Held:
    """A thing that waits for a worker to let go of it."""

    __slots__ = ("thing",)

    def __init__(self, thing: object) -> None:
        self.thing = thing


IDLE_S = 30.0
"""After that long without work a thread ends: what an outage needed at once is not kept for ever."""


class DaemonWorkers:
    """At most `size` daemon threads, started as they are needed, first come first served.  The last one stays."""

    def __init__(self, name: str, size: int, idle_s: float = IDLE_S) -> None:
        self._name, self._size, self._idle_s = name, size, idle_s
        self._jobs: queue.SimpleQueue[_Job | _Held | None] = queue.SimpleQueue()
        self._started = 0
        # Of threads that look for work, and of jobs that none of them has taken yet: both change under the lock, and
        # together when one is taken.  (The queue's own size says less than is still to be done by then.)
        self._idle = 0
        self._queued = 0
        self._closed = False
        self._when_ended: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    async def run(self, fn: Callable[..., T], *args: Any) -> T:
        return await self.submit(fn, *args)

    def submit(self, fn: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Hand `fn(*args)` to a worker.  The future is done when the call has really ended, in the loop that runs now;
        one who awaits it with a deadline must not cancel it (`asyncio.wait`) if he wants to hear of that end."""
        job = _Job(fn, args, asyncio.get_running_loop())
        future = job.future  # taken before a worker may own the job
        with self._lock:
            if self._closed:
                raise RuntimeError(f"workers {self._name} are closed")
            self._queued += 1
            self._start_if_short()
            self._jobs.put(job)
        return future

    def _start_if_short(self) -> None:
        if self._queued > self._idle and self._started < self._size and not self._closed:
            self._started += 1
            self._idle += 1
            threading.Thread(target=self._serve, name=f"{self._name}-{self._started}", daemon=True).start()

    def release(self, thing: object) -> None:
        """Let go of `thing` in a worker, some time.  Takes no lock, so that a finalizer may call it anywhere."""
        self._jobs.put(_Held(thing))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for _ in range(self._started):
                self._jobs.put(None)

    async def drain(self) -> None:
        self.close()
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            if self._started == 0:
                return
            self._when_ended.append(lambda: loop.call_soon_threadsafe(ended.set))
        await ended.wait()

    def _serve(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._idle_s)
            except queue.Empty:
                with self._lock:
                    # Jobs are put under the lock, so none is missed; the last thread stays for what is released.
                    if self._started > 1 and self._jobs.empty():
                        self._idle -= 1
                        self._started -= 1
                        return
                continue
            with self._lock:
                self._idle -= 1
                self._queued -= isinstance(job, _Job)
                self._start_if_short()  # what is released may block, and somebody may have counted on this thread
            if job is None:
                self._end()
                return
            if isinstance(job, _Job):
                job.work()
            del job  # an idle worker holds nothing
            with self._lock:
                self._idle += 1

    def _end(self) -> None:
        with self._lock:
            self._started -= 1
            told = [] if self._started else self._when_ended
        for tell in told:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                tell()


class InlineWorkers:
    """Runs each function at once on the caller's own thread: for simulations and command-line tools."""

    async def run(self, fn: Callable[..., T], *args: Any) -> T:
        return fn(*args)

    def close(self) -> None:
        """Nothing to end."""

    async def drain(self) -> None:
        """Nothing to wait for."""


Lock = threading.Lock
"""A plain lock, for the few structures that several threads share."""


def start_daemon(name: str, target: Callable[[], None]) -> threading.Thread:
    """Start one daemon thread that lives as long as the process (libvirt's event loop)."""
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread


def count() -> int:
    """How many Python threads live now."""
    return threading.active_count()
