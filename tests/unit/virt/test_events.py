# SPDX-License-Identifier: Apache-2.0
"""Events: libvirt's names for what happened, once each however often the connection was lost."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest
from structlog.testing import capture_logs

from kilonova.base.errors import HypervisorUnavailable
from kilonova.base.tasks import Supervisor
from kilonova.config.load import load
from kilonova.objects.guest import GuestEvent
from kilonova.objects.states import PowerState
from kilonova.virt.libvirt.connection import events, opening
from kilonova.virt.libvirt.driver import LibvirtDriver
from lab.libvirtd import PrivateLibvirtd
from tests.contract.drivers import (
    Bench,
    Case,
    RecordingVirtAPI,
    libvirt_qemu_case,
    make_base,
    private_daemon,
    small_instance,
    state_directory,
)
from tests.make import until
from tests.unit.virt.test_connection import play

DISPATCHED: list[tuple[str, str, tuple[Any, ...], str, str]] = [
    ("REBOOT", "Generic", (), "reboot", ""),
    ("IO_ERROR", "IOError", ("/disk", "vda", libvirt.VIR_DOMAIN_EVENT_IO_ERROR_PAUSE), "io-error", "vda"),
    ("WATCHDOG", "Watchdog", (libvirt.VIR_DOMAIN_EVENT_WATCHDOG_RESET,), "watchdog", "reset"),
    ("JOB_COMPLETED", "JobCompleted", ({"operation": 5},), "job-completed", "completed"),
    ("JOB_COMPLETED", "JobCompleted", ({libvirt.VIR_DOMAIN_JOB_SUCCESS: 0},), "job-completed", "failed"),
    ("BLOCK_JOB_2", "BlockJob", ("vda", 1, libvirt.VIR_DOMAIN_BLOCK_JOB_FAILED), "block-job", "vda failed"),
    ("DEVICE_REMOVED", "DeviceRemoved", ("net1",), "device-removed", "net1"),
    ("DEVICE_REMOVAL_FAILED", "DeviceRemovalFailed", ("net1",), "device-removal-failed", "net1"),
    ("AGENT_LIFECYCLE", "AgentLifecycle", (1, 1), "agent-lifecycle", "connected"),
    ("LIFECYCLE", "Lifecycle", (libvirt.VIR_DOMAIN_EVENT_STOPPED, 5), "stopped", "failed"),
]
"""Event, the binding's own dispatcher of it, what it passes on, and what becomes of it."""


class Recorder:
    """A connection that notes what is registered on it."""

    def __init__(self, without: tuple[int, ...] = ()) -> None:
        self.callbacks: dict[int, Callable[..., None]] = {}
        self.without = without

    def domainEventRegisterAny(self, _domain: None, event: int, callback: Callable[..., None], _opaque: None) -> int:
        if event in self.without:
            error = libvirt.libvirtError("unsupported")
            error.err = (libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_FROM_TEST, "unsupported", 2, None, None, None, 0, 0)
            raise error
        assert event not in self.callbacks
        self.callbacks[event] = callback
        return event


def registered(sink: Callable[[GuestEvent], None], recorder: Recorder) -> list[int]:
    ids: list[int] = []
    events.registrar(asyncio.get_running_loop(), sink)(recorder, ids)  # pyright: ignore[reportArgumentType]
    return ids


@pytest.mark.parametrize(("name", "dispatcher", "given", "kind", "detail"), DISPATCHED)
def test_each_event_is_told_by_libvirts_own_name(
    name: str, dispatcher: str, given: tuple[Any, ...], kind: str, detail: str
) -> None:
    async def test() -> None:
        opening.ensure_event_loop()
        conn = await asyncio.to_thread(libvirt.open, "test:///default")
        domain = conn.lookupByID(1)
        instance_id = domain.UUIDString()
        raw, domain._o = domain._o, None  # the dispatcher makes an object of its own of it
        heard: list[GuestEvent] = []
        recorder = Recorder()
        registered(heard.append, recorder)
        callback = recorder.callbacks[getattr(libvirt, f"VIR_DOMAIN_EVENT_ID_{name}")]
        # As the binding calls it, so that a callback of a wrong shape is found here.
        getattr(conn, f"_dispatchDomainEvent{dispatcher}Callback")(
            raw, *given, {"cb": callback, "conn": conn, "opaque": None}
        )
        await asyncio.sleep(0)
        assert [(event.instance_id, event.kind, event.detail) for event in heard] == [(instance_id, kind, detail)]
        conn.close()

    play(test)


def test_what_a_driver_has_is_registered_and_only_lifecycle_must_be() -> None:
    async def test() -> None:
        everything = Recorder()
        assert len(registered(print, everything)) == 9
        others = tuple(event for event in everything.callbacks if event != libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE)
        assert registered(print, Recorder(without=others)) == [libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE]
        with pytest.raises(libvirt.libvirtError):
            registered(print, Recorder(without=(libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,)))

    play(test)


class Deaf(LibvirtDriver):
    """On a URI that has no events."""

    def _registrar(self) -> opening.Registrar:
        loop = asyncio.get_running_loop()
        deaf = Recorder(without=(libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,))
        return lambda _conn, ids: events.registrar(loop, self._receive)(deaf, ids)  # pyright: ignore[reportArgumentType]


def lose(driver: LibvirtDriver) -> None:
    """As if a call had found the connection lost."""
    link = driver.connection.host
    number = next(iter(link._live))  # pyright: ignore[reportPrivateUsage]
    link._lose(number, "lost by a test")  # pyright: ignore[reportPrivateUsage]


def test_without_events_one_warning_however_often_it_connects_and_polling(tmp_path: Path) -> None:
    async def test() -> None:
        virtapi = RecordingVirtAPI()
        base = make_base(tmp_path)
        node = tmp_path / "node.xml"
        node.write_text("<node/>")
        options = {("libvirt", "connection_uri"): f"test://{node}", ("libvirt", "virt_type"): "test"}
        driver = Deaf(virtapi, load(overrides={("DEFAULT", "state_path"): str(tmp_path), **options}))
        driver._poll_s = 0.05  # pyright: ignore[reportPrivateUsage]
        async with Supervisor(virtapi.clock) as tasks:
            await driver.init_host(tasks)
            await until(lambda: virtapi.in_service)
            guest = small_instance(base)
            await driver.ensure_disks(guest, base)
            await driver.define(guest)
            await until(lambda: "polled" in [event.kind for event in virtapi.events])
            virtapi.events.clear()
            await driver.power_on(guest.id, "m")
            await until(lambda: bool(virtapi.events))
            assert virtapi.events == [GuestEvent(guest.id, "polled")]
            await asyncio.sleep(0.3)
            assert len(virtapi.events) == 1
            for _ in range(3):
                lose(driver)
                await until(lambda: virtapi.in_service and driver.connection.host.up)
            await driver.cleanup_host()

    with capture_logs() as lines:
        play(test)
    assert sum("guests are polled" in line["event"] for line in lines) == 1


@pytest.fixture(scope="module")
def daemon() -> Iterator[PrivateLibvirtd]:
    with private_daemon() as running:
        yield running


@pytest.fixture
def case(daemon: PrivateLibvirtd) -> Iterator[Case]:
    with state_directory() as directory:
        yield libvirt_qemu_case(directory, daemon)


async def widen(driver: LibvirtDriver) -> None:
    """Calls that overlap, so that every socket of the host lane is open."""
    hold = [driver.connection.host.run(lambda _conn: time.sleep(0.3)) for _ in range(2)]
    await asyncio.gather(*hold)


def lost_call(_conn: libvirt.virConnect) -> None:
    error = libvirt.libvirtError("lost")
    error.err = (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_RPC, "lost", 2, None, None, None, 0, 0)
    raise error


@pytest.mark.live
def test_an_event_comes_once_after_three_reconnects_and_on_any_number_of_sockets(case: Case) -> None:
    async def test(b: Bench) -> None:
        assert isinstance(b.driver, LibvirtDriver)
        driver, link = b.driver, b.driver.connection.host
        guest = b.instance()
        await b.build(guest)
        await b.driver.power_on(guest.id, "m")
        # Another listener, which is never lost, tells how often each thing really happened.
        heard: list[GuestEvent] = []
        witness = await asyncio.to_thread(libvirt.open, driver.connection.uri)
        await asyncio.to_thread(events.registrar(asyncio.get_running_loop(), heard.append), witness, [])
        for _ in range(3):
            b.virtapi.events.clear()
            with pytest.raises(HypervisorUnavailable):
                await link.run(lost_call)
            await until(lambda: b.virtapi.in_service and link.up)
            await until(lambda: bool(b.virtapi.events))
        assert {event.kind for event in b.virtapi.events} == {"reconnected"}
        await widen(driver)
        assert link.calls.room == 0
        b.virtapi.events.clear()
        heard.clear()
        conn = await driver.proxy()
        domain = await conn.lookupByUUIDString(guest.id)
        await domain.reset()
        await domain.blockPull("vda")
        await domain.suspend()
        await domain.resume()
        kinds = {"reboot", "block-job", "suspended", "resumed"}
        await until(lambda: kinds <= {event.kind for event in b.virtapi.events})
        await asyncio.sleep(0.3)
        assert sorted(map(repr, b.virtapi.events)) == sorted(map(repr, heard))
        assert await b.power(guest.id) is PowerState.RUNNING
        await b.tear_down(guest)
        await asyncio.to_thread(witness.close)

    case.run(test)
