# SPDX-License-Identifier: Apache-2.0
"""Outages that are longer than every deadline: what is recorded afterwards is what the hypervisor has."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kilonova.conductor.watch import deadlines
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import VERBS, ActionState, PowerState, Verb
from kilonova.rpc.memory import Fate
from tests.simulation.test_host_boot import loses_power
from tests.simulation.test_lost_and_doubled import LARGE, Story, settled
from tests.simulation.test_outages import in_service, mend
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, check_quotas, simulated

HOUR = 3600.0
ON_ITS_WAY_S = 3.0
"""A fetch that the host sent before has arrived by then: it could still receive an action."""


async def slow(_call: str, _guest: object) -> None:
    """Every action is in hand for longer than a look at the database takes to come by."""
    await asyncio.sleep(0.6)


def play(tmp_path: Path, test: Callable[[World, Story], Awaitable[None]]) -> None:
    async def main() -> None:
        async with simulated(5, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            await in_service(world, "a", True)
            world.machines["a"].before_call = slow
            await test(world, Story(world, 5))

    run_virtually(main())


async def made(world: World, told: Story, count: int = 1) -> list[str]:
    told.other_image = await told.image(2 << 20)
    image_id = await told.image()
    for n in range(count):
        await told.create(f"s{n}", image_id)
    await world.until(lambda: settled(world), within_s=300)
    return sorted(told.expected)


async def act(world: World, server_id: str, body: Any) -> None:
    reply = await world.http.post(f"/compute/v2.1/servers/{server_id}/action", json=body)
    assert reply.status_code < 300, reply.text


async def record(world: World, server_id: str) -> Instance:
    return (await world.db.read(read_instances.get_known, InstanceId(server_id)))[0]


async def show(world: World, server_id: str) -> dict[str, Any]:
    return (await world.http.get(f"/compute/v2.1/servers/{server_id}")).json()["server"]


async def claimed(world: World) -> tuple[int, int]:
    (node,) = await world.db.read(read_hosts.list_nodes)
    return node.running_vms, node.vcpus_used


async def newest(world: World, server_id: str) -> dict[str, Any]:
    actions = await world.http.get(f"/compute/v2.1/servers/{server_id}/os-instance-actions")
    return actions.json()["instanceActions"][0]


async def in_hand(world: World) -> bool:
    return any(action.attempt is not None for action in await world.db.read(read_actions.all_open))


async def cut_while_at_work(world: World, outage_s: float) -> None:
    """The host has the work; then nothing that it says arrives, for so long."""
    await world.until(lambda: in_hand(world), within_s=60)
    of_host = ("conductor.host", "heartbeat", "compute")
    world.hub.fate = lambda subject: Fate(()) if subject.startswith(of_host) else world.network.fate(subject)
    await world.clock.sleep(outage_s)


def test_a_create_whose_host_was_cut_off_past_its_deadline_is_active(tmp_path: Path) -> None:
    async def test(world: World, told: Story) -> None:
        image_id = await told.image()
        await told.create("s", image_id)
        (server_id,) = told.expected
        await cut_while_at_work(world, 2 * HOUR)
        assert (await show(world, server_id))["status"] == "BUILD"
        assert "Waiting for host a, which is down since" in (await newest(world, server_id))["message"]
        mend(world)
        await world.until(lambda: settled(world), within_s=120)
        assert (await show(world, server_id))["status"] == "ACTIVE"
        assert world.machines["a"].guests[InstanceId(server_id)].starts == 1

    play(tmp_path, test)


RESIZED = {"resize": {"flavorRef": LARGE}}


@pytest.mark.parametrize(
    ("before", "body", "flavor", "status"),
    [
        (None, RESIZED, LARGE, "VERIFY_RESIZE"),
        (RESIZED, {"revertResize": None}, "1", "ACTIVE"),
        (RESIZED, {"confirmResize": None}, LARGE, "ACTIVE"),
        (None, {"pause": None}, "1", "PAUSED"),
        (None, {"os-stop": None}, "1", "SHUTOFF"),
        (None, {"createImage": {"name": "i"}}, "1", "ACTIVE"),
    ],
)
def test_what_a_host_did_while_it_was_cut_off_is_what_is_recorded(
    tmp_path: Path, before: Any, body: Any, flavor: str, status: str
) -> None:
    async def test(world: World, told: Story) -> None:
        (server_id,) = await made(world, told)
        if before is not None:
            await act(world, server_id, before)
            await world.until(lambda: settled(world), within_s=300)
        await act(world, server_id, body)
        await cut_while_at_work(world, max(rule.deadline_s for rule in VERBS.values()) + HOUR)
        mend(world)
        await world.until(lambda: settled(world), within_s=300)
        shown, guest = await show(world, server_id), world.machines["a"].guests[InstanceId(server_id)]
        kept = await record(world, server_id)
        assert shown["status"] == status
        assert guest.definition is not None
        assert kept.flavor.id == guest.definition.flavor.id == flavor
        assert (kept.power_state, kept.new_flavor) == (guest.power, None)
        await check_quotas(world)

    play(tmp_path, test)


def test_a_delete_while_its_host_is_down_is_done_for_its_user_and_finished_when_it_returns(tmp_path: Path) -> None:
    async def test(world: World, told: Story) -> None:
        before, after, _ = servers = await made(world, told, 3)
        # One is accepted while the host still counts as up, one when it is known to be down.
        await world.hosts["a"].kill()
        assert (await world.http.delete(f"/compute/v2.1/servers/{before}")).status_code == 204
        await world.clock.sleep(120)
        assert (await world.http.delete(f"/compute/v2.1/servers/{after}")).status_code == 204
        listed = (await world.http.get("/compute/v2.1/servers")).json()["servers"]
        assert {one["id"] for one in listed} == set(servers) - {before, after}
        await check_quotas(world)
        assert await claimed(world) == (3, 3), "the host still has them"
        await world.clock.sleep(10 * HOUR)
        assert len(world.machines["a"].guests) == 3
        world.hosts["a"].start()
        await world.until(lambda: settled(world), within_s=300)
        assert set(world.machines["a"].guests) == set(servers) - {before, after}
        assert await claimed(world) == (1, 1)
        assert {a.state for a in await world.db.read(read_actions.of_instance, InstanceId(before))} == {
            ActionState.DONE
        }

    play(tmp_path, test)


async def call_down(world: World, down: bool) -> None:
    found = (await world.http.get("/compute/v2.1/os-services?binary=nova-compute&host=a")).json()["services"]
    reply = await world.http.put(f"/compute/v2.1/os-services/{found[0]['id']}", json={"forced_down": down})
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("dies", [True, False])
def test_an_operator_who_calls_a_host_down_ends_the_wait_and_one_who_takes_it_back_gets_the_truth(
    tmp_path: Path, dies: bool
) -> None:
    async def test(world: World, told: Story) -> None:
        resized, stopped = await made(world, told, 2)
        await act(world, resized, RESIZED)
        await world.until(lambda: in_hand(world), within_s=60)
        world.hub.fate = lambda subject: Fate(()) if "conductor.host" in subject else world.network.fate(subject)
        await world.clock.sleep(ON_ITS_WAY_S)
        await act(world, stopped, {"os-stop": None})  # never handed out
        if dies:
            await world.hosts["a"].kill()
        await world.clock.sleep(120)
        await call_down(world, True)
        shown = await show(world, resized)
        assert shown["status"] == "ERROR"
        assert "It continues if the operator takes the host back" in shown["fault"]["message"]
        assert (await show(world, stopped))["status"] == "ACTIVE"
        assert "forced host a down before stop began" in (await newest(world, stopped))["message"]
        if dies:
            world.hosts["a"].start()
        mend(world)
        await world.clock.sleep(HOUR)
        await call_down(world, False)
        await world.until(lambda: settled(world), within_s=300)
        guest, kept = world.machines["a"].guests[InstanceId(resized)], await record(world, resized)
        assert (await show(world, resized))["status"] == "VERIFY_RESIZE"
        assert guest.definition is not None
        assert kept.flavor.id == guest.definition.flavor.id == LARGE
        assert world.machines["a"].guests[InstanceId(stopped)].power is PowerState.RUNNING
        await check_quotas(world)

    play(tmp_path, test)


def test_an_abandoned_action_does_not_go_on_after_something_else_was_asked(tmp_path: Path) -> None:
    async def test(world: World, told: Story) -> None:
        (server_id,) = await made(world, told)
        await act(world, server_id, RESIZED)
        await world.until(lambda: in_hand(world), within_s=60)
        await world.hosts["a"].kill()
        await world.clock.sleep(120)
        await call_down(world, True)
        assert (await world.http.delete(f"/compute/v2.1/servers/{server_id}")).status_code == 204
        await call_down(world, False)
        world.hosts["a"].start()
        await world.until(lambda: settled(world), within_s=300)
        await world.clock.sleep(600)
        assert world.machines["a"].guests == {}
        assert await claimed(world) == (0, 0)
        await check_quotas(world)

    play(tmp_path, test)


def test_a_host_whose_time_is_up_ends_the_action_itself_and_undoes_it(tmp_path: Path) -> None:
    async def test(world: World, told: Story) -> None:
        (server_id,) = await made(world, told)
        machine = world.machines["a"]
        usual = machine.before_call

        async def never(call: str, guest: object) -> Exception | None:
            if call == "keep_disk":
                await world.clock.sleep(100 * HOUR)
            return await usual(call, guest) if usual is not None else None  # type: ignore[arg-type]

        machine.before_call = never
        await act(world, server_id, RESIZED)
        await world.until(lambda: settled(world), within_s=VERBS[Verb.RESIZE].deadline_s + 120)
        assert (await show(world, server_id))["status"] == "ACTIVE"
        assert "resize did not end within its deadline" in (await newest(world, server_id))["message"]
        guest = machine.guests[InstanceId(server_id)]
        assert (guest.power, guest.kept_disk) == (PowerState.RUNNING, None)

    play(tmp_path, test)


def test_a_stop_that_failed_leaves_the_wish_to_run(tmp_path: Path) -> None:
    async def test(world: World, told: Story) -> None:
        one, two = await made(world, told, 2)
        await world.hosts["a"].kill()
        await world.clock.sleep(ON_ITS_WAY_S)
        await act(world, one, {"os-stop": None})
        await world.clock.sleep(VERBS[Verb.STOP].deadline_s + 60)
        assert "did not begin within its deadline" in (await newest(world, one))["message"]
        world.hosts["a"].start()
        await in_service(world, "a", True)
        await loses_power(world, "a")
        await world.clock.sleep(600)
        assert {(await show(world, server_id))["status"] for server_id in (one, two)} == {"ACTIVE"}

    play(tmp_path, test)


def test_one_action_that_cannot_be_ended_keeps_no_other_open(tmp_path: Path) -> None:
    async def test(world: World, told: Story) -> None:
        odd, other = await made(world, told, 2)
        await world.hosts["a"].kill()
        await world.clock.sleep(ON_ITS_WAY_S)
        for server_id in (odd, other):
            await act(world, server_id, {"os-stop": None})
        write = world.db.write

        async def refuse(fn: Any, *args: Any, **words: Any) -> Any:
            if fn is deadlines.expire and (await world.db.read(read_actions.get, args[0])).instance_id == odd:
                raise ZeroDivisionError("a defect of ours")
            return await write(fn, *args, **words)

        world.db.write = refuse  # type: ignore[method-assign]
        await world.clock.sleep(VERBS[Verb.STOP].deadline_s + 60)
        assert "did not begin within its deadline" in (await newest(world, other))["message"]
        assert (await show(world, odd))["OS-EXT-STS:task_state"] == "powering-off"

    play(tmp_path, test)
