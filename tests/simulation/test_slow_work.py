# SPDX-License-Identifier: Apache-2.0
"""Work that takes long, or never ends, holds up nothing but itself."""

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from kilonova.base.errors import HypervisorUnavailable, TooLarge
from kilonova.compute.runner import UNDO_S
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.objects.action import Action
from kilonova.objects.guest import GuestState
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import VERBS, ActionState, PowerState, Verb
from kilonova.rpc import wire
from kilonova.rpc.bus import Handler
from kilonova.rpcapi.host_to_conductor import SUBJECT
from kilonova.virt.fake import FakeDriver
from tests.simulation.test_host_boot import all_run, loses_power
from tests.simulation.test_lost_and_doubled import LARGE, Story, settled
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated


async def box(world: World, servers: int) -> Story:
    """One host with so many servers that run."""
    told = Story(world, world.seed)
    image_id = await told.image()
    for n in range(servers):
        await told.create(f"server-{n}", image_id)
    await world.until(lambda: settled(world), within_s=300)
    return told


def test_starts_whose_calls_never_come_back_keep_no_other_guest_from_starting(tmp_path: Path) -> None:
    """After the host's boot; as many as may be started at a time."""

    async def main() -> None:
        async with simulated(3, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            told = await box(world, 8)
            most = world.settings.default.max_concurrent_resumes
            stuck, others = sorted(told.expected)[:most], sorted(told.expected)[most:]

            async def hang(call: str, guest: object) -> None:
                if call == "power_on" and guest in stuck:
                    raise HypervisorUnavailable("An earlier call has not come back.", host="a")

            world.machines["a"].before_call = hang
            await loses_power(world, "a")
            await world.until(lambda: all_run(world, others), within_s=300)
            world.machines["a"].before_call = None
            await world.until(lambda: all_run(world, stuck), within_s=60)
            await world.until(lambda: settled(world), within_s=60)

    run_virtually(main())


def test_an_action_whose_call_never_returns_names_its_host_and_ends_with_an_unknown_state(tmp_path: Path) -> None:
    async def main() -> None:
        async with simulated(3, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            (server_id,) = (await box(world, 1)).expected
            path, machine = f"/compute/v2.1/servers/{server_id}", world.machines["a"]

            async def newest() -> Action:
                return (await world.db.read(read_actions.of_instance, InstanceId(server_id)))[0]

            async def says(text: str) -> bool:
                return text in ((await newest()).message or "")

            async def has_ended() -> bool:
                return (await newest()).state is ActionState.FAILED

            machine.late[InstanceId(server_id)] = asyncio.get_running_loop().create_future()
            assert (await world.http.post(f"{path}/action", json={"pause": None})).status_code == 202
            await world.until(lambda: says("Waiting for host a"), within_s=VERBS[Verb.PAUSE].deadline_s + 60)
            await world.until(has_ended, within_s=UNDO_S + 120)
            assert await says("did not end within its deadline")
            assert await is_shown(world, server_id, "UNKNOWN")
            machine.late.pop(InstanceId(server_id)).set_result(None)
            await world.until(lambda: is_shown(world, server_id, "ACTIVE"), within_s=120)

    run_virtually(main())


def test_a_delete_does_not_wait_for_the_copy_of_a_large_disk(tmp_path: Path) -> None:
    async def main() -> None:
        async with simulated(3, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            (server_id,) = (await box(world, 1)).expected
            copying = asyncio.Event()

            async def slow(call: str, _guest: object) -> None:
                if call == "keep_disk":
                    copying.set()
                    await asyncio.sleep(2900)

            world.machines["a"].before_call = slow
            path = f"/compute/v2.1/servers/{server_id}"
            reply = await world.http.post(f"{path}/action", json={"resize": {"flavorRef": LARGE}})
            assert reply.status_code == 202
            await copying.wait()
            assert (await world.http.delete(path)).status_code == 204
            await world.until(lambda: settled(world), within_s=60)
            assert (await world.http.get(path)).status_code == 404
            assert InstanceId(server_id) not in world.machines["a"].guests

    run_virtually(main())


def test_work_that_is_too_much_for_one_message_comes_in_several(tmp_path: Path) -> None:
    """Servers with the largest user data that there may be, all accepted while their host was away."""

    async def main() -> None:
        async with simulated(3, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            told = await box(world, 0)
            image_id = await told.image()
            await world.until(lambda: has_host(world), within_s=60)
            await world.hosts["a"].kill()
            (for_hosts,) = (one for one in world.hub.subscriptions if one.pattern == SUBJECT)
            for_hosts.handler = no_larger_than_nats_takes(for_hosts.handler)
            data = base64.b64encode(bytes(49149)).decode()
            server = {"name": "s", "imageRef": image_id, "flavorRef": "1", "networks": "auto", "user_data": data}
            for _ in range(20):
                reply = await world.http.post("/compute/v2.1/servers", json={"server": server})
                assert reply.status_code == 202, reply.text
            await world.clock.sleep(5)  # they are placed on the host that is silent only since a moment
            world.hosts["a"].start()
            await world.until(lambda: settled(world), within_s=60)
            assert len(world.machines["a"].guests) == 20

    run_virtually(main())


async def has_host(world: World) -> bool:
    return bool(await world.db.read(read_hosts.list_nodes))


def no_larger_than_nats_takes(handler: Handler) -> Handler:
    """As a server of NATS is that nobody has told otherwise (its max_payload)."""

    async def limited(subject: str, payload: bytes) -> bytes:
        answer = await handler(subject, payload)
        return answer if len(answer) <= 1 << 20 else wire.encode_error(TooLarge("It is over the bus's limit."))

    return limited


def test_a_bulk_read_that_took_long_is_not_the_last_word_on_a_guest(tmp_path: Path) -> None:
    """What it saw of a guest was true when it saw it; an action has begun and ended since."""

    async def main() -> None:
        async with simulated(3, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            (server_id,) = (await box(world, 1)).expected
            machine = world.machines["a"]
            driver = cast("FakeDriver", machine.drivers[0])
            read, saw, go_on = driver.guest_states, asyncio.Event(), asyncio.Event()

            async def slowly() -> Mapping[InstanceId, GuestState]:
                task = asyncio.current_task()
                if task is None or task.get_name() != "power sync":
                    return await read()
                machine.move(InstanceId(server_id), PowerState.PAUSED, "user")
                seen = await read()
                saw.set()
                await go_on.wait()
                return seen

            driver.guest_states = slowly  # type: ignore[method-assign]
            await saw.wait()
            driver.guest_states = read  # type: ignore[method-assign]
            await world.until(lambda: is_shown(world, server_id, "PAUSED"), within_s=20)
            await world.http.post(f"/compute/v2.1/servers/{server_id}/action", json={"unpause": None})
            await world.until(lambda: settled(world), within_s=20)
            assert await is_shown(world, server_id, "ACTIVE")
            await world.clock.sleep(5)  # its own event has been looked at, too
            go_on.set()
            await world.clock.sleep(10)
            assert await is_shown(world, server_id, "ACTIVE")

    run_virtually(main())


async def is_shown(world: World, server_id: str, status: str) -> bool:
    return (await world.http.get(f"/compute/v2.1/servers/{server_id}")).json()["server"]["status"] == status
