# SPDX-License-Identifier: Apache-2.0
"""Native objects whose methods are awaitables."""

from collections.abc import Callable
from typing import Any, Protocol


class HasPool(Protocol):
    """The part of a call pool that a Proxy uses."""

    async def proxy_call(
        self, autowrap: tuple[type, ...], fn: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any: ...

    def release(self, thing: object) -> None: ...


class Proxy:
    """A native object whose methods are awaitables: `await proxy.method(...)` runs in the pool that made the proxy.

    Plain attributes are read directly.  When the last reference is dropped, a native thread releases the object.
    """

    __slots__ = ("__weakref__", "_autowrap", "_pool", "_target")

    def __init__(self, target: Any, pool: HasPool, autowrap: tuple[type, ...]) -> None:
        self._target, self._pool, self._autowrap = target, pool, autowrap

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        async def method(*args: Any, **kwargs: Any) -> Any:
            return await self._pool.proxy_call(self._autowrap, found, *args, **kwargs)

        return method

    def __repr__(self) -> str:
        return f"<Proxy of {self._target!r}>"

    def __del__(self) -> None:
        try:
            self._pool.release(self._target)
        except AttributeError:
            return  # the constructor did not complete


def unwrap(value: Any) -> Any:
    """The native object behind a Proxy; any other value unchanged."""
    return object.__getattribute__(value, "_target") if isinstance(value, Proxy) else value
