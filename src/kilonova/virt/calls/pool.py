# SPDX-License-Identifier: Apache-2.0
"""Native calls as awaitables.

A call into a C library blocks its thread, cannot be interrupted, and may come back late or never.  So each one runs in
a daemon thread of ours under a deadline.  A call that outlives its deadline, or whose waiter was cancelled, is
*abandoned*: it goes on, is counted, keeps its place in its lane and its guest's exclusion until it really ends, and its
late result goes to `on_late` or is dropped.

A *lane* is a bounded set of threads for calls that may block one another anyway (those of one connection).  A lane
whose places are all held by abandoned calls refuses at once instead of queueing without end.

What a call holds is let go of in its thread.  Return plain values where you can: the last reference to a native object
dropped on the event loop may be a call that blocks.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeVar

from kilonova.base.errors import HypervisorUnavailable, NativeCallTimeout
from kilonova.base.threads import DaemonWorkers
from kilonova.virt.calls.gate import Gate

T = TypeVar("T")

DEFAULT_DEADLINE_S = 30.0


class _Flight:
    """One call that was handed to a thread, until it really ends."""

    __slots__ = ("abandoned", "future", "key", "on_late", "place")

    def __init__(
        self, future: asyncio.Future[Any], place: Any, key: Hashable, on_late: Callable[[Any], None] | None
    ) -> None:
        self.future, self.place, self.key, self.on_late = future, place, key, on_late
        self.abandoned = False


class Lane:
    """At most `limit` native calls in flight, abandoned ones included.  Use it from one event loop.

    A lane may be *furnished*: then a call needs one of the things that were `put` into it, has it for itself while it
    lasts, and `on_wait` is called when none is free.
    """

    def __init__(self, threads: "NativeThreads", name: str, limit: int, on_wait: Callable[[], None] | None) -> None:
        self.name, self.limit = name, limit
        self.abandoned = 0
        self.on_withdrawn: Callable[[Any], None] | None = None
        self._threads, self._on_wait = threads, on_wait
        self._gate = Gate(() if on_wait is not None else (None,) * limit)
        self._withdrawn: list[Any] = []
        self._workers = DaemonWorkers(f"{threads.name}-{name}", limit)
        self._all_back = asyncio.Event()
        self._all_back.set()

    @property
    def in_flight(self) -> int:
        """Calls that threads are in now, abandoned ones included."""
        return self._gate.taken

    @property
    def waiting(self) -> bool:
        """Whether anybody waits for a place."""
        return self._gate.waiting

    @property
    def room(self) -> int:
        """How many more things a furnished lane has room for."""
        return self.limit - self._gate.taken - len(self._gate.free)

    async def call(
        self,
        fn: Callable[..., T],
        *args: Any,
        deadline_s: float = DEFAULT_DEADLINE_S,
        exclusive: Hashable = None,
        on_late: Callable[[T], None] | None = None,
    ) -> T:
        """`fn(*args)` in a native thread, within `deadline_s` seconds, queueing included.  In a furnished lane it is
        `fn(thing, *args)`.

        Calls with an equal `exclusive` key (None: no exclusion) never overlap, in any lane of the same NativeThreads.
        `on_late` is called on the loop with the result of an abandoned call that succeeded after all.

        Raises NativeCallTimeout if the call was begun and outlived its deadline: its outcome is unknown.  Raises
        HypervisorUnavailable if it was never begun (it did not happen).  Otherwise raises what `fn` raised.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline_s
        place = await self._enter(exclusive, deadline_s)
        try:
            given = args if self._on_wait is None else (place, *args)
            flight = _Flight(self._workers.submit(fn, *given), place, exclusive, on_late)
        except BaseException:
            self._leave(place, exclusive)
            raise
        flight.future.add_done_callback(lambda _: self._landed(flight))
        try:
            done, _ = await asyncio.wait((flight.future,), timeout=max(0.0, end - loop.time()))
        except BaseException:
            self._abandon(flight)
            raise
        if not done:
            self._abandon(flight)
            raise NativeCallTimeout(f"A native call of lane {self.name} was not back within {deadline_s:g} s.")
        return flight.future.result()

    def detach(self, fn: Callable[..., Any], *args: Any) -> bool:
        """`fn(*args)` in a native thread, when one of the lane's is free; nobody waits for it, and its failure is
        dropped.  It takes no place, and counts as abandoned until it ends.  False if the lane is closed: then it is
        never begun."""
        try:
            future = self._workers.submit(fn, *args)
        except RuntimeError:
            return False
        self.abandoned += 1
        self._all_back.clear()
        future.add_done_callback(self._detached_ended)
        return True

    def _detached_ended(self, future: asyncio.Future[Any]) -> None:
        if not future.cancelled():
            future.exception()  # it is dropped, and nobody shall be told that it was
        self._came_back()

    def put(self, thing: Any) -> None:
        """Furnish: `thing` serves one call at a time from now on."""
        self._gate.add(thing)

    def withdraw(self, thing: Any) -> None:
        """`thing` serves no more calls.  `on_withdrawn(thing)` is called when no call has it any more: maybe now."""
        if thing in self._gate.free:
            self._gate.free.remove(thing)
            if self.on_withdrawn is not None:
                self.on_withdrawn(thing)
        else:
            self._withdrawn.append(thing)

    def refuse_waiting(self, error: Callable[[], Exception]) -> None:
        """Everybody who waits for a place gets `error()`."""
        self._gate.refuse(error)

    async def proxy_call(
        self,
        autowrap: tuple[type, ...],
        fn: Callable[..., Any],
        *args: Any,
        nonblocking: bool = False,
        deadline_s: float = DEFAULT_DEADLINE_S,
        **kwargs: Any,
    ) -> Any:
        """`fn(*args, **kwargs)` off the loop.  A result of a type in `autowrap`, also inside a list or tuple, comes
        back as a Proxy whose own methods are awaitables.  Proxies among the arguments are unwrapped.  With
        `nonblocking` the caller vouches that `fn` does not block, and it is called straight."""

        def bound() -> Any:
            return fn(*(unwrap(arg) for arg in args), **{name: unwrap(arg) for name, arg in kwargs.items()})

        def on_place(_thing: Any) -> Any:
            return bound()

        if nonblocking:
            return self.wrap(bound(), autowrap)
        result = await self.call(bound if self._on_wait is None else on_place, deadline_s=deadline_s)
        return self.wrap(result, autowrap)

    def wrap(self, value: Any, autowrap: tuple[type, ...]) -> Any:
        """`value`, with everything in it whose type is in `autowrap` behind a Proxy on this lane."""
        if isinstance(value, autowrap):
            return Proxy(value, self, autowrap)
        if type(value) in (list, tuple):
            return type(value)(self.wrap(item, autowrap) for item in value)
        return value

    def release(self, thing: object) -> None:
        """Let go of a native object in a thread of this lane, where its last reference may block."""
        self._workers.release(thing)

    async def all_back(self) -> None:
        """Wait until no abandoned call of this lane is still in flight."""
        await self._all_back.wait()

    def close(self) -> None:
        """Take no more calls.  Those in flight go on; idle threads end."""
        self._gate.refuse(lambda: HypervisorUnavailable(f"Lane {self.name} is closed."))
        self._workers.close()

    async def _enter(self, key: Hashable, deadline_s: float) -> Any:
        self._refuse_if_full()
        if key is None and self._gate.open:
            return await self._gate.take()
        try:
            async with asyncio.timeout(deadline_s):
                await self._threads.exclude(key)
                try:
                    self._refuse_if_full()
                    if self._on_wait is not None and not self._gate.open:
                        self._on_wait()
                    return await self._gate.take()
                except BaseException:
                    self._threads.admit(key)
                    raise
        except TimeoutError:
            raise HypervisorUnavailable(
                f"A native call of lane {self.name} found no place within {deadline_s:g} s and was not begun."
            ) from None

    def _leave(self, place: Any, key: Hashable) -> None:
        if place in self._withdrawn:
            self._withdrawn.remove(place)
            self._gate.taken -= 1
            if self.on_withdrawn is not None:
                self.on_withdrawn(place)
        else:
            self._gate.give_back(place)
        self._threads.admit(key)

    def _refuse_if_full(self) -> None:
        if self.abandoned >= self.limit:
            raise self._full()

    def _full(self) -> HypervisorUnavailable:
        return HypervisorUnavailable(
            f"All {self.limit} places of lane {self.name} are held by calls that do not come back."
        )

    def _abandon(self, flight: _Flight) -> None:
        if flight.future.done():
            # It ended in the same round in which its waiter gave up: the place is given back by `_landed`, the
            # result is late all the same.
            self._late(flight)
            return
        flight.abandoned = True
        self.abandoned += 1
        self._all_back.clear()
        if self.abandoned >= self.limit:
            self._gate.refuse(self._full)

    def _landed(self, flight: _Flight) -> None:
        self._leave(flight.place, flight.key)
        if not flight.abandoned:
            return
        self._came_back()
        self._late(flight)

    def _came_back(self) -> None:
        self.abandoned -= 1
        if self.abandoned == 0:
            self._all_back.set()

    def _late(self, flight: _Flight) -> None:
        if flight.future.exception() is None and flight.on_late is not None:
            flight.on_late(flight.future.result())


class NativeThreads:
    """The lanes of one driver, and the exclusion between their calls."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lanes: dict[str, Lane] = {}
        self._keys: dict[Hashable, Gate] = {}

    def lane(self, name: str, limit: int, *, on_wait: Callable[[], None] | None = None) -> Lane:
        """A new lane of `limit` places; names are for logs and must differ.  With `on_wait` it is a furnished one."""
        if name in self.lanes:
            raise ValueError(f"there is a lane {name} already")
        self.lanes[name] = Lane(self, name, limit, on_wait)
        return self.lanes[name]

    @property
    def abandoned(self) -> int:
        """Abandoned calls that are still in flight, in all lanes."""
        return sum(lane.abandoned for lane in self.lanes.values())

    def held(self, key: Hashable) -> bool:
        """Whether a call holds `key` now, an abandoned one included."""
        return (gate := self._keys.get(key)) is not None and gate.taken > 0

    async def exclude(self, key: Hashable) -> None:
        """Wait until no call holds `key`, and hold it.  `admit` must follow."""
        if key is None:
            return
        gate = self._keys.setdefault(key, Gate((None,)))
        try:
            await gate.take()
        except BaseException:
            if gate.unused:
                self._keys.pop(key, None)
            raise

    def admit(self, key: Hashable) -> None:
        """Let go of `key`."""
        if key is not None:
            gate = self._keys[key]
            gate.give_back(None)
            if gate.unused:
                del self._keys[key]

    def close(self) -> None:
        """Take no more calls in any lane.  Nothing waits for calls in flight: their threads are daemons."""
        for lane in self.lanes.values():
            lane.close()


class HasLane(Protocol):
    """What a Proxy needs of its lane."""

    async def proxy_call(
        self, autowrap: tuple[type, ...], fn: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any: ...

    def release(self, thing: object) -> None: ...


class Proxy:
    """A native object whose methods are awaitables: `await proxy.method(...)` runs in the lane it came from.

    Plain attributes are read straight.  When the last reference goes, the object is released in a native thread.
    """

    __slots__ = ("__weakref__", "_autowrap", "_lane", "_target")

    def __init__(self, target: Any, lane: HasLane, autowrap: tuple[type, ...]) -> None:
        self._target, self._lane, self._autowrap = target, lane, autowrap

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        async def method(*args: Any, **kwargs: Any) -> Any:
            return await self._lane.proxy_call(self._autowrap, found, *args, **kwargs)

        return method

    def __repr__(self) -> str:
        return f"<Proxy of {self._target!r}>"

    def __del__(self) -> None:
        try:
            self._lane.release(self._target)
        except AttributeError:
            return  # it was never made whole


def unwrap(value: Any) -> Any:
    """The native object behind a Proxy; anything else as it is."""
    return object.__getattribute__(value, "_target") if isinstance(value, Proxy) else value
