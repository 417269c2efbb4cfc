# SPDX-License-Identifier: Apache-2.0
"""A row of RPC over NATS against a bare request of nats-py: the same server, TLS, credentials of the same kind, the
same event loop, and the same number of bytes.

Both ends are in one process, so that the rate is that of one CPU; the variants in CPU-us say what a request costs.  By
64 callers a bare request costs about 21 CPU-us of both ends, and a call of ours 33.  What each guarantee of a call
costs was measured by taking it away, in turns with the complete call:

    the time limit of the handler                       3.6
    validation of the request and the reply             3.2
    the head: method, version, time limit, request id   2.3
    a reply subject that cannot be guessed              1.5    (nats-py's own costs 1.3)
    rate and turns of the peer                          0.6

The rest are a task for each message, and the errors of calls.  nats-py spends more than the bus on two things: each
message passes a queue and a task of its subscription, and each is a TLS record.

oslo.messaging over RabbitMQ, with a threading server and 16 callers, carried 468 calls/s on a machine of this kind, its
client and its server in two processes, without TLS (342 in turns, 507 by 64 callers).
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg

from bench.figures import Figure, Series
from bench.run import Bench, Group
from bench.stats import ratio
from kilonova.base.clock import SystemClock
from kilonova.base.metrics import Metrics
from kilonova.objects.ids import ActionId, AttemptId, HostName
from kilonova.objects.leg import LegId
from kilonova.rpc import authority, credentials, wire
from kilonova.rpc.authority import Founding
from kilonova.rpc.bus import inbox_prefix
from kilonova.rpc.nats import NatsBus
from kilonova.rpc.nats_jwt import sign_nonce
from kilonova.rpc.transport_url import Access
from kilonova.rpcapi.caller import Caller, HostCaller
from kilonova.rpcapi.endpoint import Endpoint
from kilonova.rpcapi.guard import Guard, Limits
from kilonova.rpcapi.host_to_conductor import CONFIRM_ATTEMPT, ConfirmAttempt
from kilonova.rpcapi.method import Ack
from kilonova.rpcapi.permissions import Role, rights
from lab.cloud import free_port
from lab.common import VENV
from lab.fleet.process import FleetProcess

CLOCK = SystemClock()
CALLERS, SOME = 64, 16
BURST = 3200
"""Requests of one round of many callers."""
FREE = Limits(rate=1e9, burst=1e9, running=CALLERS, waiting=CALLERS)
"""The guard counts as for every host; its limits are those of many hosts, since one host sends all requests here."""
OURS, BUS, BARE = HostName("ours"), HostName("bus"), HostName("bare")
START_S = 20.0

Ask = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Nats:
    """A server with an authority; `files` of the credentials that were issued."""

    directory: Path
    url: str

    def access(self, role: Role, name: str) -> Access:
        """New credentials of a process."""
        file = self.directory / f"{role}-{name}.kilonova"
        with authority.opened(self.directory / "authority", CLOCK) as found:
            credentials.write(file, found.issue(credentials.identity(role, name), rights(role, name), None))
        return Access(credentials_file=str(file))


@contextmanager
def nats_server(directory: Path) -> Generator[Nats]:
    """A running nats-server with TLS and an authority of its own."""
    url, files = f"tls://127.0.0.1:{free_port()}", directory / "authority/server"
    authority.found(directory / "authority", Founding((url,), files, ("127.0.0.1",), timedelta(days=1)), CLOCK)
    server = FleetProcess("nats", [VENV / "bin/nats-server", "-c", files / "nats-server.conf"], directory / "nats.log")
    server.start()
    try:
        server.wait_until(lambda: server.has_printed("Server is ready"), START_S)
        yield Nats(directory, url)
    finally:
        server.kill()


@asynccontextmanager
async def row(nats: Nats) -> AsyncGenerator[Ask]:
    """A call of a row that reads nothing: its request is declared, decoded, checked, limited in time and in number."""
    endpoint = Endpoint(Guard(CLOCK, Metrics(), FREE))

    async def confirm(_request: ConfirmAttempt, _peer: str) -> Ack:
        return Ack()

    endpoint.on(CONFIRM_ATTEMPT, confirm)
    async with (
        NatsBus(nats.access(Role.CONDUCTOR, "one"), "conductor-one", CLOCK) as server,
        NatsBus(nats.access(Role.HOST, OURS), "host-ours", CLOCK) as client,
    ):
        await server.subscribe(CONFIRM_ATTEMPT.subject_of(OURS), endpoint.handle, queue="conductors")
        caller = HostCaller(Caller(client, CLOCK), OURS)
        request = _request()
        yield lambda: caller.call(CONFIRM_ATTEMPT, request)


def _request() -> ConfirmAttempt:
    return ConfirmAttempt(OURS, 1, LegId(ActionId(CLOCK.new_id()), 0), AttemptId(CLOCK.new_id()))


@asynccontextmanager
async def bus_alone(nats: Nats) -> AsyncGenerator[Ask]:
    """A request of the bus, with as many bytes: its reply subject cannot be guessed, and its time is limited."""
    payload, reply = _bytes()
    subject = CONFIRM_ATTEMPT.subject_of(BUS)

    async def respond(_subject: str, _payload: bytes) -> bytes:
        return reply

    async with (
        NatsBus(nats.access(Role.CONDUCTOR, "three"), "conductor-three", CLOCK) as server,
        NatsBus(nats.access(Role.HOST, BUS), "host-bus", CLOCK) as client,
    ):
        await server.subscribe(subject, respond, queue="conductors")
        yield lambda: client.request(subject, payload, 5.0)


def _bytes() -> tuple[bytes, bytes]:
    """A request and a reply as they are on the wire."""
    body = CONFIRM_ATTEMPT.request_form.dump_json(_request())
    payload = wire.encode_request(wire.Request(CONFIRM_ATTEMPT.name, 1, 5.0, body, ""))
    return payload, wire.encode_reply(CONFIRM_ATTEMPT.reply_form.dump_json(Ack()))


@asynccontextmanager
async def bare(nats: Nats) -> AsyncGenerator[Ask]:
    """nats-py's own request, answered by a callback, with as many bytes."""
    payload, reply = _bytes()
    subject = CONFIRM_ATTEMPT.subject_of(BARE)
    server, client = await _connect(nats, Role.CONDUCTOR, "two"), await _connect(nats, Role.HOST, BARE)

    async def respond(msg: Msg) -> None:
        await msg.respond(reply)

    try:
        await server.subscribe(subject, "conductors", cb=respond)
        await server.flush()
        yield lambda: client.request(subject, payload, timeout=5.0)
    finally:
        await client.close()
        await server.close()


async def _connect(nats: Nats, role: Role, name: str) -> Client:
    entry = nats.access(role, name).read()
    found = entry.credentials
    assert found is not None
    client = Client()
    await client.connect(
        nats.url,
        tls=entry.tls,
        user_jwt_cb=partial(bytearray, found.jwt.encode()),
        signature_cb=partial(sign_nonce, found.seed),
        inbox_prefix=inbox_prefix(found.identity).encode(),
        allow_reconnect=False,
    )
    return client


@dataclass(frozen=True, slots=True)
class Rates:
    """Of one kind of request by many callers, each round: requests per second, and CPU-us of both ends per request."""

    per_s: list[float] = field(default_factory=list[float])
    cpu_us: list[float] = field(default_factory=list[float])

    async def add(self, ask: Ask, callers: int) -> None:
        """One round."""
        todo = iter(range(BURST))

        async def one() -> None:
            for _ in todo:
                await ask()

        begun, cpu = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(callers):
                tasks.create_task(one())
        self.per_s.append(BURST / (time.perf_counter() - begun))
        self.cpu_us.append((time.process_time() - cpu) * 1e6 / BURST)


@dataclass(frozen=True, slots=True)
class Times:
    """Durations in ms of requests in turns, and rates of CALLERS callers and of SOME."""

    ours: list[float] = field(default_factory=list[float])
    bare: list[float] = field(default_factory=list[float])
    our_rate: Rates = field(default_factory=Rates)
    bus_rate: Rates = field(default_factory=Rates)
    bare_rate: Rates = field(default_factory=Rates)
    our_some: Rates = field(default_factory=Rates)
    bare_some: Rates = field(default_factory=Rates)


async def _timed(ask: Ask) -> float:
    begun = time.perf_counter()
    await ask()
    return (time.perf_counter() - begun) * 1000


async def _measured(nats: Nats, n: int, rounds: int) -> Times:
    times = Times()
    async with row(nats) as ours, bus_alone(nats) as bus, bare(nats) as plain:
        for _ in range(200):
            await ours()
            await bus()
            await plain()
        for _ in range(n):
            times.ours.append(await _timed(ours))
            times.bare.append(await _timed(plain))
        for _ in range(rounds):
            await times.our_rate.add(ours, CALLERS)
            await times.bare_rate.add(plain, CALLERS)
            await times.bus_rate.add(bus, CALLERS)
            await times.our_some.add(ours, SOME)
            await times.bare_some.add(plain, SOME)
    return times


def _measure(bench: Bench) -> Iterator[Figure]:
    directory = bench.directory()
    with nats_server(directory) as nats:
        times = uvloop.run(_measured(nats, bench.n(3000, 500), bench.n(7, 3)))
    turns = "one call of confirm_attempt by a host's credentials over TLS, in turns with the control"
    yield Figure(
        "rpc_over_nats",
        [our / plain for our, plain in zip(times.ours, times.bare, strict=True)],
        f"{turns}; the ratio of the medians",
        Series("p50 of nats-py's request and a callback, with the same bytes", times.bare, "ms"),
        {"ours": Series("p50 of our call", times.ours, "ms")},
        ratio(times.ours, times.bare),
    )
    ours, plain = times.our_rate, times.bare_rate
    yield Figure(
        "rpc_rate_over_nats",
        [our / control for our, control in zip(ours.per_s, plain.per_s, strict=True)],
        f"{CALLERS} callers in one process, {BURST} requests a round, in turns with the control; the ratio of medians",
        Series("nats-py's request by as many callers", plain.per_s, "requests/s"),
        {
            "ours": Series("our calls", ours.per_s, "requests/s"),
            "cpu_bare": Series("CPU of both ends for nats-py's request", plain.cpu_us, "CPU-us"),
            "cpu_bus": Series("the same for a request of the bus alone", times.bus_rate.cpu_us, "CPU-us"),
            "cpu_ours": Series("the same for our call", ours.cpu_us, "CPU-us"),
        },
        ratio(ours.per_s, plain.per_s),
    )
    yield Figure(
        "rpc_rate_16_callers",
        times.our_some.per_s,
        f"our calls by {SOME} callers, both ends in one process, over TLS. oslo.messaging over RabbitMQ, its ends in"
        " two processes and without TLS, carried 468 calls/s on a machine of this kind, in another run",
        Series("nats-py's request by as many callers", times.bare_some.per_s, "requests/s"),
    )


GROUP = Group(("rpc_over_nats", "rpc_rate_over_nats", "rpc_rate_16_callers"), _measure)
