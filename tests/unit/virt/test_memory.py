# SPDX-License-Identifier: Apache-2.0
"""Saves that last: they hold up each other and nothing else, and a plug can be pulled in the middle of one."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from kilonova.base.errors import HypervisorError
from kilonova.config.load import load
from kilonova.objects.instance import Instance
from kilonova.objects.states import PowerState
from kilonova.virt.capabilities import MEMORY
from kilonova.virt.libvirt.connection.hypervisor_connection import JOBS_WIDTH
from kilonova.virt.libvirt.driver import LibvirtDriver
from tests.contract.drivers import Bench, Case, make_base, private_daemon, state_directory
from tests.make import until

pytestmark = pytest.mark.live


@pytest.fixture
def case() -> Iterator[Case]:
    """libvirt's test driver behind a real daemon."""
    with private_daemon() as daemon, state_directory() as directory:
        yield case_on(directory, daemon.test_uri)


def case_on(directory: Path, uri: str) -> Case:
    options = {"connection_uri": uri, "virt_type": "test"}
    overrides = {("libvirt", name): value for name, value in options.items()}
    settings = load(overrides={("DEFAULT", "state_path"): str(directory), **overrides})
    return Case("memory", settings, "libvirt.LibvirtDriver", make_base(directory), obeys_acpi=False)


class Slow:
    """managedSave waits until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.may_go_on = 0, threading.Event()
        save = libvirt.virDomain.managedSave

        def slow(domain: libvirt.virDomain, flags: int = 0) -> int:
            self.begun += 1
            self.may_go_on.wait(60)
            return save(domain, flags)

        monkeypatch.setattr(libvirt.virDomain, "managedSave", slow)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    made = Slow(monkeypatch)
    yield made
    made.may_go_on.set()


async def started(b: Bench, count: int) -> tuple[LibvirtDriver, list[Instance]]:
    assert isinstance(b.driver, LibvirtDriver)
    guests = [b.instance() for _ in range(count)]
    for guest in guests:
        await b.build(guest)
        await b.driver.power_on(guest.id, "m")
    return b.driver, guests


def test_saves_that_last_hold_up_no_other_guest_and_no_look(case: Case, slow: Slow) -> None:
    async def test(b: Bench) -> None:
        driver, (other, *guests) = await started(b, JOBS_WIDTH + 2)
        async with asyncio.TaskGroup() as group:
            saves = [group.create_task(MEMORY.of(driver).suspend(guest.id)) for guest in guests]
            await until(lambda: slow.begun == JOBS_WIDTH)
            await driver.power_off(other.id)
            await driver.power_on(other.id, "again")
            states = await driver.guest_states()
            assert {states[guest.id].power for guest in guests} == {PowerState.RUNNING}
            assert await b.power(guests[0].id) is PowerState.RUNNING
            await driver.resources()
            assert not any(save.done() for save in saves)
            assert slow.begun == JOBS_WIDTH  # the last one waits for its turn
            slow.may_go_on.set()
        states = await driver.guest_states()
        assert {states[guest.id].power for guest in guests} == {PowerState.SUSPENDED}
        for guest in (other, *guests):
            await b.tear_down(guest)

    case.run(test)


def test_a_plug_is_pulled_in_the_middle_of_a_save(case: Case, slow: Slow) -> None:
    async def test(b: Bench) -> None:
        driver, (guest,) = await started(b, 1)
        save = asyncio.ensure_future(MEMORY.of(driver).suspend(guest.id))
        await until(lambda: slow.begun == 1)
        await driver.power_off(guest.id)
        assert await b.power(guest.id) is PowerState.SHUTDOWN
        slow.may_go_on.set()
        with pytest.raises(HypervisorError, match="could not be saved; the guest is shutdown"):
            await save
        await b.tear_down(guest)

    case.run(test)


def test_a_save_that_was_broken_off_has_settled_before_its_guest_is_removed(case: Case, slow: Slow) -> None:
    """As by a delete, which takes the action back in the middle."""

    async def test(b: Bench) -> None:
        driver, (guest,) = await started(b, 1)
        save = asyncio.ensure_future(MEMORY.of(driver).suspend(guest.id))
        await until(lambda: slow.begun == 1)
        save.cancel()
        with pytest.raises(asyncio.CancelledError):
            await save
        assert driver.reachability.abandoned_calls() == 1
        removal = asyncio.ensure_future(b.tear_down(guest))
        await asyncio.sleep(0.5)
        assert not removal.done()
        slow.may_go_on.set()  # and the guest is saved behind the back of its removal
        await removal
        await until(lambda: driver.reachability.abandoned_calls() == 0)
        assert await b.power(guest.id) is None
        await b.build(guest)
        assert await b.power(guest.id) is PowerState.SHUTDOWN
        await b.tear_down(guest)
        assert b.files() == []

    case.run(test)
