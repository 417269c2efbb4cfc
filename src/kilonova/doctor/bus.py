# SPDX-License-Identifier: Apache-2.0
"""Checks of the bus of a fleet: each NATS server, its certificate, our credentials, and the way to a conductor."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kilonova import CODE_VERSION
from kilonova.base.clock import SystemClock
from kilonova.base.errors import ConfigError, KilonovaError
from kilonova.doctor.finding import Finding, error, ok, warning
from kilonova.doctor.subject import Subject
from kilonova.objects.ids import HostName
from kilonova.rpc import wire
from kilonova.rpc.bus import SMALL_PAYLOAD, inbox_prefix
from kilonova.rpc.credentials import Credentials, identity
from kilonova.rpc.transport_url import Access, Entry, access_of
from kilonova.rpcapi.host_to_conductor import PING, Ping

if TYPE_CHECKING:
    from kilonova.rpc.nats_connection import Connection

NAME = "message-bus"
SOON = timedelta(days=14)
OPEN_S = 3.0
ANSWER_S = 1.5
ROLE = "host"


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What one server showed.  `reason`: why there is no connection, or no conductor behind it; empty when all is
    well."""

    address: str
    reason: str = ""
    max_payload: int = 0
    certificate_ends: datetime | None = None
    connected: bool = False


def message_bus(subject: Subject) -> Finding:
    """Check that the NATS servers of a fleet accept this host, and that a conductor answers it."""
    defaults = subject.settings.default
    access = access_of(defaults)
    if not defaults.in_fleet:
        return ok(NAME, "No transport_url: the one box has its bus in the process.")
    try:
        entry = access.read()
    except ConfigError as exc:
        cure = "Set transport_credentials to a file from `kilonova host enroll`, or transport_url to nats://host:port."
        return error(NAME, str(exc), cure)
    found = asyncio.run(_look(access, entry, defaults.host))
    return judge_bus(found, entry.credentials, SystemClock().now())


async def _look(access: Access, entry: Entry, host: str) -> list[ServerFacts]:
    looks: list[asyncio.Task[ServerFacts]] = []
    async with asyncio.TaskGroup() as group:
        for address in entry.servers.addresses:
            looks.append(group.create_task(_one(replace(access, only=address), address, host)))
    return [look.result() for look in looks]


async def _one(access: Access, address: str, host: str) -> ServerFacts:
    from kilonova.rpc.nats_connection import Connection  # late: the one box never imports nats

    entry = access.read()
    connection = Connection(entry, "doctor", SystemClock(), lambda _subject: None)
    try:
        async with asyncio.timeout(OPEN_S):
            await connection.open()
        reason = await _conductor(connection, entry, host)
    except TimeoutError:
        return ServerFacts(address, f"no answer within {OPEN_S:g} s")
    except Exception as exc:  # the border of a library
        return ServerFacts(address, connection.explain(exc))
    else:
        limit, ends = connection.client.max_payload, connection.certificate_expires_at
        return ServerFacts(address, reason, limit, ends, connected=True)
    finally:
        await connection.close()


async def _conductor(connection: "Connection", entry: Entry, host: str) -> str:
    """Why no conductor answers the host over this connection; empty when one does, and for credentials that are not
    the host's."""
    found = entry.credentials
    own = identity(ROLE, host)
    if found is None or found.identity != own:
        return ""
    body = PING.request_form.dump_json(Ping(HostName(host)))
    request = wire.encode_request(wire.Request(PING.name, CODE_VERSION, ANSWER_S, body))
    inbox = f"{inbox_prefix(own)}.{SystemClock().new_id()}"
    answer = await connection.ask(PING.subject_of(host), request, inbox, ANSWER_S)
    if answer is None:
        return f"no conductor answered within {ANSWER_S:g} s"
    try:
        wire.decode_reply(answer)
    except KilonovaError as exc:
        return f"a conductor answered: {exc.message.rstrip('.')}"
    except ValueError:
        return "no conductor serves the bus"
    return ""


def judge_bus(found: Sequence[ServerFacts], credentials: Credentials | None, now: datetime) -> Finding:
    """See `message_bus`."""
    listed = "; ".join(f"{one.address}: {one.reason}" for one in found if one.reason)
    facts = {
        "servers": [one.address for one in found],
        "dead": {one.address: one.reason for one in found if not one.connected},
        "identity": None if credentials is None else credentials.identity,
    }
    cure = "Start nats-server there, or correct transport_url or transport_credentials; a firewall may be between."
    if not any(one.connected for one in found):
        return error(NAME, f"No NATS server accepts this process ({listed}).", cure, **facts)
    if any(one.connected and one.reason for one in found):
        return error(NAME, f"NATS is there, but {listed}.", "Start kilonova-conductor, and see its log.", **facts)
    if listed:
        return warning(NAME, f"Not every NATS server accepts this process ({listed}).", cure, **facts)
    small = [one for one in found if one.max_payload < SMALL_PAYLOAD]
    if small:
        message = f"max_payload of {small[0].address} is {small[0].max_payload} bytes: larger servers cannot be built."
        return warning(NAME, message, "Set max_payload to 1048576 in the configuration of nats-server.", **facts)
    return _ends(found, credentials, now) or ok(
        NAME, f"NATS accepts this process at {', '.join(one.address for one in found)}.", **facts
    )


def _ends(found: Sequence[ServerFacts], credentials: Credentials | None, now: datetime) -> Finding | None:
    """A warning about what expires soon."""
    end = None if credentials is None else credentials.expires_at
    if credentials is not None and end is not None and end - now < SOON:
        message = f"The credentials of {credentials.identity} expire at {end:%Y-%m-%d %H:%MZ}."
        return warning(NAME, message, "Issue new ones: kilonova host rotate, or kilonova bus credentials --rotate.")
    for one in found:
        if one.certificate_ends is not None and one.certificate_ends - now < SOON:
            message = f"The certificate of {one.address} expires at {one.certificate_ends:%Y-%m-%d %H:%MZ}."
            return warning(NAME, message, "Renew it: kilonova bus certificate.")
    return None
