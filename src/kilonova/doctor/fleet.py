# SPDX-License-Identifier: Apache-2.0
"""Checks of a process of a fleet from its machine: the way to a conductor, the clocks, the name, the networks."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from kilonova.base.clock import Clock, SystemClock
from kilonova.base.errors import ConfigError, KilonovaError
from kilonova.doctor.finding import Finding, error, note, ok, warning
from kilonova.doctor.subject import Subject
from kilonova.objects.ids import HostName
from kilonova.rpc.credentials import identity
from kilonova.rpc.transport_url import access_of
from kilonova.rpcapi.api_to_conductor_admin import CHECK_CONDUCTOR, CheckConductor
from kilonova.rpcapi.api_to_conductor_fleet import READ_FLEET, ReadFleet
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.host_to_conductor import PING, Ping
from kilonova.rpcapi.permissions import Role

CONDUCTOR, HOSTS = "conductor", "fleet-hosts"
LOOKS = 3
"""The answer that came fastest shows the difference of the clocks best."""
CLOCK_S, MINUTES_S = 5.0, 60.0
"""Differences of clocks above these are a warning, and an error."""
SLOW_S = 1.0


@dataclass(frozen=True, slots=True)
class Answered:
    """A conductor's answer.  `ahead_s`: how far its clock is before the clock of this machine; None: not reported.
    `trouble`: what it reports."""

    took_s: float
    ahead_s: float | None
    trouble: str = ""


def conductor(subject: Subject) -> Finding:
    """Check that a conductor answers this process, how fast, and by which clock."""
    if not subject.settings.default.in_fleet:
        return ok(CONDUCTOR, "The one box has its conductor in the process.")
    try:
        return judge_conductor(_ask(subject))
    except ConfigError as exc:
        return error(CONDUCTOR, exc.message, "See message-bus.")
    except KilonovaError as exc:
        cure = "Start kilonova-conductor, and see its log; message-bus shows whether NATS accepts this process."
        return error(CONDUCTOR, f"No conductor answers: {exc.message.rstrip('.')}.", cure)


T = TypeVar("T")


def over_the_bus(subject: Subject, call: Callable[[Caller, bool], Awaitable[T]]) -> T:
    """The result of `call`, which receives whether this process is a host.  Raises KilonovaError."""
    from kilonova.rpc.nats import NatsBus  # late: the one box never imports nats

    own, clock = identity(Role.HOST, subject.settings.default.host), SystemClock()

    async def run() -> T | KilonovaError:
        async with NatsBus(access_of(subject.settings.default), own, clock, drain_s=0.5) as bus:
            try:
                return await call(Caller(bus, clock), bus.identity == own)
            except KilonovaError as exc:  # (the tasks of the bus would put it into a group)
                return exc

    found = asyncio.run(run())
    if isinstance(found, KilonovaError):
        raise found
    return found


def _ask(subject: Subject) -> Answered:
    host = HostName(subject.settings.default.host)

    async def call(caller: Caller, as_host: bool) -> Answered:
        answers = [await _once(caller, host if as_host else None, SystemClock()) for _ in range(LOOKS)]
        return min(answers, key=lambda one: one.took_s)

    return over_the_bus(subject, call)


async def _once(caller: Caller, host: HostName | None, clock: Clock) -> Answered:
    began, sent_at = clock.monotonic(), clock.now()
    now: datetime | None
    if host is not None:
        pong = await caller.call(PING, Ping(host), host)
        now, trouble = pong.now, pong.trouble
    else:
        state = await caller.call(CHECK_CONDUCTOR, CheckConductor())
        now, trouble = state.now, state.trouble
    took_s = clock.monotonic() - began
    middle = sent_at + timedelta(seconds=took_s / 2)
    return Answered(took_s, None if now is None else (now - middle).total_seconds(), trouble)


def judge_conductor(found: Answered) -> Finding:
    """See `conductor`."""
    ahead = found.ahead_s
    facts = {"round_trip_ms": round(found.took_s * 1000, 1), "ahead_s": None if ahead is None else round(ahead, 3)}
    if found.trouble:
        return error(CONDUCTOR, f"A conductor answers: {found.trouble}", "Do what it says.", **facts)
    if ahead is not None and abs(ahead) > CLOCK_S:
        where = "behind" if ahead > 0 else "ahead of"
        message = f"The clock of this machine is {abs(ahead):.0f} s {where} the conductor's."
        level = error if abs(ahead) > MINUTES_S else warning
        return level(CONDUCTOR, message, "Let NTP set both clocks: timedatectl set-ntp true.", **facts)
    said = f"A conductor answers within {found.took_s * 1000:.0f} ms"
    if found.took_s > SLOW_S:
        cure = "Look at the load of the conductors and of the database, and at the network."
        return warning(CONDUCTOR, f"{said}, which is slow.", cure, **facts)
    clocks = "" if ahead is None else f"; the clocks differ by {abs(ahead):.1f} s"
    return ok(CONDUCTOR, f"{said}{clocks}.", **facts)


def fleet_hosts(subject: Subject) -> Finding:
    """Check that no two machines claim one host name, and that the networks of all hosts agree.  Only a conductor, an
    API process and an operator may read that."""
    if not subject.settings.default.in_fleet:
        return ok(HOSTS, "There is one host.")
    try:
        problems = over_the_bus(subject, _problems)
    except KilonovaError:
        return note(HOSTS, f"Not checked: see {CONDUCTOR}.")
    if problems is None:
        return note(HOSTS, "Not checked: a host does not see the other hosts; run `kilonova fleet status`.")
    if not problems:
        return ok(HOSTS, "No two processes claim one host name, and the networks of all hosts agree.")
    more = f" ({len(problems) - 1} more: `kilonova fleet status`)" if len(problems) > 1 else ""
    return error(HOSTS, problems[0], f"Do what it says{more}.", problems=problems)


async def _problems(caller: Caller, as_host: bool) -> list[str] | None:
    return None if as_host else list((await caller.call(READ_FLEET, ReadFleet())).problems)
