# SPDX-License-Identifier: Apache-2.0
"""A row of RPC over NATS against a bare request of nats-py: the same server, TLS, credentials of the same kind, the
same event loop, and the same number of bytes."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg

from bench.figures import Figure, Series
from bench.run import Bench, Group
from bench.stats import median, ratio
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
CALLERS = 64
BURST = 3200
"""Requests of one round of many callers."""
FREE = Limits(rate=1e9, burst=1e9, running=CALLERS, waiting=CALLERS)
"""The guard counts as for every host; its limits are those of many hosts, since one host sends all requests here."""
OURS, BARE = HostName("ours"), HostName("bare")
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
async def bare(nats: Nats) -> AsyncGenerator[Ask]:
    """nats-py's own request, answered by a callback, with as many bytes."""
    body = CONFIRM_ATTEMPT.request_form.dump_json(_request())
    payload = wire.encode_request(wire.Request(CONFIRM_ATTEMPT.name, 1, 5.0, body, ""))
    reply = wire.encode_reply(CONFIRM_ATTEMPT.reply_form.dump_json(Ack()))
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
class Times:
    """Durations in ms of requests in turns, and requests per second of CALLERS callers."""

    ours: list[float]
    bare: list[float]
    ours_rate: list[float]
    bare_rate: list[float]


async def _timed(ask: Ask) -> float:
    begun = time.perf_counter()
    await ask()
    return (time.perf_counter() - begun) * 1000


async def _rate(ask: Ask) -> float:
    todo = iter(range(BURST))

    async def one() -> None:
        for _ in todo:
            await ask()

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CALLERS):
            tasks.create_task(one())
    return BURST / (time.perf_counter() - begun)


async def _measured(nats: Nats, n: int, rounds: int) -> Times:
    times = Times([], [], [], [])
    async with row(nats) as ours, bare(nats) as plain:
        for _ in range(200):
            await ours()
            await plain()
        for _ in range(n):
            times.ours.append(await _timed(ours))
            times.bare.append(await _timed(plain))
        for _ in range(rounds):
            times.ours_rate.append(await _rate(ours))
            times.bare_rate.append(await _rate(plain))
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
    yield Figure(
        "rpc_rate_over_nats",
        [our / plain for our, plain in zip(times.ours_rate, times.bare_rate, strict=True)],
        f"{CALLERS} callers in one process, {BURST} requests a round, in turns with the control; the ratio of medians",
        Series("nats-py's request by as many callers", times.bare_rate, "requests/s"),
        {"ours": Series("our calls", times.ours_rate, "requests/s")},
        median(times.ours_rate) / median(times.bare_rate),
    )


GROUP = Group(("rpc_over_nats", "rpc_rate_over_nats"), _measure)
