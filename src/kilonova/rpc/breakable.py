# SPDX-License-Identifier: Apache-2.0
"""A bus with failpoints: before and after each call of a method, and between the work of a method and its reply."""

from collections.abc import Collection
from types import TracebackType
from typing import Self

from kilonova.base.failpoints import Failpoints
from kilonova.rpc import wire
from kilonova.rpc.bus import Bus, Handler


def of_calls(methods: Collection[str]) -> frozenset[str]:
    """The failpoints of a process that calls these methods."""
    return frozenset(f"call.{name}.{moment}" for name in methods for moment in ("begin", "done"))


def of_replies(methods: Collection[str]) -> frozenset[str]:
    """The failpoints of a process that serves these methods."""
    return frozenset(f"reply.{name}" for name in methods)


class BreakableBus:
    """A Bus on another one.  `methods` are the names of those that have failpoints."""

    def __init__(self, bus: Bus, failpoints: Failpoints, methods: Collection[str]) -> None:
        self._bus, self._failpoints, self._methods = bus, failpoints, methods

    async def __aenter__(self) -> Self:
        await self._bus.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._bus.__aexit__(kind, exc, trace)

    @property
    def max_payload(self) -> int:
        """See Bus."""
        return self._bus.max_payload

    async def request(self, subject: str, payload: bytes, timeout_s: float) -> bytes:
        """See Bus."""
        name = self._method_of(payload)
        self._hit(name, f"call.{name}.begin")
        reply = await self._bus.request(subject, payload, timeout_s)
        self._hit(name, f"call.{name}.done")
        return reply

    async def publish(self, subject: str, payload: bytes) -> None:
        """See Bus."""
        name = self._method_of(payload)
        self._hit(name, f"call.{name}.begin")
        await self._bus.publish(subject, payload)
        self._hit(name, f"call.{name}.done")

    async def subscribe(self, subject: str, handler: Handler, *, queue: str | None = None) -> None:
        """See Bus."""

        async def handle(subject: str, payload: bytes) -> bytes:
            reply = await handler(subject, payload)
            name = self._method_of(payload)
            self._hit(name, f"reply.{name}")
            return reply

        await self._bus.subscribe(subject, handle, queue=queue)

    def _hit(self, method: str, name: str) -> None:
        if method:
            self._failpoints.hit(name)

    def _method_of(self, payload: bytes) -> str:
        """The name of the method, if it has failpoints; otherwise empty."""
        try:
            name = wire.decode_request(payload).method
        except ValueError:
            return ""
        return name if name in self._methods else ""
