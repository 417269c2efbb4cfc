# SPDX-License-Identifier: Apache-2.0
"""The fake's own hands: faults, restarts, accidents.  What it shares with real drivers is in the contract suite."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kilonova.base.errors import HypervisorError, HypervisorUnavailable, OutcomeUnknown
from kilonova.base.tasks import Supervisor
from kilonova.config.load import load
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.base_image import BaseImage
from kilonova.virt.fake import FakeDriver
from kilonova.virt.fake.machine import CutOff, FakeHypervisor
from tests.contract.drivers import Bench, RecordingVirtAPI


def play(hypervisor: FakeHypervisor, test: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        settings = load()
        virtapi = RecordingVirtAPI()
        driver = FakeDriver(virtapi, settings, hypervisor=hypervisor)
        async with Supervisor(virtapi.clock) as tasks:
            await driver.init_host(tasks)
            await test(Bench(driver, virtapi, BaseImage(Path("/nowhere"), "raw", 1), settings, obeys_acpi=True))
            await driver.cleanup_host()

    asyncio.run(main())


def test_guests_run_on_while_the_service_restarts() -> None:
    async def before(b: Bench) -> None:
        guest = b.instance()
        ids.append(guest.id)
        await b.build(guest)
        await b.driver.power_on(guest.id, "mark")

    async def after(b: Bench) -> None:
        state = (await b.driver.guest_states())[ids[0]]
        assert (state.power, state.start_token) == (PowerState.RUNNING, "mark")

    ids: list[InstanceId] = []
    hypervisor = FakeHypervisor()
    play(hypervisor, before)
    assert hypervisor.drivers == []
    play(hypervisor, after)


def test_a_call_may_be_slow_or_fail_before_or_after() -> None:
    async def hook(name: str, instance_id: InstanceId | None) -> Exception | None:
        calls.append(name)
        await asyncio.sleep(0)
        if name == "define":
            raise HypervisorError("before")
        return HypervisorUnavailable("after") if name == "power_on" else None

    async def test(b: Bench) -> None:
        guest = b.instance()
        with pytest.raises(HypervisorError, match="before"):
            await b.build(guest)
        assert await b.driver.guest_state(guest.id) is None
        hypervisor.guests[guest.id].definition = guest
        with pytest.raises(HypervisorUnavailable, match="after"):
            await b.driver.power_on(guest.id, "m")
        assert await b.power(guest.id) is PowerState.RUNNING

    calls: list[str] = []
    hypervisor = FakeHypervisor(before_call=hook)
    play(hypervisor, test)
    assert calls[:4] == ["ensure_disks", "ensure_config_drive", "ensure_network", "define"]


def test_an_outage_refuses_every_call_and_its_end_has_all_guests_looked_at() -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        hypervisor.go_away("pulled")
        assert b.virtapi.enabled[-1] == (False, "pulled")
        with pytest.raises(HypervisorUnavailable, match="pulled"):
            await b.driver.guest_states()
        hypervisor.crash(guest.id)
        await asyncio.sleep(0)
        assert b.virtapi.events == []
        hypervisor.come_back()
        await asyncio.sleep(0)
        assert b.virtapi.in_service
        assert [(event.instance_id, event.kind) for event in b.virtapi.events] == [(guest.id, "reconnected")]

    hypervisor = FakeHypervisor()
    play(hypervisor, test)


def test_accidents() -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        await b.driver.power_on(guest.id, "m")
        hypervisor.crash(guest.id)
        assert await b.power(guest.id) is PowerState.CRASHED
        await b.driver.power_on(guest.id, "m2")
        told = len(b.virtapi.events)
        hypervisor.lose_power()
        await asyncio.sleep(0)
        assert await b.power(guest.id) is PowerState.SHUTDOWN
        assert len([e for e in b.virtapi.events[told:] if e.detail == "unknown"]) == 0
        await b.driver.power_on(guest.id, "m3")
        hypervisor.obeys_acpi = False
        await b.driver.shutdown(guest.id)
        await asyncio.sleep(0)
        assert await b.power(guest.id) is PowerState.RUNNING
        assert hypervisor.guests[guest.id].starts == 3
        await b.tear_down(guest)
        assert hypervisor.guests == {}

    hypervisor = FakeHypervisor()
    play(hypervisor, test)


def test_a_call_that_was_cut_off_happens_late_and_its_guest_is_not_judged_before() -> None:
    async def hook(name: str, _instance_id: InstanceId | None) -> Exception | None:
        cuts = calls.pop(name, 0.0)
        return CutOff(cuts) if cuts else None

    async def test(b: Bench) -> None:
        guest, other = b.instance(), b.instance()
        await b.build(guest)
        await b.build(other)
        calls["power_on"] = 0.2
        with pytest.raises(OutcomeUnknown):
            await b.driver.power_on(guest.id, "m")
        assert (await b.driver.guest_states())[guest.id].power is PowerState.SHUTDOWN
        await b.driver.power_on(other.id, "m")
        assert hypervisor.guests[guest.id].starts == 0
        state = await b.driver.guest_state(guest.id)
        assert (state and state.power, state and state.start_token) == (PowerState.RUNNING, "m")

        calls["undefine"] = 0.1
        with pytest.raises(OutcomeUnknown):
            await b.driver.undefine(guest.id)
        assert await b.power(guest.id) is PowerState.RUNNING  # it was refused, and nobody heard of it

    calls: dict[str, float] = {}
    hypervisor = FakeHypervisor(before_call=hook)
    play(hypervisor, test)
