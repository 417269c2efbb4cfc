# SPDX-License-Identifier: Apache-2.0
"""A stolen host in a fleet of real processes: what it says of others is refused, what it sends too much delays nobody,
and a revocation ends it."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from kilonova.base.errors import Forbidden, KilonovaError, NotFound, StaleWrite
from kilonova.config.load import load
from kilonova.doctor.bus import bus_credentials, message_bus
from kilonova.doctor.finding import Finding, Level
from kilonova.doctor.subject import subject_of
from kilonova.objects.ids import ActionId, AttemptId, HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.leg import LegId
from kilonova.objects.states import PowerState, Verb
from kilonova.rpcapi import host_to_conductor as host
from kilonova.rpcapi import host_to_conductor_images as host_images
from kilonova.rpcapi.api_to_conductor import CREATE_SERVERS, CreateServers
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.permissions import Role
from kilonova.rpcapi.work import Fetch
from tests.contract.trust import CLOCK
from tests.live.box import wait_for
from tests.live.fleet import context
from tests.live.test_processes import act, create
from tests.live.trusted_fleet import TrustedFleet, trusted_fleet

pytestmark = pytest.mark.live

EVIL, BOX = HostName("evil"), HostName("box1")


@pytest.fixture
def fleet() -> Iterator[TrustedFleet]:
    with trusted_fleet() as made:
        made.conductor.start().ready()
        yield made


def registration(name: HostName, node_id: str) -> host.RegisterHost:
    return host.RegisterHost(name, CLOCK.new_id(), node_id, "boot", "kilonova-compute", "compute", 1, "nova")


def test_what_a_host_says_of_others_is_refused_and_counted(fleet: TrustedFleet) -> None:
    fleet.compute.start().ready()
    secret = "c2VjcmV0IG9mIGJveDE="

    async def make() -> Instance:
        async with fleet.api() as api:
            made = fleet.instance(await fleet.image(), user_data=secret)
            await api.call(CREATE_SERVERS, CreateServers(context(), (made,)))
            return made

    victim = asyncio.run(make())
    fleet.wait_state(victim.id, "active")
    leg = LegId(ActionId(_action_of(fleet, victim)), 0)

    async def test() -> None:
        node_id = CLOCK.new_id()
        async with fleet.bench.bus(Role.HOST, EVIL) as bus:
            caller = Caller(bus, CLOCK)

            registered = await caller.call(host.REGISTER_HOST, registration(EVIL, node_id), EVIL)
            epoch, attempt = registered.epoch, AttemptId("stolen")
            finish = host.Finish(EVIL, leg, attempt, True, PowerState.SHUTDOWN)
            about_another = {
                "heartbeat of another": (host.PING, host.Ping(BOX), Forbidden),
                "fetch of another": (host.FETCH, Fetch(BOX, 1, attempt, ()), Forbidden),
                "finish as another": (host.FINISH, replace(finish, host=BOX), Forbidden),
                "finish another's action": (host.FINISH, finish, StaleWrite),
                "events": (host.RECORD_EVENTS, host.RecordEvents(EVIL, leg, attempt, ()), StaleWrite),
                "image": (host_images.BEGIN_IMAGE, host_images.BeginImage(EVIL, leg, attempt), StaleWrite),
                "image done": (
                    host_images.COMPLETE_IMAGE,
                    host_images.CompleteImage(EVIL, leg, attempt, 1, 1, "", ""),
                    StaleWrite,
                ),
                "drop images": (host_images.DROP_IMAGES, host_images.DropImages(EVIL, leg, attempt), StaleWrite),
                "confirm": (host.CONFIRM_ATTEMPT, host.ConfirmAttempt(EVIL, epoch, leg, attempt), StaleWrite),
                "no action": (host.FINISH, replace(finish, leg=LegId(ActionId("none"), 0)), NotFound),
            }
            found: dict[str, type[KilonovaError]] = {}
            for what, (method, request, _) in about_another.items():
                try:
                    await caller.call(method, request, EVIL)  # pyright: ignore[reportArgumentType]
                except KilonovaError as exc:
                    found[what] = type(exc)
            assert found == {what: error for what, (_, _, error) in about_another.items()}
            states = host.ReportStates(EVIL, epoch, (host.Observed(victim.id, PowerState.SHUTDOWN),))
            await caller.call(host.REPORT_STATES, states, EVIL)
            assert (await caller.call(host.LIST_EXPECTED, host.ListExpected(EVIL, epoch), EVIL)).guests == ()
            fetched = await caller.call(host.FETCH, Fetch(EVIL, epoch, attempt, (leg,)), EVIL)
            assert fetched.items == ()
            guests = (victim.id, InstanceId("none"))
            classes = await caller.call(host.CLASSIFY_GUESTS, host.ClassifyGuests(EVIL, epoch, guests), EVIL)
            assert (classes.deleted, classes.elsewhere) == ((), (victim.id,))

    asyncio.run(test())
    assert fleet.record(victim.id).power_state is PowerState.RUNNING
    assert fleet.refused("forbidden") == 3
    assert fleet.refused("stale-write") >= 5
    act(fleet, victim, Verb.STOP)
    fleet.wait_state(victim.id, "stopped")


def _action_of(fleet: TrustedFleet, victim: Instance) -> str:
    (line,) = (line for line in fleet.conductor.said().splitlines() if "a host was chosen" in line)
    assert victim.id
    return line.partition("action=")[2].split()[0]


FLOOD = """
import asyncio, json, sys
import nats
from kilonova.rpc import credentials, wire
from kilonova.rpc.nats_jwt import sign_nonce
from kilonova.rpc.transport_url import Access
from pathlib import Path

async def main(path, name):
    entry = Access(credentials_file=path).read()
    found = entry.credentials
    client = await nats.connect(
        list(entry.servers.addresses), tls=entry.tls, inbox_prefix=f"_INBOX.host-{name}".encode(),
        user_jwt_cb=lambda: bytearray(found.jwt.encode()), signature_cb=lambda nonce: sign_nonce(found.seed, nonce))
    subject = f"conductor.host.{name}"
    fetch = {"host": name, "epoch": 1, "attempt": "a", "running": []}
    asked = wire.encode_request(wire.Request("fetch", 1, 10.0, json.dumps(fetch).encode()))
    print("floods", flush=True)
    async def ask():
        while not stopped.done():
            try:
                await client.request(subject, asked, timeout=5)
            except Exception:
                pass
    async def pour():
        number = 0
        while not stopped.done():
            for _ in range(100):
                number += 1
                await client.publish(subject, asked if number % 2 else b"\\xff" * 500)
            await asyncio.sleep(0.02)
        print("poured", number, flush=True)
    async with asyncio.TaskGroup() as group:
        stopped = group.create_task(asyncio.to_thread(sys.stdin.read))
        for _ in range(200):
            group.create_task(ask())
        group.create_task(pour())
asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


def test_a_flood_from_one_host_delays_nobody(fleet: TrustedFleet) -> None:
    fleet.compute.start().ready()

    async def register() -> None:
        async with fleet.bench.bus(Role.HOST, EVIL) as bus:
            await Caller(bus, CLOCK).call(host.REGISTER_HOST, registration(EVIL, CLOCK.new_id()), EVIL)

    asyncio.run(register())
    words = [sys.executable, "-c", FLOOD, str(fleet.bench.file(Role.HOST, EVIL)), EVIL]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as flood:
        assert flood.stdin is not None
        assert flood.stdout is not None
        assert flood.stdout.readline() == "floods\n"
        servers = [create(fleet) for _ in range(5)]  # a call whose attempts have no reply fails
        for server in servers:
            fleet.wait_state(server.id, "active")
        wait_for(lambda: fleet.refused("overloaded") > 1000)
        assert flood.poll() is None, "the flood was over before the servers were active"
        flood.stdin.close()
        assert int(flood.stdout.readline().split()[1]) > 1000
    assert fleet.refused("malformed") > 0
    lines = [line for line in fleet.conductor.said().splitlines() if "a message was refused" in line]
    assert len(lines) <= 4, lines
    assert "Traceback" not in fleet.conductor.said()


def test_a_revoked_host_works_no_more_and_comes_back_with_a_new_file(fleet: TrustedFleet) -> None:
    fleet.compute.start().ready()
    server = create(fleet)
    fleet.wait_state(server.id, "active")
    fleet.bench.revoke(Role.HOST, "box1")
    fleet.compute.wait_said("refuses the credentials of host-box1")
    act(fleet, server, Verb.STOP)
    with pytest.raises(subprocess.TimeoutExpired):
        fleet.compute.wait_dead(within_s=3)  # it runs on, and so do its guests
    assert fleet.record(server.id).power_state is PowerState.RUNNING
    fleet.bench.issue(Role.HOST, "box1")
    fleet.compute.wait_said("the bus is back")
    fleet.wait_state(server.id, "stopped")


def test_credentials_of_another_process_are_refused_at_the_start(fleet: TrustedFleet) -> None:
    fleet.bench.issue(Role.HOST, "box2")
    text = fleet.config.read_text().replace("host-box1.kilonova", "host-box2.kilonova")
    fleet.config.write_text(text)
    assert fleet.compute.start().wait_dead() == 1
    last = fleet.compute.said().splitlines()[-1]
    assert last.startswith("kilonova: transport_credentials ")
    assert "are of host-box2, and this process is host-box1" in last


def test_an_operators_credentials_serve_its_commands(fleet: TrustedFleet) -> None:
    fleet.compute.start().ready()
    config = fleet.directory / "operator.conf"
    for role, name, words in (
        (Role.OPERATOR, "o1", "No other process has tried"),
        (Role.HOST, "box1", "do not permit"),
    ):
        config.write_text(f"[DEFAULT]\ntransport_credentials = {fleet.bench.access(role, name).credentials_file}\n")
        argv = [sys.executable, "-m", "kilonova", "host", "adopt", "box1", "--config-file", str(config)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 1
        assert words in done.stderr, done.stderr


def test_the_doctor_of_a_host_names_what_is_wrong(fleet: TrustedFleet) -> None:
    def finding() -> Finding:
        return message_bus(subject_of(load([str(fleet.config)])))

    assert finding().level is Level.OK, finding()
    fleet.conductor.kill()
    assert "no conductor" in finding().found
    fleet.bench.revoke(Role.HOST, "box1")
    assert "refuses the credentials of host-box1" in finding().found
    fleet.bench.issue(Role.HOST, "box1", lifetime=timedelta(days=3))
    fleet.conductor.start().ready()
    assert finding().level is Level.OK, finding()
    assert "expire at" in bus_credentials(subject_of(load([str(fleet.config)]))).found
    fleet.bench.server.stop()
    assert finding().level is Level.ERROR
