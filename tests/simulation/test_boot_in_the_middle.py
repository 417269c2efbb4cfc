# SPDX-License-Identifier: Apache-2.0
"""The whole box loses power in the middle of an action: afterwards every server that should run runs."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from tests.simulation.test_lost_and_doubled import LARGE, Story, settled
from tests.simulation.test_outages import in_service
from tests.simulation.test_truth_after_outages import act, made, record, show
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, check_quotas, simulated

MINUTE, NIGHT = 60.0, 12 * 3600.0
RESIZED = {"resize": {"flavorRef": LARGE}}


async def stand_still_at(world: World, call: str, guest_id: str) -> asyncio.Event:
    """The driver's next such call for the guest never comes back."""
    reached = asyncio.Event()

    async def hook(name: str, guest: object) -> None:
        await asyncio.sleep(0.05)
        if (name, guest) == (call, guest_id):
            reached.set()
            await asyncio.Event().wait()

    world.machines["a"].before_call = hook
    return reached


async def box_loses_power(world: World, outage_s: float) -> None:
    machine = world.machines["a"]
    await world.conductor.kill()
    await world.hosts["a"].kill()
    machine.drivers.clear()
    machine.lose_power()
    machine.before_call = None
    world.boots["a"] += 1
    await world.clock.sleep(outage_s)
    world.conductor.start()
    world.hosts["a"].start()


@pytest.mark.parametrize("outage_s", [MINUTE, NIGHT])
@pytest.mark.parametrize(
    ("before", "body", "call", "status"),
    [
        (None, {"createImage": {"name": "x"}}, "read_snapshot", "ACTIVE"),
        (None, {"createBackup": {"name": "x", "backup_type": "daily", "rotation": 1}}, "take_snapshot", "ACTIVE"),
        (None, {"pause": None}, "pause", "ACTIVE"),
        (None, {"reboot": {"type": "SOFT"}}, "define", "ACTIVE"),
        (None, RESIZED, "keep_disk", "VERIFY_RESIZE"),
        (RESIZED, {"confirmResize": None}, "drop_kept_disk", "ACTIVE"),
        (RESIZED, {"revertResize": None}, "restore_disk", "ACTIVE"),
        (None, {"rescue": {}}, "define", "RESCUE"),
        (None, {"shelve": None}, "take_snapshot", "SHELVED_OFFLOADED"),
        (None, {"os-stop": None}, "power_off", "SHUTOFF"),
        (None, {"suspend": None}, "suspend", "ACTIVE"),
    ],
)
def test_what_should_run_runs(tmp_path: Path, before: Any, body: Any, call: str, status: str, outage_s: float) -> None:
    async def main() -> None:
        async with simulated(6, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            await in_service(world, "a", True)
            told = Story(world, 6)
            server_id, alone = await made(world, told, 2)
            if before is not None:
                await act(world, server_id, before)
                await world.until(lambda: settled(world), within_s=300)
            reached = await stand_still_at(world, call, server_id)
            if call == "power_off":
                world.machines["a"].obeys_acpi = False
            await act(world, server_id, body)
            async with asyncio.timeout(120):
                await reached.wait()
            await box_loses_power(world, outage_s)
            await in_service(world, "a", True)
            await world.clock.sleep(20)
            await world.until(lambda: settled(world), within_s=600)
            assert (await show(world, alone))["status"] == "ACTIVE"
            assert (await show(world, server_id))["status"] == status
            kept = await record(world, server_id)
            if kept.host is not None:
                power = world.machines["a"].guests[InstanceId(server_id)].power
                assert power is kept.power_state
                assert (power is PowerState.RUNNING) == (status in ("ACTIVE", "RESCUE", "VERIFY_RESIZE"))
                assert power is kept.desired_power
            await check_quotas(world)

    run_virtually(main())
