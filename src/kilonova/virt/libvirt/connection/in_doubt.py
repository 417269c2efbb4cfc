# SPDX-License-Identifier: Apache-2.0
"""What a cut-off call may yet do, and when its guest can be judged again.

A call that failed by the loss of its connection, or outlived its deadline, is not a call that did not happen: a create
that keepalive gave up after 4 s ran when the frozen daemon thawed.  So a guest with such a call is neither read for a
judgement nor changed before a connection has been up for `SETTLE_S` since: what was still in the lost socket has been
done by then, or never will be.  That holds across operations: a delete that follows a create waits for the create's
call.

It also holds across processes: after one that did not end with every outcome known (see `inheritance`), no guest is
judged before the first connection has been up for `SETTLE_S`.
"""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeVar

from kilonova.base.clock import Clock
from kilonova.base.errors import HypervisorUnavailable, NativeCallTimeout, OutcomeUnknown
from kilonova.virt.calls.pool import NativeThreads
from kilonova.virt.libvirt.connection.opening import Failure
from kilonova.virt.libvirt.connection.pool import Connection, Hop

T = TypeVar("T")

SETTLE_S = 2.0
"""A daemon that thaws reads its old sockets within milliseconds; this is for one that is busy besides."""


class Settling:
    """One lane's calls that change things, with what is unknown of them.  Event loop only.

    `on_overdue` is told what a call was about that outlived its deadline, and again when it has come back.
    """

    def __init__(
        self,
        link: Connection,
        threads: NativeThreads,
        clock: Clock,
        on_overdue: Callable[[Hashable], None] = lambda about: None,
    ) -> None:
        self._link, self._threads, self._clock, self._on_overdue = link, threads, clock, on_overdue
        self._cut_off_s: dict[Hashable, float] = {}
        self.inherited = True
        """Whether an earlier process may have left calls behind, on any guest; until somebody knows better, yes."""

    @property
    def all_known(self) -> bool:
        """Whether no call may yet happen, whoever asks."""
        return not (self.inherited or self._cut_off_s)

    async def run(
        self,
        key: Hashable,
        fn: Hop[T],
        *,
        about: Hashable = None,
        deadline_s: float | None = None,
        link: Connection | None = None,
    ) -> T:
        """As Connection.run, exclusively for `key`, when what is known `about` (default: the key) has settled; on
        another lane's `link` where one is given."""
        about = key if about is None else about
        await self.settled(about)
        return await self._run(key, fn, about, deadline_s, link)

    async def break_off(self, about: Hashable, fn: Hop[None], *, deadline_s: float | None = None) -> None:
        """`fn`, though an earlier call on the same thing has not come back: it is what ends that one.  Nothing is known
        of the thing until both have."""
        await self._run(_breaking(about), fn, about, deadline_s, None)

    async def _run(
        self, key: Hashable, fn: Hop[T], about: Hashable, deadline_s: float | None, link: Connection | None
    ) -> T:
        try:
            late = partial(self._late, about)
            return await (link or self._link).run(fn, deadline_s=deadline_s, exclusive=key, on_late=late)
        except HypervisorUnavailable as exc:
            if isinstance(exc, OutcomeUnknown):
                self._cut_off(about)
            if isinstance(exc, NativeCallTimeout):
                self._on_overdue(about)
            raise
        except BaseException as exc:
            if not isinstance(exc, Exception):  # cancelled in the middle: the call goes on
                self._cut_off(about)
            raise

    async def settled(self, about: Hashable) -> None:
        """Return when no cut-off call can change any more what is read: at once as a rule.  Raises
        HypervisorUnavailable, also while such a call is still in its thread."""
        while (cut_off_s := self._cut_off_s.get(about, 0.0 if self.inherited else None)) is not None:
            await self._link.alive()
            if self._threads.held(about) or self._threads.held(_breaking(about)):
                raise HypervisorUnavailable(
                    f"An earlier call on libvirt of {self._link.host} has not come back: its outcome is unknown.",
                    host=self._link.host,
                )
            left_s = max(cut_off_s, self._link.up_since_s) + SETTLE_S - self._clock.monotonic()
            if left_s > 0:
                await self._clock.sleep(left_s)
            else:
                self.inherited = False
                self._cut_off_s.pop(about, None)

    def _cut_off(self, about: Hashable) -> None:
        self._cut_off_s[about] = self._clock.monotonic()

    def _late(self, about: Hashable, result: Any) -> None:
        if isinstance(result, Failure) and result.lost:
            self._cut_off(about)
        self._on_overdue(about)


def _breaking(about: Hashable) -> Hashable:
    return ("break off", about)
