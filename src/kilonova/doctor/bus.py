# SPDX-License-Identifier: Apache-2.0
"""Checks of the bus of a fleet: each NATS server, its certificate, our credentials and what they permit."""

import asyncio
import stat
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from kilonova.base.clock import SystemClock
from kilonova.base.errors import ConfigError, KilonovaError
from kilonova.doctor.finding import Finding, error, ok, warning
from kilonova.doctor.subject import Subject
from kilonova.rpc.credentials import Credentials, identity
from kilonova.rpc.nats import SMALL_PAYLOAD, NatsBus
from kilonova.rpc.nats_connection import certificate_expiry
from kilonova.rpc.transport_url import Access, access_of
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.host_to_conductor import PING, Ping

SOON = timedelta(days=14)
ANSWER_S = 1.5


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What one server showed.  `reason`: why there is no connection; empty when there is one."""

    address: str
    reason: str
    max_payload: int = 0
    certificate_ends: datetime | None = None


def message_bus(subject: Subject) -> Finding:
    """Check that the NATS servers of a fleet accept this process."""
    name, defaults = "message-bus", subject.settings.default
    access = access_of(defaults)
    if not access.url and not access.credentials_file:
        return ok(name, "No transport_url: the one box has its bus in the process.")
    try:
        entry = access.read()
    except ConfigError as exc:
        cure = "Set transport_credentials to a file from `kilonova host enroll` or `kilonova bus credentials`."
        return error(name, str(exc), cure)
    found = asyncio.run(_look(access, entry.servers.addresses))
    return judge_bus(found, entry.credentials, SystemClock().now())


async def _look(access: Access, addresses: tuple[str, ...]) -> list[ServerFacts]:
    looks: list[asyncio.Task[ServerFacts]] = []
    async with asyncio.TaskGroup() as group:
        looks.extend(group.create_task(_one(access, address)) for address in addresses)
    return [look.result() for look in looks]


async def _one(access: Access, address: str) -> ServerFacts:
    entry = access.read()
    one = replace(access, url=with_user(address, access)) if entry.servers.has_credentials else replace(access, url=address)
    async with NatsBus(one, "doctor", SystemClock(), drain_s=0.1) as bus:
        if not bus.connected:
            return ServerFacts(address, bus.reason)
        return ServerFacts(address, "", bus.max_payload, certificate_expiry(bus))
