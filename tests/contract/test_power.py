# SPDX-License-Identifier: Apache-2.0
"""What drivers promise that can keep memory, boot from a rescue disk, replace a disk and measure a guest."""

import asyncio
import re
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kilonova.base.errors import HypervisorError, HypervisorUnavailable, InvalidState, NativeCallTimeout
from kilonova.base.failpoints import Failpoints
from kilonova.compute.operation import Job, Tools
from kilonova.compute.operations import OPERATIONS
from kilonova.compute.runner import Run, Runner
from kilonova.objects.action import Action
from kilonova.objects.guest import GuestState
from kilonova.objects.ids import ActionId, HostName, ImageId, InstanceId
from kilonova.objects.image import ImageRef
from kilonova.objects.instance import Instance
from kilonova.objects.leg import one_leg
from kilonova.objects.states import SAVED, PowerState, Verb
from kilonova.virt.base_image import BaseImage
from kilonova.virt.capabilities import (
    CONSOLES,
    DIAGNOSTICS,
    DISK_REPLACEMENT,
    MEMORY,
    RESCUE_DISKS,
    RESIZING,
    SNAPSHOTS,
)
from kilonova.virt.libvirt.driver import LibvirtDriver
from tests.contract.drivers import FAKE, QEMU, TEST, Bench, Case, present
from tests.make import until

ON_DISK = (PowerState.SUSPENDED, SAVED)


async def says(b: Bench, guest: InstanceId) -> GuestState:
    """What one read says, and the bulk read too."""
    one = await b.driver.guest_state(guest)
    assert one is not None
    assert one == (await b.driver.guest_states())[guest]
    return one


async def running(b: Bench, mark: str = "m") -> Instance:
    guest = b.instance()
    await b.build(guest)
    await b.driver.power_on(guest.id, mark)
    return guest


def test_a_suspended_guest_is_off_with_its_memory_kept_and_goes_on_under_its_mark(case: Case) -> None:
    async def test(b: Bench) -> None:
        driver = MEMORY.of(b.driver)
        off, guest = b.instance(), await running(b)
        await b.build(off)
        for refused in (driver.suspend, driver.resume):
            with pytest.raises(HypervisorError, match=r"does not run|no saved memory"):
                await refused(off.id)
        b.virtapi.events.clear()
        for _ in range(2):
            await driver.suspend(guest.id)
            state = await says(b, guest.id)
            assert (state.power, state.reason, state.start_token) == (*ON_DISK, "m")
        await until(lambda: any(event.instance_id == guest.id for event in b.virtapi.events))
        assert (await says(b, off.id)).power is PowerState.SHUTDOWN
        await b.driver.shutdown(guest.id)
        assert (await says(b, guest.id)).power is PowerState.SUSPENDED
        await b.driver.define(guest)
        for _ in range(2):
            await driver.resume(guest.id)
            state = await says(b, guest.id)
            assert (state.power, state.start_token) == (PowerState.RUNNING, "m")
        await b.driver.power_off(guest.id)
        assert (await says(b, guest.id)).power is PowerState.SHUTDOWN  # nothing is kept of what has gone on
        for one in (guest, off):
            await b.tear_down(one)

    case.run(test)


def test_a_start_restores_and_a_pulled_plug_drops_what_was_saved(case: Case) -> None:
    async def test(b: Bench) -> None:
        driver = MEMORY.of(b.driver)
        guest = await running(b, "first")
        await driver.suspend(guest.id)
        await b.driver.power_on(guest.id, "second")
        state = await says(b, guest.id)
        assert (state.power, state.start_token) == (PowerState.RUNNING, "first")
        await driver.suspend(guest.id)
        for _ in range(2):
            await b.driver.power_off(guest.id)
            assert (await says(b, guest.id)).power is PowerState.SHUTDOWN
        with pytest.raises(HypervisorError, match="no saved memory"):
            await driver.resume(guest.id)
        await b.driver.power_on(guest.id, "third")
        state = await says(b, guest.id)
        assert (state.power, state.start_token) == (PowerState.RUNNING, "third")
        await b.tear_down(guest)

    case.run(test)


def test_of_a_suspended_guest_that_is_removed_nothing_is_left(case: Case) -> None:
    async def test(b: Bench) -> None:
        driver = MEMORY.of(b.driver)
        guest = await running(b)
        await driver.suspend(guest.id)
        await b.driver.undefine(guest.id)
        await b.tear_down(guest)
        assert b.files() == []
        await b.build(guest)
        assert (await says(b, guest.id)).power is PowerState.SHUTDOWN
        await b.tear_down(guest)

    case.run(test)


def test_a_paused_guest_that_was_saved_goes_on(case: Case) -> None:
    async def test(b: Bench) -> None:
        driver = MEMORY.of(b.driver)
        guest = await running(b)
        await b.driver.pause(guest.id)
        await driver.suspend(guest.id)
        assert (await says(b, guest.id)).power is PowerState.SUSPENDED
        await driver.resume(guest.id)
        assert (await says(b, guest.id)).power is PowerState.RUNNING
        await b.tear_down(guest)

    case.run(test)


RESCUE_IMAGE = ImageRef(ImageId("rescue"), "qcow2", 1, 1 << 24, "sum-of-rescue")


def test_a_guest_boots_from_its_rescue_disk_and_from_its_own_again(case: Case) -> None:
    async def test(b: Bench) -> None:
        driver = RESCUE_DISKS.of(b.driver)
        guest = b.instance()
        with pytest.raises(HypervisorError, match=r"no disk of its own|disk cannot be read"):
            await driver.make_disk(guest, b.base)
        assert b.files() == []
        await b.build(guest)
        for _ in range(2):
            await driver.make_disk(guest, b.base)
        rescued = replace(guest, rescue_image=RESCUE_IMAGE)
        await b.driver.define(rescued)
        assert await order(b, guest) in (["disk.rescue", "disk", "disk.config"], None)
        await b.driver.power_on(guest.id, "m")
        await b.driver.power_off(guest.id)
        for _ in range(2):
            await b.driver.define(guest)
            await driver.remove_disk(guest.id)
        assert await order(b, guest) in (["disk", "disk.config"], None)
        await b.driver.power_on(guest.id, "m")
        assert await b.power(guest.id) is PowerState.RUNNING
        await b.tear_down(guest)
        await b.build(guest)
        await driver.make_disk(guest, b.base)
        await b.tear_down(guest)
        assert b.files() == []

    case.run(test)


async def order(b: Bench, guest: Instance) -> list[str] | None:
    """The guest's disks in the order in which its definition names them; None where there is none to read."""
    if not isinstance(b.driver, LibvirtDriver):
        return None
    conn = await b.driver.proxy()
    document: str = await (await conn.lookupByUUIDString(guest.id)).XMLDesc(0)
    names = [Path(path).name for path in re.findall(r"<source file='([^']*)'", document)]
    return [name for name in names if name != b.base.path.name]


def test_a_replaced_disk_is_a_fresh_one_and_a_guest_that_needs_the_old_one_keeps_it(case: Case) -> None:
    async def test(b: Bench) -> None:
        driver, saves = DISK_REPLACEMENT.of(b.driver), MEMORY.of(b.driver)
        guest = await running(b)
        with pytest.raises(HypervisorError, match="not off"):
            await driver.replace_root_disk(guest, b.base)
        await saves.suspend(guest.id)
        with pytest.raises(HypervisorError, match="not off"):
            await driver.replace_root_disk(guest, b.base)
        await b.driver.power_off(guest.id)
        for _ in range(2):
            await driver.replace_root_disk(guest, b.base)
        await b.driver.power_on(guest.id, "m2")
        await b.tear_down(guest)
        await driver.replace_root_disk(guest, b.base)  # also where there was none
        await b.tear_down(guest)
        assert b.files() == []

    case.run(test)


def info(path: Path) -> str:
    argv = ["qemu-img", "info", str(path)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout


@pytest.mark.parametrize("case", [TEST, QEMU], indirect=True)
def test_the_new_disk_takes_the_place_of_the_old_one_whole(case: Case, tmp_path: Path) -> None:
    async def test(b: Bench) -> None:
        driver = DISK_REPLACEMENT.of(b.driver)
        guest = b.instance()
        await b.build(guest)
        root = b.settings.default.instances_path / guest.id / "disk"
        old = root.read_bytes()
        with pytest.raises(HypervisorError):
            await driver.replace_root_disk(guest, replace(b.base, path=tmp_path / "nowhere"))
        assert root.read_bytes() == old
        other = BaseImage(b.base.path.with_name("other.raw"), "raw", 3 << 20)
        other.path.write_bytes(bytes(3 << 20))
        other.path.chmod(0o644)
        await driver.replace_root_disk(guest, other)
        shown = info(root)
        assert f"backing file: {other.path}" in shown
        assert "backing file format: raw" in shown
        assert {path.name for path in root.parent.iterdir()} == {"disk", "disk.config"}
        await b.tear_down(guest)

    case.run(test)


@pytest.mark.parametrize("case", [FAKE, QEMU], indirect=True)
def test_a_running_guest_is_measured_and_no_other(case: Case) -> None:
    async def test(b: Bench) -> None:
        driver = DIAGNOSTICS.of(b.driver)
        guest = b.instance()
        with pytest.raises(InvalidState, match="not running"):
            await driver.read(guest.id)
        await b.build(guest)
        with pytest.raises(InvalidState, match="not running"):
            await driver.read(guest.id)
        await b.driver.power_on(guest.id, "m")
        found = await driver.read(guest.id)
        assert (found.state, len(found.cpus), found.memory_maximum_kib) == ("running", 1, 64 * 1024)
        assert found.disks[0].device == "vda"
        assert case.freeze is not None
        case.freeze(b, guest.id, True)
        await present(b.driver.liveness).probe_guest(guest.id)
        with pytest.raises(InvalidState, match=r"not respond|not running"):
            await driver.read(guest.id)
        case.freeze(b, guest.id, False)
        await b.tear_down(guest)

    case.run(test)


def test_a_read_only_driver_refuses_these_too(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        for change in (
            MEMORY.of(b.driver).suspend(guest.id),
            MEMORY.of(b.driver).resume(guest.id),
            RESCUE_DISKS.of(b.driver).make_disk(guest, b.base),
            RESCUE_DISKS.of(b.driver).remove_disk(guest.id),
            DISK_REPLACEMENT.of(b.driver).replace_root_disk(guest, b.base),
            RESIZING.of(b.driver).keep_disk(guest.id, "a"),
            RESIZING.of(b.driver).grow_disk(guest.id, 1),
            RESIZING.of(b.driver).restore_disk(guest.id, "a"),
            RESIZING.of(b.driver).drop_kept_disk(guest.id),
            present(b.driver.local_disks).keep(guest.id, "a"),
            present(b.driver.local_disks).fit(guest),
            present(b.driver.local_disks).restore(guest, "a"),
            CONSOLES.of(b.driver).open(guest.id),
        ):
            with pytest.raises(HypervisorError, match="read-only"):
                await change
        assert b.files() == []

    case.run(test, read_only=True)


@pytest.mark.parametrize("case", [FAKE, QEMU], indirect=True)
def test_a_frozen_guest_is_stopped_once_it_has_not_answered(case: Case) -> None:
    async def test(b: Bench) -> None:
        assert case.freeze is not None
        guest = await running(b)
        case.freeze(b, guest.id, True)
        now = b.virtapi.clock.now()
        legs = one_leg(HostName("h1"), Verb.STOP)
        action = Action(ActionId("a"), guest.id, Verb.STOP, "r", "u", "p", now, now, now + timedelta(seconds=300), legs)
        settings = replace(b.settings.default, shutdown_timeout=1.0)
        nothing: Any = None  # no image has a part in it
        job = Job(action, guest, Tools(b.driver, nothing, nothing, b.virtapi.clock, settings, "boot"))
        outcome = await Runner(Failpoints()).run(Run(job, OPERATIONS[Verb.STOP], "h1"))
        assert (outcome.succeeded, outcome.power) == (True, PowerState.SHUTDOWN)
        await b.tear_down(guest)

    impatient(case).run(test)


def impatient(case: Case) -> Case:
    """One call is waited for until its deadline."""
    return replace(case, settings=replace(case.settings, libvirt=replace(case.settings.libvirt, call_timeout=10.0)))


@pytest.mark.parametrize("asked", ["pause", "snapshot"])
@pytest.mark.parametrize("case", [QEMU], indirect=True)
def test_what_a_frozen_guest_was_asked_keeps_nobody_from_pulling_its_plug(case: Case, asked: str) -> None:
    """A delete, a stop, a hard reboot: what was asked does not come back before the guest does."""

    async def test(b: Bench) -> None:
        assert case.freeze is not None
        guest = await running(b)
        case.freeze(b, guest.id, True)
        copies = SNAPSHOTS.of(b.driver)
        with pytest.raises(NativeCallTimeout):
            await (b.driver.pause(guest.id) if asked == "pause" else copies.take(guest.id, "one", 60.0))
        for _ in range(5):  # as the runner does
            try:
                await b.driver.power_off(guest.id)
                break
            except HypervisorUnavailable:
                await asyncio.sleep(0.5)
        assert await b.power(guest.id) is PowerState.SHUTDOWN
        await b.tear_down(guest)

    impatient(case).run(test)
