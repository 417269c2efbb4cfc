# SPDX-License-Identifier: Apache-2.0
"""A host whose messages the conductor refuses for a while, because there were too many: it waits, and goes on."""

from kilonova.base.errors import Overloaded
from kilonova.compute.session import HostIdentity, Session
from kilonova.config.load import load
from kilonova.objects.ids import HostName
from kilonova.rpc import wire
from kilonova.rpc.memory import MemoryBus, MemoryHub
from kilonova.rpcapi.caller import Caller, HostCaller
from kilonova.rpcapi.host_to_conductor import REGISTER_HOST, Registered
from tests.simulation.virtual import SimClock, run_virtually

REFUSED_S = 30.0
"""Longer than one call of the host tries."""


def test_a_host_that_is_refused_for_a_while_registers_in_the_end() -> None:
    async def body() -> None:
        clock = SimClock(1)

        async def conductor(_subject: str, _payload: bytes) -> bytes:
            if clock.monotonic() - began < REFUSED_S:
                return wire.encode_error(Overloaded("Too many."))
            return wire.encode_reply(REGISTER_HOST.reply_form.dump_json(Registered(7)))

        async with MemoryBus(MemoryHub(), clock) as bus:
            began = clock.monotonic()
            await bus.subscribe("conductor.host.h1", conductor)
            host = HostName("h1")
            identity = HostIdentity(host, "node", "boot", "process")
            session = Session(identity, HostCaller(Caller(bus, clock), host), clock, load().default)
            await session.register()
            assert session.epoch == 7
            assert clock.monotonic() - began >= REFUSED_S

    run_virtually(body())
