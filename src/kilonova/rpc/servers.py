# SPDX-License-Identifier: Apache-2.0
"""What each NATS server shows to a process that connects to it alone: for the doctor and the status of a fleet."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from nats.aio.msg import Msg

from kilonova.base.clock import Clock
from kilonova.rpc.bus import inbox_prefix, ping_subject
from kilonova.rpc.nats_connection import Connection
from kilonova.rpc.transport_url import Access, Entry

OPEN_S = 3.0
ECHO, ECHO_S = b"echo", 1.5

Probe = Callable[[Connection, Entry], Awaitable[str]]
"""One more test of a connection: the reason of its failure, or an empty text."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What one server showed.  `reason`: why there is no connection, or why it is of no use; empty when all is well.
    `round_trip_s` is the time of a message of this process to itself."""

    address: str
    reason: str = ""
    max_payload: int = 0
    certificate_ends: datetime | None = None
    connected: bool = False
    version: str = ""
    cluster: str = ""
    round_trip_s: float = 0.0


async def _passes(_connection: Connection, _entry: Entry) -> str:
    return ""


async def look(access: Access, identity: str, clock: Clock, probe: Probe = _passes) -> list[ServerFacts]:
    """Connect to each server, all at the same time.  `identity` counts without credentials.  Raises ConfigError for
    invalid options; a server that does not answer is a fact."""
    addresses = access.read().servers.addresses
    looks: list[asyncio.Task[ServerFacts]] = []
    async with asyncio.TaskGroup() as group:
        for address in addresses:
            looks.append(group.create_task(_one(replace(access, only=address), identity, clock, probe)))
    return [one.result() for one in looks]


async def _one(access: Access, identity: str, clock: Clock, probe: Probe) -> ServerFacts:
    entry = access.read()
    own = identity if entry.credentials is None else entry.credentials.identity
    connection = Connection(entry, f"{own} (a command)", clock, lambda _subject: None)
    try:
        async with asyncio.timeout(OPEN_S):
            await connection.open()
        took_s = await _echo(connection, own, clock)
        reason = f"a message of {own} to itself did not arrive" if took_s is None else await probe(connection, entry)
    except TimeoutError:
        return ServerFacts(access.only, f"no answer within {OPEN_S:g} s")
    except Exception as exc:  # the border of a library
        return ServerFacts(access.only, connection.explain(exc))
    else:
        client, ends = connection.client, connection.certificate_expires_at
        return ServerFacts(
            *(access.only, reason, client.max_payload, ends, True),
            version=client.version,
            cluster=client.cluster,
            round_trip_s=took_s or 0.0,
        )
    finally:
        await connection.close()


async def _echo(connection: Connection, identity: str, clock: Clock) -> float | None:
    """How long a message to itself takes; None when it does not come back."""

    async def on_ping(msg: Msg) -> None:
        await connection.send(msg.reply, msg.data)

    own, inbox = (f"{prefix}.{clock.new_id()}" for prefix in (ping_subject(identity), inbox_prefix(identity)))
    await connection.client.subscribe(own, cb=on_ping)
    began = clock.monotonic()
    answer = await connection.ask(own, ECHO, inbox, ECHO_S)
    return clock.monotonic() - began if answer == ECHO else None
