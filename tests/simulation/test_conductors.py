# SPDX-License-Identifier: Apache-2.0
"""Several conductors share one database: one of them is killed, stands still, is cut off, or has another time."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from kilonova.base.errors import HostSuperseded
from kilonova.conductor.hosts import processes
from kilonova.conductor.placement import place
from kilonova.conductor.watch import deadlines
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.hosts import HostLevel
from kilonova.db.writers import rounds
from kilonova.objects.ids import HostName
from kilonova.objects.states import VERBS, PowerState, Verb
from kilonova.rpc.memory import Fate
from tests.simulation.test_clock_jumps import create as create_without_network
from tests.simulation.test_lost_and_doubled import settled
from tests.simulation.test_outages import create, image, in_service
from tests.simulation.test_two_processes import adopt, created, epoch, has_ended, statuses
from tests.simulation.virtual import run_virtually
from tests.simulation.world import Troubles, World, simulated

MINUTE = 60.0


def play(
    tmp_path: Path, test: Callable[[World], Awaitable[None]], *, second: Troubles | None = None, skew_s: float = 0
) -> None:
    """Two conductors, which start at the same time, and two hosts."""

    async def main() -> None:
        async with simulated(11, tmp_path, hosts=("a", "b"), loss=0, doubling=0) as world:
            world.add_conductor("second", second or Troubles(skew=timedelta(seconds=skew_s)))
            await in_service(world, "a", True)
            await in_service(world, "b", True)
            await test(world)

    run_virtually(main())


async def levels(world: World) -> dict[str, HostLevel]:
    return {level.host: level for level in await world.db.read(read_hosts.levels)}


async def goes_down(world: World, host: str, within_s: float) -> None:
    async def it_is() -> bool:
        return not (await levels(world))[host].up

    await world.until(it_is, within_s=within_s)


def writes(world: World) -> list[object]:
    """The functions of all transactions from now on."""
    write, seen = world.db.write, list[object]()

    async def note(fn: Any, *args: Any, **words: Any) -> Any:
        seen.append(fn)
        return await write(fn, *args, **words)

    world.db.write = note  # type: ignore[method-assign]
    return seen


async def stays_up(world: World, minutes: int) -> None:
    for _ in range(minutes * 12):
        await world.clock.sleep(5)
        assert [level.up for level in (await levels(world)).values()] == [True, True]


def test_what_a_killed_conductor_has_not_placed_another_one_places(tmp_path: Path) -> None:
    second = Troubles(held=place.place)

    async def test(world: World) -> None:
        image_id = await image(world)
        for number in range(6):
            await create(world, f"s{number}", image_id)
        await world.clock.sleep(1)
        await world.others["second"].kill()
        await world.until(lambda: settled(world), within_s=MINUTE)
        assert await statuses(world) == {"ACTIVE"}

    play(tmp_path, test, second=second)


def test_an_action_that_two_conductors_place_is_placed_once(tmp_path: Path) -> None:
    second = Troubles(held=place.place)

    async def test(world: World) -> None:
        image_id = await image(world)
        servers = [await create_without_network(world, image_id) for _ in range(6)]  # (an address is given once anyway)
        await world.until(lambda: settled(world), within_s=MINUTE)
        second.held = None  # it places now what has been built meanwhile
        await world.clock.sleep(MINUTE)
        guests = [guest for machine in world.machines.values() for guest in machine.guests]
        assert sorted(guests) == sorted(servers)
        nodes = await world.db.read(read_hosts.list_nodes)
        assert sum(node.running_vms for node in nodes) == len(servers)

    play(tmp_path, test, second=second)


def test_a_host_that_one_conductor_does_not_hear_stays_up_while_another_does(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        second.deaf_to = frozenset({"a"})
        seen = writes(world)
        await stays_up(world, 10)
        assert any(getattr(fn, "__name__", "") == "suspect" for fn in seen)

    second = Troubles()
    play(tmp_path, test, second=second)


def test_heartbeats_that_are_lost_call_no_host_down_that_answers(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        fate = world.network.fate
        world.hub.fate = lambda subject: Fate(()) if subject.startswith("heartbeat.") else fate(subject)
        await stays_up(world, 10)

    play(tmp_path, test)


def test_a_conductor_that_stood_still_calls_nobody_down_and_is_no_burden(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        second.frozen = True
        servers = await created(world, 4)
        await world.until(lambda: settled(world), within_s=5 * MINUTE)
        await stays_up(world, 5)
        second.frozen = False
        await stays_up(world, 5)
        assert await statuses(world) == {"ACTIVE"}
        guests = [guest for machine in world.machines.values() for guest in machine.guests]
        assert sorted(guests) == sorted(servers)

    second = Troubles()
    play(tmp_path, test, second=second)


def test_a_dead_host_is_down_for_all_and_returns_for_all(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.hosts["a"].kill()
        await goes_down(world, "a", within_s=2 * MINUTE)
        world.hosts["a"].start()
        await world.clock.sleep(10)
        await stays_up(world, 5)

    play(tmp_path, test)


def test_a_host_that_registers_while_one_conductor_hears_nothing_of_it_stays_up(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.clock.sleep(5 * MINUTE)
        second.deaf_to = frozenset({"a"})
        await world.hosts["a"].kill()
        world.hosts["a"].start()
        await stays_up(world, 5)

    second = Troubles()
    play(tmp_path, test, second=second)


def test_each_interval_has_one_round_whoever_lives(tmp_path: Path) -> None:
    """The conductors' clocks differ by four seconds."""

    async def test(world: World) -> None:
        await world.clock.sleep(MINUTE)
        seen = writes(world)
        await world.clock.sleep(10 * MINUTE)
        together = seen.count(deadlines.count_time)
        interval = world.settings.conductor.watchdog_interval
        assert together <= 10 * MINUTE / (0.9 * interval) + 1
        assert together >= 10 * MINUTE / (2.2 * interval)
        await world.conductor.kill()
        del seen[:]
        await world.clock.sleep(10 * MINUTE)
        assert seen.count(deadlines.count_time) >= 10 * MINUTE / (2.2 * interval)

    play(tmp_path, test, skew_s=4)


def test_a_deadline_is_as_far_away_for_conductors_whose_clocks_differ(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.hosts["a"].kill()
        await world.hosts["b"].kill()
        await create(world, "s", await image(world))
        deadline_s = VERBS[Verb.CREATE].deadline_s
        await world.clock.sleep(deadline_s - MINUTE)
        assert await statuses(world) == {"BUILD"}

        async def failed() -> bool:
            return await statuses(world) == {"ERROR"}

        await world.until(failed, within_s=3 * MINUTE)

    play(tmp_path, test, skew_s=-4)


def test_a_jump_of_the_clock_moves_the_windows_once(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.clock.sleep(MINUTE)
        before = await world.db.read(rounds.serial, deadlines.MOVES)
        world.clock.jumped = timedelta(hours=2)
        await world.clock.sleep(MINUTE)
        assert await world.db.read(rounds.serial, deadlines.MOVES) == before + 1
        world.clock.jumped = timedelta(0)
        await world.clock.sleep(MINUTE)
        assert await world.db.read(rounds.serial, deadlines.MOVES) == before + 2

    play(tmp_path, test)


def test_both_of_two_live_processes_lose_the_host_and_any_conductor_serves_the_operator(tmp_path: Path) -> None:
    """A cut of the network, longer than the down time, in which a clone of the host takes its place."""

    async def test(world: World) -> None:
        servers = await created(world, 2)
        await world.until(lambda: settled(world), within_s=5 * MINUTE)
        world.unreachable.add("a")
        await world.clock.sleep(2 * MINUTE)
        world.add_host("clone", identity="a")
        await in_service(world, "a", True)
        world.unreachable.clear()
        for process in ("a", "clone"):
            await has_ended(world, process, within_s=MINUTE)
            lost = world.hosts[process].ended
            assert isinstance(lost, HostSuperseded)
            assert lost.message.startswith("Host 'a' has two live processes: process ")
        services = (await world.http.get("/compute/v2.1/os-services", params={"host": "a"})).json()["services"]
        assert [one["status"] for one in services] == ["disabled"]
        assert services[0]["disabled_reason"].startswith("Host 'a' has two live processes")
        powers = {guest.power for host in ("a", "b") for guest in world.machines[host].guests.values()}
        assert powers == {PowerState.RUNNING}
        world.hosts["clone"].start()
        await has_ended(world, "clone", within_s=MINUTE)  # nobody has decided yet
        await adopt(world)
        world.hosts["a"].start()

        async def it_has_the_host() -> bool:
            known = await world.db.read(read_hosts.process_of, HostName("a"))
            return known is not None and (known.boot_id, known.up) == ("boot-a-1", True)

        await world.until(it_has_the_host, within_s=MINUTE)
        await in_service(world, "a", True)
        assert world.hosts["a"].ended is None
        assert {guest for machine in world.machines.values() for guest in machine.guests} == set(servers)

    play(tmp_path, test)


def test_a_refused_copy_is_known_to_every_conductor(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.add_host("copy", identity="a")
        await has_ended(world, "copy", within_s=2 * MINUTE)
        assert world.hosts["a"].ended is None
        before = await epoch(world)
        await world.conductor.kill()
        await world.clock.sleep(1)
        assert "boot-copy-1" in (await adopt(world)).claimant
        assert await epoch(world) == before + 1

    second = Troubles(held=processes.refused)  # only the first conductor records the refusal
    play(tmp_path, test, second=second)
