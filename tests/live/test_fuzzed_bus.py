# SPDX-License-Identifier: Apache-2.0
"""Malformed and oversized messages on every subject of a real bus, with the credentials of each role: each request gets
a reply, no process ends or grows without a limit, and the fleet works on."""

import asyncio
import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from kilonova.base.errors import KilonovaError
from kilonova.objects.ids import HostName
from kilonova.rpc import wire
from kilonova.rpc.nats import NatsBus
from kilonova.rpcapi import (
    api_to_conductor,
    api_to_conductor_admin,
    api_to_conductor_fleet,
    api_to_conductor_identity,
    api_to_conductor_images,
    host_to_conductor,
    to_host,
    to_host_verify,
    verify,
)
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.method import Method
from kilonova.rpcapi.permissions import Role
from kilonova.rpcapi.to_host import EXAMINE, HOST_UPTIME, HostUptime
from tests.contract.trust import CLOCK
from tests.live.test_processes import create
from tests.live.trusted_fleet import TrustedFleet, trusted_fleet

pytestmark = pytest.mark.live

EVIL = HostName("evil")
GROWTH_KIB = 200 * 1024
TEXT = "x" * 500_000
DEEP = "[" * 100_000
VALUES = (
    None,
    True,
    -1,
    1 << 200,
    float("nan"),
    float("inf"),
    "",
    "\0",
    "\ud800",
    TEXT,
    [],
    [None],
    {},
    {"a": [{}]},
    [TEXT],
)
"""For each field of a request."""
BODIES = (
    b"",
    b"null",
    b"[]",
    b"3",
    b"{}",
    b'{"host": ',
    b"\xff\xfe\x00",
    DEEP.encode(),
    b'{"a":' * 50_000,
    b" " * 900_000,
)
MESSAGES = (
    b"",
    b"\n",
    b"\xff" * 5000,
    b"{}\n{}",
    b"[]\n",
    DEEP.encode(),
    b'{"method": "fetch", "version": NaN, "timeout_s": 1}\n{}',
    b'{"method": "fetch", "version": 1, "timeout_s": 1e999}\n{}',
    b'{"method": 5, "version": 1, "timeout_s": 1}\n{}',
    b'{"method": "no_such", "version": 1, "timeout_s": 1}\n{}',
    b'{"method": "fetch", "version": 1000000, "timeout_s": 1}\n{}',
    b'{"method": "fetch", "version": 1, "timeout_s": 1, "request_id": "a\\nb"}\n',
)
"""Whole messages."""
REPLIES = (
    b"",
    b"?",
    b"+",
    b"+null",
    b"+NaN",
    b"+" + DEEP.encode(),
    b"+\xff",
    b"+{}",
    b"-",
    b"-{}",
    b"-" + DEEP.encode(),
    b'-{"code": "not-found", "message": 5}',
    b'-{"code": "x", "message": "y", "details": {"self": 1, "message": 2}}',
    b"+" + b" " * 900_000,
    b"+" + b"x" * (2 << 20),
)

OF_API = (api_to_conductor, api_to_conductor_fleet, api_to_conductor_identity, api_to_conductor_images)
ROLES: tuple[tuple[Role, str, str, tuple[ModuleType, ...]], ...] = (
    (Role.HOST, EVIL, EVIL, (host_to_conductor,)),
    (Role.API, "a1", "", OF_API),
    (Role.OPERATOR, "o1", "", (api_to_conductor_admin, verify)),
    (Role.CONDUCTOR, "c2", "box1", (to_host, to_host_verify)),
)


@pytest.fixture
def fleet() -> Iterator[TrustedFleet]:
    with trusted_fleet() as made:
        made.conductor.start().ready()
        made.compute.start().ready()
        yield made


def methods(modules: Iterable[ModuleType]) -> list[Method[object, object]]:
    """All but EXAMINE: its request has no fields, and each takes the doctor's seconds."""
    found = (value for module in modules for value in vars(module).values() if isinstance(value, Method))
    return [method for method in {method.name: method for method in found}.values() if method is not EXAMINE]


def requests(method: Method[object, object], peer: str) -> Iterator[bytes]:
    names = [field.name for field in dataclasses.fields(method.request)]  # type: ignore[arg-type]
    filled = (
        json.dumps({name: peer if name == "host" and peer == EVIL else value for name in names}).encode()
        for value in VALUES
    )
    for body in itertools.chain(BODIES, filled):
        yield wire.encode_request(wire.Request(method.name, 1, 2.0, body))


def memory_kib(pid: int) -> int:
    (line,) = (one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1])


async def send(bus: NatsBus, subject: str, messages: Iterable[bytes]) -> Counter[str]:
    """Send each, and count the replies by the code of their error."""
    found: Counter[str] = Counter()
    for message in messages:
        try:
            wire.decode_reply(await bus.request(subject, message, 10))
            found["accepted"] += 1
        except KilonovaError as exc:
            found[exc.code] += 1
    return found


def test_every_method_with_every_kind_of_nonsense(fleet: TrustedFleet) -> None:
    before = {service: memory_kib(service.pid) for service in (fleet.conductor, fleet.compute)}

    async def test() -> Counter[str]:
        found: Counter[str] = Counter()
        for role, name, peer, modules in ROLES:
            async with fleet.bench.bus(role, name) as bus:
                for method in methods(modules):
                    subject = method.subject_of(peer if "*" in method.subject else "")
                    if subject.startswith("heartbeat."):
                        for message in (*MESSAGES, *requests(method, peer)):
                            await bus.publish(subject, message)
                        continue
                    found += await send(bus, subject, requests(method, peer))
                found += await send(bus, subject, MESSAGES)
        return found

    found = asyncio.run(test())
    assert found["invalid-input"] > 500
    assert found["rpc-timeout"] == 0, found
    for service, kib in before.items():
        assert service.process is not None
        assert service.process.poll() is None
        assert memory_kib(service.pid) < kib + GROWTH_KIB
        assert "Traceback" not in service.said(), service.said()[-4000:]
        assert max(map(len, service.said().splitlines())) < 4000
    assert fleet.refused("malformed") > 100
    fleet.wait_state(create(fleet).id, "active")


def test_a_host_whose_replies_are_nonsense(fleet: TrustedFleet) -> None:
    async def test() -> None:
        replies = iter(REPLIES)

        async def lie(_subject: str, _payload: bytes) -> bytes:
            return next(replies, b"+{}")

        async with fleet.bench.bus(Role.HOST, EVIL) as evil, fleet.bench.bus(Role.API, "a1") as api:
            await evil.subscribe(f"compute.{EVIL}", lie)
            for _ in REPLIES:
                with pytest.raises(KilonovaError):
                    await Caller(api, CLOCK).call(HOST_UPTIME, HostUptime(), EVIL)
            assert evil.connected

    asyncio.run(test())
    fleet.wait_state(create(fleet).id, "active")
