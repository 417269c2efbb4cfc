# SPDX-License-Identifier: Apache-2.0
"""Builds fail on some hosts for a reason of the host, while messages are lost, doubled and late, and processes die.

Whatever the seed: a server that some host can build is ACTIVE there, and was started once; nothing of it is left on the
hosts where it failed, and no host holds a claim or an address for it.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kilonova.base.errors import HypervisorError
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import placements as read_placements
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import VmState
from tests.simulation.test_lost_and_doubled import HOSTS, Story, serving, settled
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, check_quotas, simulated

SERVERS = 12
FAILING = ("ensure_disks", "define", "power_on")


def is_bad(host: str, server_id: str) -> bool:
    """About half of the hosts cannot build a server."""
    return hashlib.sha256(f"{host}/{server_id}".encode()).digest()[0] < 0x90


def failing_call(host: str, server_id: str) -> str:
    return FAILING[hashlib.sha256(f"call/{host}/{server_id}".encode()).digest()[0] % len(FAILING)]


def break_hosts(world: World) -> None:
    for name, machine in world.machines.items():
        machine.before_call = _breaking(name, machine.before_call)


def _breaking(
    host: str, before: Callable[[str, InstanceId | None], Awaitable[Exception | None]] | None
) -> Callable[[str, InstanceId | None], Awaitable[Exception | None]]:
    async def hook(call: str, guest: InstanceId | None) -> Exception | None:
        if guest is not None and is_bad(host, guest) and call == failing_call(host, guest):
            raise HypervisorError("There is no room.")
        return None if before is None else await before(call, guest)

    return hook


async def check(story: Story) -> None:
    world = story.world
    guests = {(name, i): guest for name, machine in world.machines.items() for i, guest in machine.guests.items()}
    at: Counter[str] = Counter()
    for server_id in story.expected:
        instance = await world.db.read(read_instances.get, InstanceId(server_id))
        good = {host for host in HOSTS if not is_bad(host, server_id)}
        assert (instance.vm_state is VmState.ACTIVE) == bool(good), instance
        there = {host for host, guest in guests if guest == server_id}
        if good:
            assert instance.host in good
            assert there == {instance.host}
            assert guests[str(instance.host), InstanceId(server_id)].starts == 1
        else:
            assert there == set()
            assert instance.fault is not None
            assert instance.fault.message.count("There is no room.") == len(HOSTS)
        at[str(instance.host)] += 1
        await check_history(world, InstanceId(server_id))
    nodes = await world.db.read(read_hosts.list_nodes)
    assert {node.service.host: node.running_vms for node in nodes} == {host: at[host] for host in HOSTS}
    await check_quotas(world)


async def check_history(world: World, server_id: InstanceId) -> None:
    """Each host was tried once, in the order of the records, and each failure is an event."""
    (action,) = [one for one in await world.db.read(read_actions.of_instance, server_id) if one.verb == "create"]
    records = await world.db.read(read_placements.of_action, action.id)
    tried = [record.chosen for record in records.values()]
    assert tried == [leg.host for leg in action.legs if leg.undoes is None]
    assert len(set(tried)) == len(tried)
    events = await world.db.read(read_actions.events, action.id)
    moves = [event.host for event in events if event.name.startswith("conductor.reschedule.")]
    assert moves == tried[:-1]


async def story(seed: int, state: Path, *, loss: float, late: float, killings: int, deletes: float = 0.0) -> None:
    async with simulated(seed, state, hosts=HOSTS, loss=loss, doubling=loss, late=late) as world:
        story = Story(world, seed)
        await world.until(lambda: serving(world), within_s=120)
        image_id = await story.image()
        break_hosts(world)
        trouble = asyncio.ensure_future(story.trouble(killings))
        for n in range(SERVERS):
            await story.create(f"server-{n}", image_id)
        for server_id in sorted(story.expected):
            await asyncio.sleep(story.random.uniform(0, 0.5))
            if story.random.random() < deletes:
                assert (await world.http.delete(f"/compute/v2.1/servers/{server_id}")).status_code == 204
                del story.expected[server_id]
        await trouble
        await world.until(lambda: settled(world), within_s=900)
        await asyncio.sleep(300)  # late messages: nothing may change any more
        await check(story)
        for server_id in sorted(story.expected):
            assert (await world.http.delete(f"/compute/v2.1/servers/{server_id}")).status_code == 204
        await world.until(lambda: settled(world), within_s=900)
        story.expected.clear()
        await check(story)
        assert not any(machine.guests for machine in world.machines.values())


@pytest.mark.parametrize("seed", range(4))
def test_lost_doubled_and_late_messages(seed: int, tmp_path: Path) -> None:
    run_virtually(story(seed, tmp_path, loss=0.06, late=0.04, killings=0))


@pytest.mark.parametrize("seed", range(100, 106))
def test_processes_that_die_and_come_back(seed: int, tmp_path: Path) -> None:
    run_virtually(story(seed, tmp_path, loss=0.03, late=0.03, killings=8))


@pytest.mark.parametrize("seed", range(200, 204))
def test_deletes_in_the_middle(seed: int, tmp_path: Path) -> None:
    run_virtually(story(seed, tmp_path, loss=0.03, late=0.03, killings=4, deletes=0.5))
