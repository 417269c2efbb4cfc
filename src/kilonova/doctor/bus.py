# SPDX-License-Identifier: Apache-2.0
"""Checks of the bus of a fleet: each NATS server, its certificate, our credentials, and the way to a conductor."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from kilonova import CODE_VERSION
from kilonova.base.clock import SystemClock
from kilonova.base.errors import ConfigError, KilonovaError
from kilonova.doctor.finding import Finding, error, note, ok, warning
from kilonova.doctor.subject import Subject
from kilonova.objects.ids import HostName
from kilonova.rpc import nats_jwt, wire
from kilonova.rpc.bus import SMALL_PAYLOAD, inbox_prefix
from kilonova.rpc.credentials import Credentials, identity
from kilonova.rpc.transport_url import Access, Entry, access_of, leads_beyond
from kilonova.rpcapi.host_to_conductor import PING, Ping
from kilonova.rpcapi.permissions import Role, rights

if TYPE_CHECKING:
    from kilonova.rpc.nats_connection import Connection
    from kilonova.rpc.servers import ServerFacts

NAME, CREDENTIALS = "message-bus", "bus-credentials"
SOON = timedelta(days=14)
ANSWER_S = 1.5


def message_bus(subject: Subject) -> Finding:
    """Check that the NATS servers of a fleet accept this process, and that a conductor answers a host."""
    defaults = subject.settings.default
    access = access_of(defaults)
    if not defaults.in_fleet:
        return ok(NAME, "No transport_url: the one box has its bus in the process.")
    try:
        entry = access.read()
    except ConfigError as exc:
        cure = "Set transport_credentials to a file from `kilonova host enroll`, or transport_url to nats://host:port."
        return error(NAME, str(exc), cure)
    found = asyncio.run(_look(access, defaults.host))
    return judge_bus(found, entry.credentials, SystemClock().now())


async def _look(access: Access, host: str) -> "list[ServerFacts]":
    from kilonova.rpc.servers import look  # late: the one box never imports nats

    return await look(access, identity(Role.HOST, host), SystemClock(), partial(_conductor, host))


async def _conductor(host: str, connection: "Connection", entry: Entry) -> str:
    """Why no conductor answers the host over this connection; empty when one does, and for credentials that are not
    the host's."""
    found = entry.credentials
    own = identity(Role.HOST, host)
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


def judge_bus(found: "Sequence[ServerFacts]", credentials: Credentials | None, now: datetime) -> Finding:
    """See `message_bus`."""
    listed = "; ".join(f"{one.address}: {one.reason}" for one in found if one.reason)
    facts = {
        "servers": [one.address for one in found],
        "dead": {one.address: one.reason for one in found if not one.connected},
        "identity": None if credentials is None else credentials.identity,
        "versions": {one.address: one.version for one in found if one.connected},
        "clusters": {one.address: one.cluster for one in found if one.connected},
        "round_trip_ms": {one.address: round(1000 * one.round_trip_s, 1) for one in found if one.connected},
    }
    cure = "Start nats-server there, or correct transport_url or transport_credentials; a firewall may be between."
    if not any(one.connected for one in found):
        return error(NAME, f"No NATS server accepts this process ({listed}).", cure, **facts)
    if any(one.connected and one.reason for one in found):
        return error(NAME, f"NATS is there, but {listed}.", "Start kilonova-conductor, and see its log.", **facts)
    if listed:
        return warning(NAME, f"Not every NATS server accepts this process ({listed}).", cure, **facts)
    return _limits(found, now, facts) or ok(
        NAME, f"NATS accepts this process at {', '.join(map(_named, found))}.", **facts
    )


def _named(one: "ServerFacts") -> str:
    cluster = f", cluster {one.cluster}" if one.cluster else ""
    return f"{one.address} (nats-server {one.version}{cluster}, {1000 * one.round_trip_s:.0f} ms)"


def _limits(found: "Sequence[ServerFacts]", now: datetime, facts: dict[str, Any]) -> Finding | None:
    """A warning about servers that all accept this process."""
    small = [one for one in found if one.max_payload < SMALL_PAYLOAD]
    if small:
        message = f"max_payload of {small[0].address} is {small[0].max_payload} bytes: larger servers cannot be built."
        return warning(NAME, message, "Set max_payload to 1048576 in the configuration of nats-server.", **facts)
    if len({one.cluster for one in found}) > 1 or (len(found) > 1 and not found[0].cluster):
        message = "The NATS servers are not one cluster: processes at different servers do not reach each other."
        return warning(NAME, message, "Give all of them the same cluster name, and routes to each other.", **facts)
    for one in found:
        if one.certificate_ends is not None and one.certificate_ends - now < SOON:
            message = f"The certificate of {one.address} expires at {one.certificate_ends:%Y-%m-%d %H:%MZ}."
            return warning(NAME, message, "Renew it: kilonova bus certificate.", **facts)
    return None


def bus_credentials(subject: Subject) -> Finding:
    """Check that the credentials of the bus do not expire soon, and permit what this version of the code sends."""
    defaults = subject.settings.default
    if not defaults.in_fleet:
        return ok(CREDENTIALS, "The one box needs no credentials.")
    try:
        entry = access_of(defaults).read()
    except ConfigError:
        return note(CREDENTIALS, f"Not checked: see {NAME}.")
    if entry.credentials is None:
        cure = "Make an authority and credentials for each process: kilonova bus init (docs/bus.md)."
        message = "All processes share one user of the bus, or need none: a stolen host can act as any other process."
        return (warning if leads_beyond(entry.servers) else note)(CREDENTIALS, message, cure)
    return judge_credentials(entry.credentials, SystemClock().now())


def judge_credentials(found: Credentials, now: datetime) -> Finding:
    """See `bus_credentials`."""
    cure = "Issue new ones: kilonova host rotate, or kilonova bus credentials --rotate."
    end, facts = found.expires_at, {"identity": found.identity}
    if end is not None and end <= now:
        message = f"The credentials of {found.identity} expired at {end:%Y-%m-%d %H:%MZ}."
        return error(CREDENTIALS, message, cure, **facts)
    missing = _missing(found)
    if missing:
        message = f"The credentials of {found.identity} are older than this version and do not permit {missing[0]}."
        return error(CREDENTIALS, message, cure, missing=missing, **facts)
    if end is not None and end - now < SOON:
        message = f"The credentials of {found.identity} expire at {end:%Y-%m-%d %H:%MZ}."
        return warning(CREDENTIALS, message, cure, **facts)
    until = "never expire" if end is None else f"expire at {end:%Y-%m-%d %H:%MZ}"
    return ok(CREDENTIALS, f"The credentials of {found.identity} {until}.", **facts)


def _missing(found: Credentials) -> list[str]:
    """The subjects that a process of this role uses and that its credentials do not name."""
    role, _, name = found.identity.partition("-")
    if role not in tuple(Role):
        return []
    wanted, claims = rights(Role(role), name), nats_jwt.claims_of(found.jwt)["nats"]
    lists = ((wanted.publish, claims.get("pub") or {}), (wanted.subscribe, claims.get("sub") or {}))
    return [one for subjects, given in lists for one in subjects if given and one not in given.get("allow", ())]
