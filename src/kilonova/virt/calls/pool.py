# SPDX-License-Identifier: Apache-2.0
"""Native calls as awaitables.

A call into a C library blocks its thread, cannot be interrupted, and may return late or never.  Therefore each call
runs in a daemon thread of this process, under a deadline.  A call that exceeds its deadline, or whose waiter was
cancelled, is *abandoned*: it continues, is counted, and keeps its slot and its guest's exclusion until it really ends.
Its late result is passed to `on_late` or dropped.

A *pool* is a bounded set of threads for calls that may block one another anyway (the calls of one connection).  A pool
whose slots are all taken by abandoned calls refuses further calls at once; its queue cannot grow without end.

The thread of a call drops what the call holds.  Return plain values where possible: dropping the last reference to a
native object on the event loop may block.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from kilonova.base.errors import HypervisorUnavailable, NativeCallTimeout
from kilonova.base.threads import DaemonWorkers
from kilonova.virt.calls.gate import Gate
from kilonova.virt.calls.proxy import Proxy, unwrap

T = TypeVar("T")

DEFAULT_DEADLINE_S = 30.0


class _PendingCall:
    """One call that was handed to a thread, until it really ends."""

    __slots__ = ("abandoned", "future", "key", "on_late", "slot")

    def __init__(
        self, future: asyncio.Future[Any], slot: Any, key: Hashable, on_late: Callable[[Any], None] | None
    ) -> None:
        self.future, self.slot, self.key, self.on_late = future, slot, key, on_late
        self.abandoned = False


class CallPool:
    """At most `limit` native calls in flight, abandoned calls included.  Use it from one event loop.

    A pool may own *resources* (sockets to a daemon): each call then takes one of the resources that `put` added, uses
    it alone while the call lasts, and the pool calls `on_wait` when no resource is free.
    """

    def __init__(self, pools: "CallPools", name: str, limit: int, on_wait: Callable[[], None] | None) -> None:
        self.name, self.limit = name, limit
        self.abandoned = 0
        self.on_withdrawn: Callable[[Any], None] | None = None
        self._pools, self._on_wait = pools, on_wait
        self._gate = Gate(() if on_wait is not None else (None,) * limit)
        self._withdrawn: list[Any] = []
        self._workers = DaemonWorkers(f"{pools.name}-{name}", limit)
        self._all_back = asyncio.Event()
        self._all_back.set()

    @property
    def in_flight(self) -> int:
        """Calls that threads execute now, abandoned calls included."""
        return self._gate.taken

    @property
    def waiting(self) -> bool:
        """Whether any caller waits for a slot."""
        return self._gate.waiting

    @property
    def room(self) -> int:
        """How many more resources may be added."""
        return self.limit - self._gate.taken - len(self._gate.free)

    async def call(
        self,
        fn: Callable[..., T],
        *args: Any,
        deadline_s: float = DEFAULT_DEADLINE_S,
        exclusive: Hashable = None,
        on_late: Callable[[T], None] | None = None,
    ) -> T:
        """`fn(*args)` in a native thread, within `deadline_s` seconds, queueing included.  A pool with resources calls
        `fn(resource, *args)`.

        Calls with an equal `exclusive` key (None: no exclusion) never overlap, in any pool of the same CallPools.
        `on_late` is called on the loop with the result of an abandoned call that succeeded later.

        Raises NativeCallTimeout if the call was started and exceeded its deadline: its outcome is unknown.  Raises
        HypervisorUnavailable if the call was never started (it did not happen).  Otherwise raises what `fn` raised.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline_s
        slot = await self._enter(exclusive, deadline_s)
        try:
            given = args if self._on_wait is None else (slot, *args)
            call = _PendingCall(self._workers.submit(fn, *given), slot, exclusive, on_late)
        except BaseException:
            self._leave(slot, exclusive)
            raise
        call.future.add_done_callback(lambda _: self._returned(call))
        try:
            done, _ = await asyncio.wait((call.future,), timeout=max(0.0, end - loop.time()))
        except BaseException:
            self._abandon(call)
            raise
        if not done:
            self._abandon(call)
            raise NativeCallTimeout(f"A native call of the pool {self.name} did not return within {deadline_s:g} s.")
        return call.future.result()

    def detach(self, fn: Callable[..., Any], *args: Any) -> bool:
        """Run `fn(*args)` in a native thread as soon as a thread of the pool is free.  No caller waits for the call,
        and its failure is ignored.  It takes no slot and counts as abandoned until it ends.  Returns False if the pool
        is closed: the call is then never started."""
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
            future.exception()  # ignored: reading it prevents the warning that it was never retrieved
        self._came_back()

    def put(self, resource: Any) -> None:
        """Add a resource: it serves one call at a time from now on."""
        self._gate.add(resource)

    def withdraw(self, resource: Any) -> None:
        """`resource` serves no further call.  `on_withdrawn(resource)` is called when no call uses it any more,
        possibly at once."""
        if resource in self._gate.free:
            self._gate.free.remove(resource)
            if self.on_withdrawn is not None:
                self.on_withdrawn(resource)
        else:
            self._withdrawn.append(resource)

    def refuse_waiting(self, error: Callable[[], Exception]) -> None:
        """Raise `error()` in every caller that waits for a slot."""
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
        """`fn(*args, **kwargs)` off the loop.  A result of a type in `autowrap`, also inside a list or tuple, is
        returned as a Proxy whose own methods are awaitables.  Proxies among the arguments are unwrapped.  With
        `nonblocking` the caller guarantees that `fn` does not block, and `fn` is called directly."""

        def bound() -> Any:
            return fn(*(unwrap(arg) for arg in args), **{name: unwrap(arg) for name, arg in kwargs.items()})

        def on_resource(_resource: Any) -> Any:
            return bound()

        if nonblocking:
            return self.wrap(bound(), autowrap)
        result = await self.call(bound if self._on_wait is None else on_resource, deadline_s=deadline_s)
        return self.wrap(result, autowrap)

    def wrap(self, value: Any, autowrap: tuple[type, ...]) -> Any:
        """`value`, with every object in it whose type is in `autowrap` replaced by a Proxy on this pool."""
        if isinstance(value, autowrap):
            return Proxy(value, self, autowrap)
        if type(value) in (list, tuple):
            return type(value)(self.wrap(item, autowrap) for item in value)
        return value

    def release(self, thing: object) -> None:
        """Drop a native object in a thread of this pool, where dropping the last reference may block."""
        self._workers.release(thing)

    async def all_back(self) -> None:
        """Wait until no abandoned call of this pool is in flight."""
        await self._all_back.wait()

    def close(self) -> None:
        """Accept no more calls.  Calls in flight continue; idle threads end."""
        self._gate.refuse(lambda: HypervisorUnavailable(f"The call pool {self.name} is closed."))
        self._workers.close()

    async def _enter(self, key: Hashable, deadline_s: float) -> Any:
        self._refuse_if_full()
        if key is None and self._gate.open:
            return await self._gate.take()
        try:
            async with asyncio.timeout(deadline_s):
                await self._pools.exclude(key)
                try:
                    self._refuse_if_full()
                    if self._on_wait is not None and not self._gate.open:
                        self._on_wait()
                    return await self._gate.take()
                except BaseException:
                    self._pools.admit(key)
                    raise
        except TimeoutError:
            raise HypervisorUnavailable(
                f"A native call of the pool {self.name} found no free slot within {deadline_s:g} s and was not started."
            ) from None

    def _leave(self, slot: Any, key: Hashable) -> None:
        if slot in self._withdrawn:
            self._withdrawn.remove(slot)
            self._gate.taken -= 1
            if self.on_withdrawn is not None:
                self.on_withdrawn(slot)
        else:
            self._gate.give_back(slot)
        self._pools.admit(key)

    def _refuse_if_full(self) -> None:
        if self.abandoned >= self.limit:
            raise self._full()

    def _full(self) -> HypervisorUnavailable:
        return HypervisorUnavailable(f"All {self.limit} slots of the pool {self.name} hold calls that do not return.")

    def _abandon(self, call: _PendingCall) -> None:
        if call.future.done():
            # The call ended in the same loop round in which its waiter gave up: `_returned` gives the slot back; the
            # result is late in any case.
            self._late(call)
            return
        call.abandoned = True
        self.abandoned += 1
        self._all_back.clear()
        if self.abandoned >= self.limit:
            self._gate.refuse(self._full)

    def _returned(self, call: _PendingCall) -> None:
        self._leave(call.slot, call.key)
        if not call.abandoned:
            return
        self._came_back()
        self._late(call)

    def _came_back(self) -> None:
        self.abandoned -= 1
        if self.abandoned == 0:
            self._all_back.set()

    def _late(self, call: _PendingCall) -> None:
        if call.future.exception() is None and call.on_late is not None:
            call.on_late(call.future.result())


class CallPools:
    """The call pools of one driver, and the exclusion between their calls."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pools: dict[str, CallPool] = {}
        self._keys: dict[Hashable, Gate] = {}

    def pool(self, name: str, limit: int, *, on_wait: Callable[[], None] | None = None) -> CallPool:
        """A new pool of `limit` slots; names are for logs and must differ.  With `on_wait` the pool owns resources."""
        if name in self.pools:
            raise ValueError(f"there is already a pool {name}")
        self.pools[name] = CallPool(self, name, limit, on_wait)
        return self.pools[name]

    @property
    def abandoned(self) -> int:
        """Abandoned calls that are still in flight, in all pools."""
        return sum(pool.abandoned for pool in self.pools.values())

    def busy(self, key: Hashable) -> bool:
        """Whether a call with the exclusive `key` is in flight, an abandoned call included."""
        return (gate := self._keys.get(key)) is not None and gate.taken > 0

    async def exclude(self, key: Hashable) -> None:
        """Wait until no call has `key`, and take it.  The caller must call `admit` afterwards."""
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
        """Give `key` back."""
        if key is not None:
            gate = self._keys[key]
            gate.give_back(None)
            if gate.unused:
                del self._keys[key]

    def close(self) -> None:
        """Accept no more calls in any pool.  Nothing waits for calls in flight: their threads are daemon threads."""
        for pool in self.pools.values():
            pool.close()
