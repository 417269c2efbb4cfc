# SPDX-License-Identifier: Apache-2.0
"""Worker threads: the only place that starts threads.

These are daemon threads of our own instead of a ThreadPoolExecutor: `asyncio.run` waits for blocked workers of an
executor at exit, and a thread that is stuck in a native call would then keep a stopping service alive forever
(measured).
"""

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


class Workers(Protocol):
    """Runs functions off the event loop.  The simulation's runs them inline."""

    async def run(self, fn: Callable[..., T], *args: Any) -> T:
        """Run `fn(*args)` in a worker.  Cancelling the wait does not stop the call: its result is dropped."""
        ...

    def close(self) -> None:
        """Accept no more work; idle threads end.  Work that was accepted is finished."""
        ...

    async def drain(self) -> None:
        """Close, and wait until accepted work is finished, abandoned work included."""
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
        except BaseException as exc:  # the waiter receives it; the worker thread continues
            error = exc
        finally:
            # Drop the job's references here, in the worker: releasing the last reference to some native objects
            # blocks.
            del self.fn, self.args, self.context
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing waits
            self.loop.call_soon_threadsafe(self._finish, result, error)

    def _finish(self, result: Any, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        elif isinstance(error, StopIteration):  # a future refuses it
            self.future.set_exception(RuntimeError("StopIteration in a worker"))
        else:
            self.future.set_exception(error)


class _Release:
    """An object that waits for a worker to release it."""

    __slots__ = ("thing",)

    def __init__(self, thing: object) -> None:
        self.thing = thing


IDLE_S = 30.0
"""A thread ends after this time without work, so that the threads of an outage are not kept forever."""


class DaemonWorkers:
    """At most `size` daemon threads, started on demand; jobs start in order of submission.  The last thread stays."""

    def __init__(self, name: str, size: int, idle_s: float = IDLE_S) -> None:
        self._name, self._size, self._idle_s = name, size, idle_s
        self._jobs: queue.SimpleQueue[_Job | _Release | None] = queue.SimpleQueue()
        self._started = 0
        # The number of idle threads and the number of jobs that no thread has taken.  Both change under the lock, and
        # together when a job is taken.  (The queue's own size is lower then than the work left.)
        self._idle = 0
        self._queued = 0
        self._closed = False
        self._when_ended: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    async def run(self, fn: Callable[..., T], *args: Any) -> T:
        return await self.submit(fn, *args)

    def submit(self, fn: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Submit `fn(*args)` to a worker.  The future is done when the call has really ended, on the current loop.  A
        waiter with a deadline uses `asyncio.wait`, which does not cancel the future."""
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
        """Release `thing` later in a worker.  Takes no lock, so that a finalizer may call it anywhere."""
        self._jobs.put(_Release(thing))

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
                self._start_if_short()  # a release may block, and a waiting job may have counted on this thread
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
            callbacks = [] if self._started else self._when_ended
        for callback in callbacks:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nothing waits
                callback()


class _Closes(Protocol):
    def close(self) -> None: ...


F = TypeVar("F", bound=_Closes)


class Opening(Generic[F]):
    """A file that a worker opens, for a caller that may be cancelled meanwhile and then does not receive it.

    Both functions run in workers.  After `close` nothing is open, in whatever order the workers ran them.
    """

    def __init__(self, open_file: Callable[[], F]) -> None:
        self._open_file = open_file
        self._lock = threading.Lock()
        self._file: F | None = None
        self._closed = False

    def open(self) -> F:
        """Open the file.  Raises RuntimeError after `close`, and any exception of `open_file`."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the caller does not wait for the file any more")
            self._file = self._open_file()
            return self._file

    def close(self) -> None:
        """Close the file if it is open.  Waits while it is being opened."""
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()


class InlineWorkers:
    """Runs each function at once on the caller's thread: for simulations and command-line tools."""

    async def run(self, fn: Callable[..., T], *args: Any) -> T:
        return fn(*args)

    def close(self) -> None:
        """Does nothing: no thread must end."""

    async def drain(self) -> None:
        """Does nothing: no work waits."""


Lock = threading.Lock
"""A plain lock, for the few structures that several threads share."""


def start_daemon(name: str, target: Callable[[], None]) -> threading.Thread:
    """Start one daemon thread that lives as long as the process (libvirt's event loop)."""
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread


def count() -> int:
    """The number of live Python threads."""
    return threading.active_count()
