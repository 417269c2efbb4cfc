# SPDX-License-Identifier: Apache-2.0
"""Two verbs are asked of one server at the same moment: they happen one after the other, or one is refused."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kilonova.db.readers import actions as read_actions
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import ActionState
from tests.simulation.test_lost_and_doubled import LARGE, Story, settled
from tests.simulation.test_outages import in_service
from tests.simulation.test_truth_after_outages import made, record, show
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, check_quotas, simulated

ASKED: dict[str, tuple[Any, str]] = {
    "stop": ({"os-stop": None}, "SHUTOFF"),
    "pause": ({"pause": None}, "PAUSED"),
    "reboot": ({"reboot": {"type": "HARD"}}, "ACTIVE"),
    "resize": ({"resize": {"flavorRef": LARGE}}, "VERIFY_RESIZE"),
    "rescue": ({"rescue": {}}, "RESCUE"),
    "suspend": ({"suspend": None}, "SUSPENDED"),
    "createImage": ({"createImage": {"name": "i"}}, "ACTIVE"),
}


async def ask(world: World, server_id: str, verb: str) -> bool:
    reply = await world.http.post(f"/compute/v2.1/servers/{server_id}/action", json=ASKED[verb][0])
    assert reply.status_code < 300 or reply.status_code == 409, reply.text
    return reply.status_code < 300


async def judge(world: World, server_id: str, accepted: list[str]) -> None:
    shown, kept = await show(world, server_id), await record(world, server_id)
    found = await world.db.read(read_actions.of_instance, InstanceId(server_id))
    actions = [action for action in found if action.is_requested]
    assert sorted(action.verb.value for action in actions if action.verb != "create") == sorted(accepted)
    done = [action.verb.value for action in actions if action.state is ActionState.DONE]
    assert shown["status"] == (ASKED[done[0]][1] if done[0] in ASKED else "ACTIVE")
    guest = world.machines["a"].guests[InstanceId(server_id)]
    assert guest.definition is not None
    assert (guest.power, guest.definition.flavor.id) == (kept.power_state, kept.flavor.id)


@pytest.mark.parametrize("seed", range(6))
def test_one_of_two_is_refused_or_comes_after_the_other(seed: int, tmp_path: Path) -> None:
    async def main() -> None:
        async with simulated(seed, tmp_path, hosts=("a",), loss=0, doubling=0.1) as world:
            await in_service(world, "a", True)
            await world.clock.sleep(10)  # the bulk read of the host's start has ended
            told = Story(world, seed)
            for server_id in await made(world, told, 6):
                verbs = told.random.sample(sorted(ASKED), 2)
                answers = await asyncio.gather(*(ask(world, server_id, verb) for verb in verbs))
                accepted = [verb for verb, yes in zip(verbs, answers, strict=True) if yes]
                assert accepted
                await world.until(lambda: settled(world), within_s=600)
                await judge(world, server_id, accepted)
            await check_quotas(world)

    run_virtually(main())
