# SPDX-License-Identifier: Apache-2.0
"""The in-memory bus of one process: one box, tests and simulations.

It encodes as on the wire and delivers on the same event loop.  Simulations can lose, duplicate and delay messages.
"""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from kilonova.base.clock import Clock
from kilonova.base.errors import RpcTimeout, RpcUnavailable
from kilonova.base.tasks import Supervisor
from kilonova.rpc.bus import USUAL_PAYLOAD, Handler, matches


@dataclass(slots=True)
class _Subscription:
    pattern: str
    handler: Handler
    queue: str | None
    owner: "MemoryBus"


@dataclass(frozen=True, slots=True)
class Fate:
    """The deliveries of one message, each after a delay in seconds; without any, the message is lost."""

    deliveries: tuple[float, ...] = (0.0,)


FAITHFUL = Fate()


class MemoryHub:
    """The state that the buses of one process share; `fate` decides the deliveries of each message and each reply."""

    def __init__(self, fate: Callable[[str], Fate] | None = None) -> None:
        self.fate = fate
        self.subscriptions: list[_Subscription] = []
        self._turn = itertools.count()

    def fate_of(self, subject: str) -> Fate:
        return self.fate(subject) if self.fate is not None else FAITHFUL

    def receivers(self, subject: str) -> list[_Subscription]:
        """Every plain subscription, and one member of each queue, in turn."""
        plain: list[_Subscription] = []
        queues: dict[str, list[_Subscription]] = {}
        for sub in self.subscriptions:
            if matches(sub.pattern, subject):
                if sub.queue is None:
                    plain.append(sub)
                else:
                    queues.setdefault(sub.queue, []).append(sub)
        turn = next(self._turn)
        return plain + [members[turn % len(members)] for members in queues.values()]


class MemoryBus:
    """One process's connection to a hub.  Leaving it ends its subscriptions and its running handlers."""

    def __init__(self, hub: MemoryHub, clock: Clock) -> None:
        self._hub, self._clock = hub, clock
        self._tasks = Supervisor(clock)

    @property
    def max_payload(self) -> int:
        return USUAL_PAYLOAD

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hub.subscriptions = [sub for sub in self._hub.subscriptions if sub.owner is not self]
        await self._tasks.__aexit__(kind, exc, trace)

    async def subscribe(self, subject: str, handler: Handler, *, queue: str | None = None) -> None:
        self._hub.subscriptions.append(_Subscription(subject, handler, queue, self))

    async def publish(self, subject: str, payload: bytes) -> None:
        for sub in self._hub.receivers(subject):
            for delay in self._hub.fate_of(subject).deliveries:
                sub.owner._handle(sub, subject, payload, delay, None)

    async def request(self, subject: str, payload: bytes, timeout_s: float) -> bytes:
        receivers = self._hub.receivers(subject)
        if not receivers:
            raise RpcUnavailable(f"No process serves {subject}.", subject=subject)
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        for delay in self._hub.fate_of(subject).deliveries:
            receivers[0].owner._handle(receivers[0], subject, payload, delay, reply)
        try:
            async with asyncio.timeout(timeout_s):
                return await reply
        except TimeoutError:
            raise RpcTimeout(f"No reply from {subject} within {timeout_s:g} s.", subject=subject) from None

    def _handle(
        self, sub: _Subscription, subject: str, payload: bytes, delay: float, reply: asyncio.Future[bytes] | None
    ) -> None:
        self._tasks.spawn(f"handle {subject}", self._deliver(sub, subject, payload, delay, reply))

    async def _deliver(
        self, sub: _Subscription, subject: str, payload: bytes, delay: float, reply: asyncio.Future[bytes] | None
    ) -> None:
        if delay:
            await self._clock.sleep(delay)
        answer = await sub.handler(subject, payload)
        if reply is None:
            return
        for back in self._hub.fate_of(f"reply.{subject}").deliveries:
            if back:
                await self._clock.sleep(back)
            if not reply.done():
                reply.set_result(answer)
