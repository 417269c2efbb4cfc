# SPDX-License-Identifier: Apache-2.0
"""Unknown outcomes: what was cut off may happen late, and nobody judges or goes on before it has."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import libvirt
import pytest

from kilonova.base.errors import HypervisorError, HypervisorUnavailable, NativeCallTimeout, OutcomeUnknown
from kilonova.base.failpoints import Failpoints
from kilonova.base.threads import InlineWorkers
from kilonova.compute.image_cache import ImageCache
from kilonova.compute.operation import Job, Tools
from kilonova.compute.operations import OPERATIONS
from kilonova.compute.runner import Outcome, Revoked, Run, Runner
from kilonova.config.load import load
from kilonova.objects.action import Action
from kilonova.objects.ids import ActionId, AttemptId
from kilonova.objects.instance import Instance
from kilonova.objects.leg import one_leg
from kilonova.objects.states import PowerState, Verb
from kilonova.virt.libvirt.connection.unclean_shutdown import NAME
from kilonova.virt.libvirt.driver import LibvirtDriver
from lab.libvirtd import PrivateLibvirtd
from tests import make, params
from tests.contract.drivers import Bench, Case, make_base, private_daemon, state_directory
from tests.unit.compute.records import Library

pytestmark = pytest.mark.live

LATE_S = 1.0


@pytest.fixture(scope="module")
def private() -> Iterator[PrivateLibvirtd]:
    with private_daemon() as running:
        yield running


@pytest.fixture
def daemon(private: PrivateLibvirtd) -> Iterator[PrivateLibvirtd]:
    private.start()
    yield private
    if private.alive:
        private.thaw()


def case_on(directory: Path, uri: str, virt_type: str, **options: Any) -> Case:
    values = {"connection_uri": uri, "virt_type": virt_type, "keepalive_interval": 1, "keepalive_count": 2, **options}
    overrides: dict[tuple[str, str], Any] = {("libvirt", name): value for name, value in values.items()}
    settings = load(overrides={("DEFAULT", "state_path"): str(directory), **overrides})
    return Case("settle", settings, "libvirt.LibvirtDriver", make_base(directory), obeys_acpi=False)


@pytest.fixture
def simulated(daemon: PrivateLibvirtd) -> Iterator[Case]:
    """libvirt's test driver behind a real daemon: guests that cost nothing, and outlive a connection."""
    with state_directory() as directory:
        yield case_on(directory, daemon.test_uri, "test")


@pytest.fixture
def real(daemon: PrivateLibvirtd) -> Iterator[Case]:
    with state_directory() as directory:
        yield case_on(directory, daemon.uri, "qemu")


def cut_off(monkeypatch: pytest.MonkeyPatch, owner: type, method: str, uri: str) -> list[threading.Timer]:
    """The next call of `method` is lost with its connection and done by the daemon `LATE_S` later all the same, as one
    that lay in the socket of a daemon that was too busy to read it."""
    real_method = getattr(owner, method)
    timers: list[threading.Timer] = []

    def late(uuid: str | None, args: tuple[Any, ...]) -> None:
        conn = libvirt.open(uri)
        real_method(conn if uuid is None else conn.lookupByUUIDString(uuid), *args)
        conn.close()

    def lost(self: Any, *args: Any) -> Any:
        if timers:
            return real_method(self, *args)
        uuid = self.UUIDString() if isinstance(self, libvirt.virDomain) else None
        timers.append(threading.Timer(LATE_S, late, (uuid, args)))
        timers[0].start()
        error = libvirt.libvirtError("lost")
        error.err = (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_RPC, "lost", 2, None, None, None, 0, 0)
        raise error

    monkeypatch.setattr(owner, method, lost)
    return timers


async def wait_for(timers: list[threading.Timer]) -> None:
    assert len(timers) == 1
    await asyncio.to_thread(timers[0].join)


def test_a_delete_waits_for_the_define_that_was_cut_off(simulated: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.driver.ensure_disks(guest, b.base)
        timers = cut_off(monkeypatch, libvirt.virConnect, "defineXMLFlags", b.settings.libvirt.connection_uri)
        with pytest.raises(OutcomeUnknown):
            await b.driver.define(guest)
        await b.tear_down(guest)
        await wait_for(timers)
        assert await b.power(guest.id) is None
        assert guest.id not in await b.driver.guest_states()

    simulated.run(test)


def test_a_start_waits_for_the_destroy_that_was_cut_off(simulated: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        await b.driver.power_on(guest.id, "first")
        timers = cut_off(monkeypatch, libvirt.virDomain, "destroy", b.settings.libvirt.connection_uri)
        with pytest.raises(OutcomeUnknown):
            await b.driver.power_off(guest.id)
        await b.driver.power_off(guest.id)
        await b.driver.power_on(guest.id, "second")
        await wait_for(timers)
        assert await b.power(guest.id) is PowerState.RUNNING
        await b.tear_down(guest)

    simulated.run(test)


def test_other_guests_do_not_wait(simulated: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(b: Bench) -> None:
        guest, other = b.instance(), b.instance()
        await b.driver.ensure_disks(guest, b.base)
        timers = cut_off(monkeypatch, libvirt.virConnect, "defineXMLFlags", b.settings.libvirt.connection_uri)
        with pytest.raises(OutcomeUnknown):
            await b.driver.define(guest)
        await b.build(other)
        assert timers[0].is_alive()
        await wait_for(timers)
        await b.tear_down(other)
        await b.tear_down(guest)

    simulated.run(test)


def test_while_an_overdue_call_is_in_its_thread_its_guest_is_not_judged(daemon: PrivateLibvirtd) -> None:
    async def test(b: Bench) -> None:
        assert isinstance(b.driver, LibvirtDriver)
        guest = b.instance()
        await b.build(guest)
        end = threading.Event()
        slow = b.driver.calls.change("power_on", guest.id, lambda _conn: end.wait(10))
        with pytest.raises(NativeCallTimeout):
            await slow
        for _ in range(2):
            with pytest.raises(HypervisorUnavailable, match="has not returned"):
                await b.driver.guest_state(guest.id)
        end.set()
        await asyncio.sleep(0.1)
        assert await b.power(guest.id) is PowerState.SHUTDOWN
        await b.tear_down(guest)

    with state_directory() as directory:
        case_on(directory, daemon.test_uri, "test", call_timeout=0.5).run(test)


class Operator:
    """Runs whole operations on a driver, as the compute service does."""

    def __init__(self, bench: Bench, directory: Path) -> None:
        clock = bench.virtapi.clock
        cache = ImageCache(directory / "_base", make.OneImage(), InlineWorkers(), clock)
        uploads = Library(directory, clock).uploads
        self.tools = Tools(bench.driver, cache, uploads, clock, bench.settings.default, "boot-1")
        self.instance: Instance = replace(make.instance(host=make.HOST), id=bench.instance().id)

    def run(self, verb: Verb) -> Run:
        now = self.tools.clock.now()
        action = Action(
            id=ActionId(f"action-{verb}"),
            instance_id=self.instance.id,
            verb=verb,
            request_id="req-1",
            user_id="u1",
            project_id="p1",
            started_at=now,
            updated_at=now,
            deadline=now,
            legs=one_leg(make.HOST, verb, attempt=AttemptId("attempt-1")),
            params=params.recorded(verb),
        )
        return Run(Job(action, self.instance, self.tools), OPERATIONS[verb], "h1")


@asynccontextmanager
async def create_on_a_daemon_that_freezes(
    b: Bench, operator: Operator, daemon: PrivateLibvirtd, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Run, asyncio.Task[Outcome]]]:
    """A create whose start lies in the socket of a frozen daemon, and was refused.  Thawed at the end."""
    start = libvirt.virDomain.createWithFlags
    frozen = threading.Event()

    def freeze_and_start(self: libvirt.virDomain, flags: int = 0) -> int:
        if not frozen.is_set():
            daemon.freeze()
            frozen.set()
        return start(self, flags)

    monkeypatch.setattr(libvirt.virDomain, "createWithFlags", freeze_and_start)
    run = operator.run(Verb.CREATE)
    task = asyncio.create_task(Runner(Failpoints()).run(run))
    try:
        async with asyncio.timeout(30):
            while run.events.get("create.start") is None or run.events["create.start"].result != "Error":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert frozen.is_set()
        assert not b.virtapi.in_service
        yield run, task
    finally:
        daemon.thaw()


def test_a_create_on_a_daemon_that_froze_is_one_guest_that_runs(
    real: Case, daemon: PrivateLibvirtd, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(b: Bench) -> None:
        operator = Operator(b, b.settings.default.instances_path)
        async with create_on_a_daemon_that_freezes(b, operator, daemon, monkeypatch) as (_, task):
            pass
        outcome = await task
        assert (outcome.succeeded, outcome.power) == (True, PowerState.RUNNING)
        assert set(await b.driver.guest_states()) == {operator.instance.id}
        assert len(daemon.guests()) == 1
        deleted = await Runner(Failpoints()).run(operator.run(Verb.DELETE))
        assert (deleted.succeeded, deleted.power) == (True, None)

    real.run(test)


def test_a_delete_of_it_leaves_no_guest(real: Case, daemon: PrivateLibvirtd, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(b: Bench) -> None:
        operator = Operator(b, b.settings.default.instances_path)
        async with create_on_a_daemon_that_freezes(b, operator, daemon, monkeypatch) as (run, task):
            run.revoked = True  # by the delete, as the conductor does it
            with pytest.raises(Revoked):
                await task
            delete = asyncio.create_task(Runner(Failpoints()).run(operator.run(Verb.DELETE)))
            await asyncio.sleep(0.2)
        outcome = await delete
        assert (outcome.succeeded, outcome.power) == (True, None)
        await asyncio.sleep(1)
        assert daemon.guests() == {}
        assert await b.driver.guest_states() == {}
        assert b.files() == [] or all("_base" in str(path) for path in b.files())

    real.run(test)


@pytest.mark.parametrize("call", ["setMetadata", "resume"])
def test_a_start_that_was_cut_off_in_the_middle_is_done_by_the_next(
    real: Case, daemon: PrivateLibvirtd, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Wherever it ends, a guest that bears the mark is there, and the next start finishes what this one began."""
    straight = getattr(libvirt.virDomain, call)

    def cut_off(*_arguments: object) -> None:
        monkeypatch.setattr(libvirt.virDomain, call, straight)
        raise HypervisorError("The process ended here.")

    async def test(b: Bench) -> None:
        guest = real.instance()
        await b.build(guest)
        monkeypatch.setattr(libvirt.virDomain, call, cut_off)
        with pytest.raises(HypervisorError, match="ended here"):
            await b.driver.power_on(guest.id, "first")
        between = await b.driver.guest_state(guest.id)
        assert between is not None
        assert (between.power, between.start_token) == (PowerState.PAUSED, None if call == "setMetadata" else "first")
        await b.driver.power_on(guest.id, "second")
        after = await b.driver.guest_state(guest.id)
        assert (after and after.power, after and after.start_token) == (PowerState.RUNNING, "second")
        await b.tear_down(guest)

    real.run(test)


def test_a_start_that_a_dead_process_left_in_a_frozen_daemon_is_waited_for(real: Case, daemon: PrivateLibvirtd) -> None:
    """The next process finds the guest as the daemon made it after its thaw: there, before its first instruction and
    without a mark.  A replay lets it go."""
    guest = real.instance()
    assert daemon.pid is not None
    state, base = real.settings.default.state_path, real.base.path
    words = [daemon.uri, str(daemon.pid), str(state), str(base), guest.id]
    dead = subprocess.run([sys.executable, "-m", "tests.unit.virt.starts_and_dies", *words], timeout=60, check=False)
    assert dead.returncode == -signal.SIGKILL
    assert daemon.guests() == {}
    assert (state / NAME).exists()
    thaw = threading.Timer(1.0, daemon.thaw)
    thaw.start()

    async def test(b: Bench) -> None:
        while (first := await b.driver.guest_state(guest.id)) and first.power is PowerState.NOSTATE:
            await b.virtapi.clock.sleep(0.05)  # the daemon is still starting it
        assert (first and first.power, first and first.start_token) == (PowerState.PAUSED, None)
        await b.driver.power_on(guest.id, "again")
        then = await b.driver.guest_state(guest.id)
        assert (then and then.power, then and then.start_token) == (PowerState.RUNNING, "again")
        await b.tear_down(guest)

    real.run(test)
    thaw.join()
    assert not (state / NAME).exists()  # that one ended with every outcome known
