# SPDX-License-Identifier: Apache-2.0
"""The connections to libvirt, on private daemons that are killed, frozen and brought back."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import libvirt
import pytest
from structlog.testing import capture_logs

from kilonova.base import threads
from kilonova.base.errors import HypervisorError, HypervisorUnavailable
from kilonova.base.tasks import Supervisor
from kilonova.config.load import load
from kilonova.virt.libvirt.connection import opening
from kilonova.virt.libvirt.connection.hypervisor_connection import HypervisorConnection
from kilonova.virt.libvirt.connection.opening import AUTOWRAP, Failure, OpenOptions
from kilonova.virt.libvirt.connection.pool import ConnectionPool
from kilonova.virt.libvirt.driver import LibvirtDriver
from lab.libvirtd import PrivateLibvirtd
from tests.contract.drivers import RecordingVirtAPI, private_daemon
from tests.make import until

KEEPALIVE_BOUND_S = 1 * (2 + 1)
"""Interval 1 s, count 2: the last unanswered message and one more interval."""


@pytest.fixture(scope="module")
def private() -> Iterator[PrivateLibvirtd]:
    with private_daemon() as running:
        yield running


@pytest.fixture
def daemon(private: PrivateLibvirtd) -> Iterator[PrivateLibvirtd]:
    """Up and awake, whatever an earlier test did to it."""
    private.start()
    yield private
    if private.alive:
        private.thaw()


@asynccontextmanager
async def service(uri: str, **options: Any) -> AsyncIterator[tuple[LibvirtDriver, RecordingVirtAPI]]:
    """A driver that was told to begin, in service or not."""
    values = {"connection_uri": uri, "virt_type": "qemu", "keepalive_interval": 1, "keepalive_count": 2, **options}
    virtapi = RecordingVirtAPI()
    settings = load(overrides={("libvirt", name): value for name, value in values.items()})
    driver = LibvirtDriver(virtapi, settings)
    async with Supervisor(virtapi.clock) as tasks:
        await driver.init_host(tasks)
        try:
            yield driver, virtapi
        finally:
            await driver.cleanup_host()


async def outcome(call: Awaitable[object]) -> tuple[str, float]:
    """How a call ended, and after how many seconds."""
    begin = time.monotonic()
    try:
        await call
    except HypervisorUnavailable:
        return "unavailable", time.monotonic() - begin
    return "ok", time.monotonic() - begin


def play(test: Callable[[], Awaitable[None]], limit_s: float = 60) -> None:
    async def main() -> None:
        async with asyncio.timeout(limit_s):
            await test()

    asyncio.run(main())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.live
def test_absent_at_start_it_comes_up_with_its_daemon(daemon: PrivateLibvirtd) -> None:
    async def test() -> None:
        daemon.stop()
        async with service(daemon.uri) as (driver, virtapi):
            assert virtapi.enabled[0][0] is False
            with pytest.raises(HypervisorUnavailable) as caught:
                await driver.guest_states()
            assert caught.value.details == {"host": driver.settings.default.host}
            await until(lambda: driver.connection.host.opens > 2)
            assert (await outcome(driver.guest_states()))[1] < 0.05
            daemon.start()
            await until(lambda: virtapi.in_service)
            assert await driver.guest_states() == {}
        told = [payload for kind, payload in virtapi.errors if kind == "compute.libvirt.error"]
        assert len(told) == 1
        assert set(told[0]) == {"ip", "method", "reason"}

    with capture_logs() as lines:
        play(test)
    assert [line["event"] for line in lines].count("libvirt is not available") == 1


@pytest.mark.live
def test_200_callers_over_a_restart_share_one_attempt_per_lane(daemon: PrivateLibvirtd) -> None:
    async def test() -> None:
        async with service(daemon.uri, connect_timeout=5) as (driver, virtapi):
            await until(lambda: virtapi.in_service)
            links = [driver.connection.control, driver.connection.host]
            assert [link.opens for link in links] == [1, 1]
            pending = Pending(links)
            daemon.restart()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(outcome(driver.guest_states())) for _ in range(100)]
                tasks += [
                    group.create_task(outcome(driver.guest_state(driver.virtapi.clock.new_id()))) for _ in range(100)
                ]
            await until(lambda: virtapi.in_service)
            assert pending.most == [1, 1]
            # The one that was lost, the one attempt that all waited for, and as many more as the lane is wide.
            assert [link.opens for link in links] <= [1 + link.calls.limit for link in links]
            assert {task.result()[0] for task in tasks} <= {"ok", "unavailable"}
            assert (await outcome(driver.guest_states()))[0] == "ok"

    play(test)


class Pending:
    """Counts how many opens are under way at the same time, per lane."""

    def __init__(self, links: list[ConnectionPool]) -> None:
        self.now, self.most = [0] * len(links), [0] * len(links)
        for index, link in enumerate(links):
            self._watch(index, link)

    def _watch(self, index: int, link: ConnectionPool) -> None:
        attempt = link._attempt  # pyright: ignore[reportPrivateUsage]

        async def counted() -> Failure | None:
            self.now[index] += 1
            self.most[index] = max(self.most[index], self.now[index])
            try:
                return await attempt()
            finally:
                self.now[index] -= 1

        link._attempt = counted  # pyright: ignore[reportPrivateUsage,reportAttributeAccessIssue]


@pytest.mark.live
def test_no_round_trip_but_the_call_itself(daemon: PrivateLibvirtd) -> None:
    async def test() -> None:
        async with service(daemon.uri) as (driver, virtapi):
            await until(lambda: virtapi.in_service)
            await driver.guest_states()
            calls: list[str] = []

            class Counting:
                def __init__(self, conn: libvirt.virConnect) -> None:
                    self.conn = conn

                def __getattr__(self, name: str) -> Any:
                    calls.append(name)
                    return getattr(self.conn, name)

            live = list(driver.connection.host._live.values())  # pyright: ignore[reportPrivateUsage]
            real = [opened.conn for opened in live]
            for opened in live:
                opened.conn = Counting(opened.conn)  # pyright: ignore[reportAttributeAccessIssue]
            await driver.guest_states()
            for opened, conn in zip(live, real, strict=True):
                opened.conn = conn
            # The look around that follows a connect may still be under way: it is the same call.
            assert set(calls) == {"getAllDomainStats"}

    play(test)


@pytest.mark.live
def test_restarts_leak_neither_descriptors_nor_threads(daemon: PrivateLibvirtd) -> None:
    async def test() -> None:
        async with service(daemon.uri) as (driver, virtapi):
            await until(lambda: virtapi.in_service)

            async def restart() -> None:
                daemon.restart()
                await asyncio.sleep(0.05)
                await until(lambda: virtapi.in_service and driver.connection.host.up)
                await driver.guest_states()

            for _ in range(3):
                await restart()
            await until(lambda: driver.connection.threads.abandoned == 0)
            before = descriptors(), threads.count()
            for _ in range(5):
                await restart()
            await until(lambda: driver.connection.threads.abandoned == 0)
            await asyncio.sleep(0.1)
            # Lanes may be wider by a socket or two than at the first look; a leak would be one for each restart.
            assert descriptors() < before[0] + 5
            assert threads.count() < before[1] + 5

    play(test)


@pytest.mark.live
def test_all_sockets_of_a_busy_host_are_closed_when_its_daemon_ends(daemon: PrivateLibvirtd) -> None:
    """As many as there may be: one that is not closed holds itself, its descriptor and its callbacks for ever."""

    async def test() -> None:
        async with service(daemon.uri) as (driver, virtapi):
            connection = driver.connection
            await until(lambda: virtapi.in_service)
            links = [connection.control, connection.host, connection.liveness, connection.jobs]
            await connection.proxy()
            for link in links:
                await until(lambda link=link: link.up)
            before = descriptors()
            async with asyncio.TaskGroup() as group:
                for link in links:
                    for _ in range(link.calls.limit):
                        group.create_task(link.run(lambda _conn: time.sleep(1)))
            wide = descriptors()
            assert wide > before + len(links)
            daemon.restart()
            for link in links:
                await until(lambda link=link: link.up)
            await until(lambda: virtapi.in_service and descriptors() <= before)

    play(test)


@pytest.mark.live
def test_a_frozen_daemon_delays_nobody_for_longer_than_keepalive(daemon: PrivateLibvirtd) -> None:
    async def test() -> None:
        async with service(daemon.uri, connect_timeout=1) as (driver, virtapi):
            await until(lambda: virtapi.in_service)
            daemon.freeze()
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(outcome(driver.guest_states())) for _ in range(20)]
                assert {task.result()[0] for task in tasks} == {"unavailable"}
                assert max(task.result()[1] for task in tasks) < KEEPALIVE_BOUND_S + 0.5
                assert not virtapi.in_service
                await asyncio.sleep(0.4)
                assert (await outcome(driver.guest_states()))[1] < 0.05
                # One pending open per lane, however long it lasts.
                await asyncio.sleep(2.5)
                assert driver.connection.threads.abandoned == 3
                opens = driver.connection.host.opens
            finally:
                daemon.thaw()
            await until(lambda: virtapi.in_service, 2)
            assert (await outcome(driver.guest_states()))[0] == "ok"
            assert driver.connection.host.opens <= opens + driver.connection.host.calls.limit
            assert len(virtapi.errors) == 1
            assert [event.kind for event in virtapi.events] == []

    play(test)


@pytest.mark.live
def test_a_daemon_frozen_before_the_start_holds_one_thread_per_lane(daemon: PrivateLibvirtd) -> None:
    async def test() -> None:
        daemon.freeze()
        try:
            async with service(daemon.uri, connect_timeout=0.3) as (driver, virtapi):
                await until(lambda: bool(virtapi.errors))
                await asyncio.sleep(1.5)  # many times the pause between two attempts
                assert [link.opens for link in (driver.connection.control, driver.connection.host)] == [1, 1]
                assert driver.connection.threads.abandoned == 3  # control, host and liveness
                assert len(virtapi.errors) == 1
                daemon.thaw()
                await until(lambda: virtapi.in_service)
                assert driver.connection.threads.abandoned == 0
        finally:
            daemon.thaw()

    play(test)


@pytest.mark.live
def test_letting_go_of_a_frozen_daemon_takes_seconds_at_most(daemon: PrivateLibvirtd) -> None:
    async def test() -> None:
        async with service(daemon.uri) as (driver, virtapi):
            await until(lambda: virtapi.in_service)
            daemon.freeze()
            await driver.cleanup_host()
        daemon.thaw()

    play(test, limit_s=20)


@pytest.mark.live
def test_a_read_only_connection_refuses_to_write_by_itself(daemon: PrivateLibvirtd) -> None:
    async def test() -> None:
        virtapi = RecordingVirtAPI()
        settings = load(overrides={("libvirt", "connection_uri"): daemon.uri})
        driver = LibvirtDriver(virtapi, settings, read_only=True)
        async with Supervisor(virtapi.clock) as tasks:
            await driver.init_host(tasks)
            await until(lambda: virtapi.in_service)
            conn = await driver.proxy()
            with pytest.raises(libvirt.libvirtError) as caught:
                await conn.defineXML("<domain type='qemu'><name>x</name></domain>")
            assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_DENIED
            await driver.cleanup_host()

    play(test)


def test_what_cannot_be_opened_is_tried_again_seldom_and_told_once() -> None:
    async def test() -> None:
        async with service("qemu+nosuch:///x") as (driver, virtapi):
            await until(lambda: bool(virtapi.errors))
            await asyncio.sleep(0.3)
            assert driver.connection.host.opens == 1
            assert len(virtapi.errors) == 1
            assert not virtapi.in_service

    play(test)


def test_a_call_that_libvirt_refuses_is_no_outage() -> None:
    async def test() -> None:
        async with service("test:///default") as (driver, virtapi):
            await until(lambda: virtapi.in_service)
            with pytest.raises(HypervisorError) as caught:
                await driver.connection.host.run(lambda conn: conn.lookupByName("none").UUIDString())
            assert caught.value.details["libvirt_code"] == libvirt.VIR_ERR_NO_DOMAIN
            assert virtapi.in_service

    play(test)


def test_the_whole_binding_through_the_proxy() -> None:
    async def test() -> None:
        async with service("test:///default") as (driver, virtapi):
            await until(lambda: virtapi.in_service)
            conn = await driver.proxy()
            assert await conn.listDomainsID() == [1]
            domain = (await conn.listAllDomains())[0]
            assert await domain.name() == "test"
            assert (await domain.state())[0] == libvirt.VIR_DOMAIN_RUNNING
            (other, stats), *_ = await conn.getAllDomainStats()
            assert await other.UUIDString() == await domain.UUIDString()
            assert "state.state" in stats
            assert libvirt.virDomain in AUTOWRAP

    play(test)


def test_without_events_there_is_one_warning_and_polling() -> None:
    def no_events(conn: libvirt.virConnect, _ids: list[int]) -> None:
        conn.nwfilterLookupByName("x")  # what the test driver does not support

    class Deaf(LibvirtDriver):
        def _registrar(self) -> opening.Registrar:
            return no_events

    async def test() -> None:
        virtapi = RecordingVirtAPI()
        driver = Deaf(virtapi, load(overrides={("libvirt", "connection_uri"): "test:///default"}))
        async with Supervisor(virtapi.clock) as tasks:
            await driver.init_host(tasks)
            await until(lambda: virtapi.in_service)
            assert driver.connection.host.without_events is not None
            assert await driver.guest_states() == {}
            await driver.cleanup_host()

    with capture_logs() as lines:
        play(test)
    assert sum("guests are polled" in line["event"] for line in lines) == 1


AUTH = """[credentials-us]
authname=alice
password=se%cret

[credentials-other]
authname=bob
password=x

[auth-libvirt-localhost]
credentials=us
"""


def test_the_auth_file_is_libvirts_own_format(tmp_path: Path) -> None:
    path = tmp_path / "auth.conf"
    path.write_text(AUTH)
    assert opening.read_auth_file(str(path)) == {"authname": "alice", "password": "se%cret"}
    assert opening.read_auth_file(str(path), "elsewhere")["authname"] == "alice"
    path.write_text("")
    assert opening.read_auth_file(str(path)) == {}


def test_an_auth_file_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    failed = opening.open_connection(OpenOptions("test:///default", auth_file=str(tmp_path / "none")), 1, print, None)
    assert isinstance(failed, Failure)
    assert "cannot be used" in failed.message
    assert failed.code in opening.PERMANENT_CODES


def test_losses_are_told_from_refusals() -> None:
    def failure(code: int, domain: int) -> Failure:
        error = libvirt.libvirtError("x")
        error.err = (code, domain, "m", 2, None, None, None, -1, -1)
        return opening.failure_of(error)

    assert failure(libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_RPC).lost
    assert failure(libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_FROM_REMOTE).lost
    assert failure(libvirt.VIR_ERR_INVALID_CONN, libvirt.VIR_FROM_NONE).lost
    assert not failure(libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_QEMU).lost
    assert not failure(libvirt.VIR_ERR_OPERATION_TIMEOUT, libvirt.VIR_FROM_QEMU).lost
    assert not failure(libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_FROM_REMOTE).lost


def test_uris_by_type_and_user() -> None:
    assert opening.default_uri("test") == "test:///default"
    assert opening.default_uri("auto") == ("qemu:///system" if os.geteuid() == 0 else "qemu:///session")


def test_a_defect_in_what_follows_a_connect_ends_no_service() -> None:
    """It would end the next one as well, as soon as that is connected: one odd guest and no host."""

    async def test() -> None:
        virtapi, reached = RecordingVirtAPI(), asyncio.Event()
        settings = load(overrides={("libvirt", "connection_uri"): "test:///default"})
        connection = HypervisorConnection(virtapi, settings, read_only=False, registrar=None)

        async def odd() -> None:
            reached.set()
            raise ZeroDivisionError("a defect of ours, or of libvirt's")

        async with Supervisor(virtapi.clock) as tasks:
            connection.start(tasks, odd)
            await reached.wait()
            await asyncio.sleep(0.05)
            assert virtapi.in_service
            await connection.close()

    play(test)
