# SPDX-License-Identifier: Apache-2.0
"""In-doubt calls: calls that were started, have no answer yet, and may still happen.

A call that failed because its connection was lost, or exceeded its deadline, is not a call that did not happen: a
create that keepalive gave up after 4 s ran when the frozen daemon continued.  Therefore a guest with an in-doubt call
is neither read for a decision nor changed until a connection has been up for `IN_DOUBT_S` since: by then the daemon has
executed what was still in the lost socket, or never will.  This holds across operations: a delete that follows a create
waits for the create's call.

It also holds across processes: after a process that did not end with every outcome known (see `unclean_shutdown`), no
decision about any guest is made until the first connection has been up for `IN_DOUBT_S`.
"""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeVar

from kilonova.base.clock import Clock
from kilonova.base.errors import HypervisorUnavailable, NativeCallTimeout, OutcomeUnknown
from kilonova.virt.calls.pool import CallPools
from kilonova.virt.libvirt.connection.opening import Failure
from kilonova.virt.libvirt.connection.pool import ConnectionPool, LibvirtCall

T = TypeVar("T")

IN_DOUBT_S = 2.0
"""A daemon that continues reads its old sockets within milliseconds; the rest is for a daemon that is busy."""


class InDoubtCalls:
    """The calls of one pool that change things, and which of them are in doubt.  Event loop only.

    `on_overdue` receives the subject of a call when the call exceeds its deadline, and again when it has returned.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        pools: CallPools,
        clock: Clock,
        on_overdue: Callable[[Hashable], None] = lambda about: None,
    ) -> None:
        self._pool, self._pools, self._clock, self._on_overdue = pool, pools, clock, on_overdue
        self._in_doubt_since_s: dict[Hashable, float] = {}
        self.unclean_start = True
        """Whether an earlier process may have left calls in doubt, on any guest.  True until the contrary is known."""

    @property
    def none_in_doubt(self) -> bool:
        """Whether no call of any process may still happen."""
        return not (self.unclean_start or self._in_doubt_since_s)

    async def run(
        self,
        key: Hashable,
        fn: LibvirtCall[T],
        *,
        about: Hashable = None,
        deadline_s: float | None = None,
        pool: ConnectionPool | None = None,
    ) -> T:
        """As ConnectionPool.run, exclusively for `key`, once no call `about` the same thing (default: the key) is in
        doubt; on another `pool` where one is given."""
        about = key if about is None else about
        await self.resolved(about)
        return await self._run(key, fn, about, deadline_s, pool)

    async def interrupt(
        self, about: Hashable, fn: LibvirtCall[None], *, deadline_s: float, pool: ConnectionPool
    ) -> None:
        """Run `fn`, although an earlier call on the same thing has not returned: `fn` is what ends that call.  The
        thing is in doubt until both have returned."""
        await self._run(_interrupting(about), fn, about, deadline_s, pool)

    async def _run(
        self, key: Hashable, fn: LibvirtCall[T], about: Hashable, deadline_s: float | None, pool: ConnectionPool | None
    ) -> T:
        try:
            late = partial(self._late, about)
            return await (pool or self._pool).run(fn, deadline_s=deadline_s, exclusive=key, on_late=late)
        except HypervisorUnavailable as exc:
            if isinstance(exc, OutcomeUnknown):
                self._mark(about)
            if isinstance(exc, NativeCallTimeout):
                self._on_overdue(about)
            raise
        except BaseException as exc:
            if not isinstance(exc, Exception):  # cancelled in the middle: the call continues
                self._mark(about)
            raise

    async def resolved(self, about: Hashable) -> None:
        """Return when no in-doubt call can still change what is read: usually at once.  Raises HypervisorUnavailable,
        also while such a call is still in its thread."""
        while (since_s := self._in_doubt_since_s.get(about, 0.0 if self.unclean_start else None)) is not None:
            await self._pool.alive()
            if self._pools.busy(about) or self._pools.busy(_interrupting(about)):
                raise HypervisorUnavailable(
                    f"An earlier call to libvirt of {self._pool.host} has not returned: its outcome is unknown.",
                    host=self._pool.host,
                )
            left_s = max(since_s, self._pool.up_since_s) + IN_DOUBT_S - self._clock.monotonic()
            if left_s > 0:
                await self._clock.sleep(left_s)
            else:
                self.unclean_start = False
                self._in_doubt_since_s.pop(about, None)

    def _mark(self, about: Hashable) -> None:
        self._in_doubt_since_s[about] = self._clock.monotonic()

    def _late(self, about: Hashable, result: Any) -> None:
        if isinstance(result, Failure) and result.lost:
            self._mark(about)
        self._on_overdue(about)


def _interrupting(about: Hashable) -> Hashable:
    return ("interrupt", about)
