# SPDX-License-Identifier: Apache-2.0
"""What every driver with screens promises: on the fake, and on QEMU."""

import asyncio
from dataclasses import replace

import pytest

from kilonova.base.errors import HypervisorError, InvalidState, NotSupported
from kilonova.config.vnc import VncSettings
from kilonova.objects.states import PowerState
from kilonova.virt.capabilities import SCREENS
from tests.contract.drivers import (
    FAKE,
    QEMU,
    TEST,
    Bench,
    Case,
    libvirt_qemu_case,
    private_daemon,
    state_directory,
)
from tests.rfb import Viewer, colours


@pytest.mark.parametrize("case", [FAKE, QEMU], indirect=True)
def test_a_screen_shows_a_picture_to_several_viewers_until_the_guest_is_off(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest, screens = b.instance(), SCREENS.of(b.driver)
        for reach in (screens.check, screens.open):
            with pytest.raises(InvalidState, match="not running"):
                await reach(guest.id)
        await b.build(guest)
        await b.driver.power_on(guest.id, "m")
        await screens.check(guest.id)
        sessions = [await screens.open(guest.id) for _ in range(2)]
        viewers = [Viewer(one.read, one.write) for one in sessions]
        for viewer in viewers:
            await viewer.connect()
        async with asyncio.timeout(60):
            shown = await viewers[0].look()
            while len(colours(shown)) < 2:
                shown = await viewers[0].look(incremental=True)
        assert len(colours(await viewers[1].look())) >= 2
        await b.driver.pause(guest.id)
        await (await screens.open(guest.id)).close()
        await b.driver.power_off(guest.id)
        async with asyncio.timeout(20):
            for one in sessions:
                while await one.read():
                    pass
                assert "guest" in one.ended
                with pytest.raises(HypervisorError, match="guest"):
                    await one.write(b"x")
                await one.close()

    case.run(test)


@pytest.mark.live
def test_a_guest_from_before_screens_runs_on_and_says_what_to_do() -> None:
    with private_daemon() as daemon, state_directory() as directory:
        case = libvirt_qemu_case(directory, daemon)
        guest = case.instance()
        before = replace(case, settings=replace(case.settings, vnc=VncSettings(enabled=False)))

        async def build(b: Bench) -> None:
            await b.build(guest)
            await b.driver.power_on(guest.id, "before")
            with pytest.raises(NotSupported, match="screen"):
                SCREENS.of(b.driver)

        async def ask(b: Bench) -> None:
            for reach in (SCREENS.of(b.driver).check, SCREENS.of(b.driver).open):
                with pytest.raises(InvalidState, match="A hard reboot gives it one"):
                    await reach(guest.id)
            assert await b.power(guest.id) is PowerState.RUNNING
            await b.driver.power_off(guest.id)  # what a hard reboot does
            await b.driver.define(guest)
            await b.driver.power_on(guest.id, "after")
            await SCREENS.of(b.driver).check(guest.id)
            await b.tear_down(guest)

        before.run(build)
        case.run(ask)


@pytest.mark.parametrize("case", [TEST], indirect=True)
def test_where_the_hypervisor_has_no_screens_the_session_is_refused(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        await b.driver.power_on(guest.id, "m")
        with pytest.raises(InvalidState, match="without a screen"):
            await SCREENS.of(b.driver).open(guest.id)
        await b.tear_down(guest)

    case.run(test)
