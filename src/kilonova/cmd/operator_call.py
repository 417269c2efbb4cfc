# SPDX-License-Identifier: Apache-2.0
"""Calls of an operator's command to a conductor, over the bus of the fleet."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from kilonova.base.errors import ConfigError, RpcUnavailable
from kilonova.cmd.common import read_settings

if TYPE_CHECKING:
    from kilonova.rpc.transport_url import Access
    from kilonova.rpcapi.caller import Caller

T = TypeVar("T")


def fleet_access(files: list[str] | None, without: str) -> "Access":
    """The access to the bus of a configuration.  Raises ConfigError, with the text `without` if there is no fleet."""
    from kilonova.rpc.transport_url import access_of, guarded

    settings = read_settings(files, None).default
    if not settings.in_fleet:
        raise ConfigError(without)
    access = access_of(settings)
    guarded(access)
    return access


def ask_conductor(access: "Access", call: "Callable[[Caller], Awaitable[T]]") -> T:
    """The result of `call`.  Raises what the conductor sends, and RpcUnavailable in one sentence when none answers."""
    import asyncio

    from kilonova.base.clock import SystemClock
    from kilonova.rpc.nats import NatsBus
    from kilonova.rpcapi.caller import Caller

    async def run() -> T:
        clock = SystemClock()
        async with NatsBus(access, "operator", clock) as bus:
            try:
                return await call(Caller(bus, clock))
            except RpcUnavailable as exc:
                if bus.connected:
                    raise RpcUnavailable(
                        "NATS is there, but no conductor answers: start kilonova-conductor, or see its log."
                    ) from exc
                servers = ", ".join(access.read().servers.addresses)
                raise RpcUnavailable(f"There is no connection to NATS at {servers}: {bus.reason}.") from exc

    return asyncio.run(run())
