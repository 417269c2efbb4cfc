# SPDX-License-Identifier: Apache-2.0
"""The check of consoles in a fleet: the listener of this host, or the way from an API process to the listener of each
host."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from kilonova.api.consoles.hosts import reach
from kilonova.base.clock import SystemClock
from kilonova.base.errors import ConfigError, KilonovaError, NotInThisVersion
from kilonova.base.tls import unverified_context
from kilonova.doctor.bus import SOON
from kilonova.doctor.finding import Finding, error, note, ok, warning
from kilonova.doctor.fleet import CONDUCTOR, over_the_bus
from kilonova.doctor.process import holders
from kilonova.doctor.service import ANSWER_S, WILD, refused_to_listen
from kilonova.doctor.subject import Subject
from kilonova.objects.fleet import ProcessState
from kilonova.objects.ids import HostName
from kilonova.rpc import certificates
from kilonova.rpc.transport_url import access_of, own_address
from kilonova.rpcapi.api_to_conductor_fleet import READ_HOSTS, ReadHosts
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.console_wire import SERVER_NAME
from kilonova.rpcapi.permissions import Role
from kilonova.rpcapi.to_host import FIND_CONSOLES, FindConsoles

NAME = "console-port"
AT_ONCE = 64
"""Hosts that are checked at the same time."""
ALL_S = 5.0
"""The time limit for all hosts together."""


def console_port(subject: Subject) -> Finding:
    """Check that this host can serve consoles; on the machine of an API process, that all hosts are reached."""
    if not subject.settings.default.in_fleet:
        return ok(NAME, "The one box listens nowhere for consoles.")
    if subject.runs_guests:
        return _of_host(subject)
    try:
        role = _role(subject)
        reached = over_the_bus(subject, _reach_all) if role == Role.API else None
    except KilonovaError:
        return note(NAME, f"Not checked: see {CONDUCTOR}.")
    return ok(NAME, "Only hosts and API processes use consoles.") if reached is None else judge_reached(reached)


def _role(subject: Subject) -> str:
    """The role that the credentials of the bus name.  Raises ConfigError."""
    found = access_of(subject.settings.default).read().credentials
    return "" if found is None else found.identity.partition("-")[0]


# -- on a host ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Port:
    """What is at the address for consoles.  `pid`: the process of the host, None when it does not run or is unknown.
    `taken`: a program listens there.  `certificate`: in PEM; empty for a program without TLS.  `refusal`: why nobody
    can listen there.  `announced`: the address that API processes receive."""

    where: str
    pid: int | None = None
    taken: bool = False
    certificate: str = ""
    refusal: str = ""
    announced: str = ""


def _of_host(subject: Subject) -> Finding:
    address, port = subject.settings.console.listen
    if port == 0:
        return ok(NAME, "The host listens on any free port for consoles.")
    pid = next((one.pid for one in holders(subject.places.proc, subject.state, "compute.lock") or ()), None)
    taken, certificate = _at(WILD.get(address, address), port)
    refusal = "" if taken else refused_to_listen(address, port)
    found = Port(f"{address}:{port}", pid, taken, certificate, refusal, _announced(subject))
    return judge_port(found, SystemClock().now())


def _at(address: str, port: int) -> tuple[bool, str]:
    """Whether a program listens there, and its certificate."""
    try:
        link = socket.create_connection((address, port), ANSWER_S)
    except OSError:
        return False, ""
    try:
        with link, unverified_context().wrap_socket(link) as secured:
            found = secured.getpeercert(binary_form=True)
    except OSError:  # it does not speak TLS, or does not answer
        found = None
    return True, "" if found is None else ssl.DER_cert_to_PEM_cert(found)


def _announced(subject: Subject) -> str:
    try:
        return subject.settings.console.address or own_address(access_of(subject.settings.default))
    except ConfigError:  # (see message-bus)
        return ""


def judge_port(found: Port, now: datetime) -> Finding:
    """See `console_port`."""
    facts = {"listen": found.where, "pid": found.pid, "address": found.announced}
    port = found.where.rpartition(":")[2]
    if found.refusal:
        message = f"{found.where} cannot be listened on for consoles: {found.refusal}."
        return error(NAME, message, "Set [console] listen to an address of this host.", **facts)
    if found.taken and not _is_ours(found.certificate):
        cure = f"Stop it (ss -ltnp 'sport = :{port}' shows it), or set [console] listen; then restart the service."
        return error(NAME, f"Another program has {found.where}: this host serves no consoles.", cure, **facts)
    if not found.taken and found.pid is not None:
        message = f"kilonova-compute (process {found.pid}) serves no consoles: it does not listen on {found.where}."
        cure = "Restart it, unless it has just started: another program had the port when it started."
        return error(NAME, message, cure, **facts)
    if not found.taken:
        return ok(NAME, f"{found.where} is free for consoles.", **facts)
    return _judge_served(found, now, facts)


def _is_ours(certificate: str) -> bool:
    with contextlib.suppress(ValueError):
        return certificates.is_for(certificate, SERVER_NAME)
    return False


def _judge_served(found: Port, now: datetime, facts: dict[str, Any]) -> Finding:
    end = certificates.expiry_of(found.certificate)
    if end - now < SOON:
        message = f"The certificate of the console listener expires at {end:%Y-%m-%d %H:%MZ}."
        return warning(NAME, message, "Restart the service: each process makes a new certificate.", **facts)
    if found.announced and ip_address(found.announced).is_loopback:
        message = f"Only API processes on this machine reach its consoles: their address is {found.announced}."
        return note(NAME, message, "Set [console] address to an address of this host.", **facts)
    return ok(NAME, f"Consoles are served on {found.where}.", **facts)


# -- from an API process ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Reached:
    """`reasons`: why the listener of a host was not reached, by the name of the host.  `late`: hosts without a result
    within the time limit."""

    hosts: set[HostName] = field(default_factory=set[HostName])
    reasons: dict[HostName, str] = field(default_factory=dict[HostName, str])
    late: set[HostName] = field(default_factory=set[HostName])


async def _reach_all(caller: Caller, _as_host: bool) -> Reached:
    hosts, slots = await _hosts_up(caller), asyncio.Semaphore(AT_ONCE)
    found = Reached(late=set(hosts))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ALL_S), asyncio.TaskGroup() as group:
            for host in hosts:
                group.create_task(_reach(caller, host, found, slots))
    return found


async def _hosts_up(caller: Caller) -> Sequence[HostName]:
    page = await caller.call(READ_HOSTS, ReadHosts())
    found = list(page.hosts)
    while page.more:
        page = await caller.call(READ_HOSTS, ReadHosts(found[-1].process.host))
        found += page.hosts
    return [one.process.host for one in found if one.process.state in (ProcessState.UP, ProcessState.DISABLED)]


async def _reach(caller: Caller, host: HostName, found: Reached, slots: asyncio.Semaphore) -> None:
    async with slots:
        try:
            await reach(host, await caller.call(FIND_CONSOLES, FindConsoles(), host))
            found.hosts.add(host)
        except NotInThisVersion:
            pass  # an older host is not checked
        except KilonovaError as exc:
            found.reasons[host] = exc.message
        found.late.discard(host)


def judge_reached(found: Reached) -> Finding:
    """See `console_port`."""
    facts = {"reached": sorted(found.hosts), "reasons": found.reasons, "late": sorted(found.late)}
    if found.reasons:
        host, reason = min(found.reasons.items())
        more = f" {len(found.reasons) - 1} other hosts are not reached either." if len(found.reasons) > 1 else ""
        cure = f"Run kilonova doctor on {host}; open the port of [console] listen there for API processes."
        return error(NAME, f"{reason}{more}", cure, **facts)
    if found.late:
        message = f"{len(found.late)} hosts did not answer within {ALL_S:g} s, {min(found.late)} among them."
        return warning(NAME, message, f"Run kilonova doctor on {min(found.late)}.", **facts)
    return ok(NAME, f"The console listeners of {len(found.hosts)} hosts are reached.", **facts)
