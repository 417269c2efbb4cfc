# SPDX-License-Identifier: Apache-2.0
"""An action of several legs on two hosts, while messages are lost, doubled and late, and processes die.

Whatever happens: never do two hosts work on a server at once, each action ends once, and as the last thing that was
asked for; and nothing is left over of one that failed or was deleted.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kilonova.compute.operation import Job
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import ActionState, Verb
from tests.simulation.legs import HOSTS, Move, moves, other
from tests.simulation.virtual import run_virtually
from tests.simulation.world import Process

OK, IN_HALT, IN_TIDY = "", "check", "take"
"""Steps at which the work can fail."""

STEPS = 12
"""Beginnings and ends of the steps of a pause that succeeds."""
UNDO = 11
"""Of what is undone when the last step fails."""


def play(tmp_path: Path, test: Callable[[Move], Awaitable[None]]) -> None:
    async def main() -> None:
        async with moves(7, tmp_path) as move:
            await test(move)

    run_virtually(main())


async def trouble(move: Move, rounds: int) -> None:
    for _ in range(rounds):
        await asyncio.sleep(move.story.random.uniform(0.05, 2))
        await move.restart(move.story.random.choice([*move.world.hosts.values(), move.world.conductor]))


async def story(seed: int, state: Path, *, loss: float, doubling: float, late: float, killings: int) -> None:
    async with moves(seed, state, loss=loss, doubling=doubling, late=late) as move:
        random = move.story.random
        servers = await move.servers(9)
        killer = asyncio.ensure_future(trouble(move, killings))
        for server_id in servers:
            await move.pause(server_id, refuses=random.choice([OK, OK, IN_HALT, IN_TIDY]))
        for server_id in servers[::3]:
            await asyncio.sleep(random.uniform(0, 2))
            await move.delete(server_id)
        await killer
        await move.check()


@pytest.mark.parametrize("seed", range(4))
def test_lost_doubled_and_late_messages_change_nothing(seed: int, tmp_path: Path) -> None:
    run_virtually(story(seed, tmp_path, loss=0.08, doubling=0.08, late=0.05, killings=0))


@pytest.mark.parametrize("seed", range(100, 106))
def test_nor_do_processes_that_die_and_come_back(seed: int, tmp_path: Path) -> None:
    run_virtually(story(seed, tmp_path, loss=0.04, doubling=0.04, late=0.04, killings=8))


@pytest.mark.parametrize("number", range(STEPS + UNDO))
def test_a_process_may_die_at_any_step(number: int, tmp_path: Path) -> None:
    """The host at work, the other one, or the conductor, as a step begins or when it is done."""

    async def test(move: Move) -> None:
        count, whose, kills = [0], [""], list[asyncio.Future[None]]()
        refuses = OK if number < STEPS else IN_TIDY

        def victim(job: Job) -> Process:
            host = str(job.action.leg.host)
            hosts = {"it": host, "other": other(host)}
            return move.world.hosts[hosts[whose[0]]] if whose[0] in hosts else move.world.conductor

        async def at_step(_name: str, job: Job) -> None:
            count[0] += 1
            if count[0] == (number + 1):
                kills.append(asyncio.ensure_future(move.restart(victim(job))))
                await asyncio.sleep(0.05)

        for server_id, who in zip(await move.servers(3), ("it", "other", "conductor"), strict=True):
            count[0], whose[0] = 0, who
            move.cargo.at_step = at_step
            await move.pause(server_id, refuses=refuses)
            await move.settled()
        assert len(kills) == 3
        await asyncio.gather(*kills)
        await move.check()

    play(tmp_path, test)


@pytest.mark.parametrize("refuses", [OK, IN_TIDY])
@pytest.mark.parametrize("number", range(0, STEPS + UNDO, 3))
def test_a_delete_in_the_middle_removes_what_any_leg_has_made(number: int, refuses: str, tmp_path: Path) -> None:
    async def test(move: Move) -> None:
        count = [0]
        (server_id,) = await move.servers(1)
        asked = asyncio.Event()

        async def at_step(_name: str, _job: Job) -> None:
            count[0] += 1
            if count[0] == number + 1:
                asked.set()

        move.cargo.at_step = at_step
        await move.pause(server_id, refuses=refuses)
        waits = asyncio.ensure_future(asked.wait())
        await asyncio.wait((waits,), timeout=60)
        waits.cancel()
        await move.delete(server_id)
        await move.check()

    play(tmp_path, test)


def test_a_delete_after_a_failed_undo_removes_what_was_left(tmp_path: Path) -> None:
    async def test(move: Move) -> None:
        (server_id,) = await move.servers(1)
        host = (await move.instance(server_id)).host

        async def at_step(name: str, _job: Job) -> None:
            if name == "check begins":
                move.cargo.refuses[server_id] = "check"
            if name == "unput begins":
                move.cargo.refuses[server_id] = "unput"

        move.cargo.at_step = at_step
        await move.pause(server_id)
        await move.settled()
        failed = await move.newest(server_id)
        assert (failed.state, move.cargo.on[other(host)]) == (ActionState.FAILED, {server_id})
        assert "What was done in step 1 was not undone: There is no room." in (failed.message or "")
        move.cargo.at_step, move.cargo.refuses[server_id] = None, OK
        await move.delete(server_id)
        await move.check()

    play(tmp_path, test)


async def stays(move: Move, server_id: InstanceId, index: int) -> asyncio.Event:
    """The move comes to this leg, whose host then works until the event is set."""
    go_on = asyncio.Event()

    async def at_step(_name: str, job: Job) -> None:
        if job.action.verb is Verb.PAUSE and job.action.current == index:
            await go_on.wait()

    move.cargo.at_step = at_step
    await move.pause(server_id)
    await move.in_leg(server_id, index)
    await asyncio.sleep(1)
    return go_on


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_host_that_is_called_down_in_its_leg_goes_on_when_it_is_taken_back(index: int, tmp_path: Path) -> None:
    async def test(move: Move) -> None:
        (server_id,) = await move.servers(1)
        go_on = await stays(move, server_id, index)
        host = str((await move.newest(server_id)).host)
        await move.world.hosts[host].kill()
        await move.force_down(host)
        assert ((await move.newest(server_id)).state, (await move.instance(server_id)).vm_state) == (
            ActionState.ABANDONED,
            "error",
        )
        go_on.set()
        move.world.hosts[host].start()
        await asyncio.sleep(60)
        assert (await move.newest(server_id)).current == index
        await move.force_down(host, forced=False)
        await move.check()

    play(tmp_path, test)


def test_a_host_that_is_called_down_before_its_leg_makes_it_fail(tmp_path: Path) -> None:
    async def test(move: Move) -> None:
        (server_id,) = await move.servers(1)
        go_on = await stays(move, server_id, 0)
        await move.force_down(str((await move.instance(server_id)).host))
        go_on.set()
        move.expected[server_id] = "failed"
        await move.check()

    play(tmp_path, test)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_delete_while_the_host_at_work_is_down_is_finished_when_it_is_back(index: int, tmp_path: Path) -> None:
    async def test(move: Move) -> None:
        (server_id,) = await move.servers(1)
        go_on = await stays(move, server_id, index)
        host = str((await move.newest(server_id)).host)
        await move.world.hosts[host].kill()
        await move.force_down(host)
        await move.delete(server_id)
        go_on.set()
        await move.world.until(lambda: gone(move, server_id), within_s=120)
        move.world.hosts[host].start()
        await move.force_down(host, forced=False)
        await move.check()

    play(tmp_path, test)


async def gone(move: Move, server_id: InstanceId) -> bool:
    return (await move.world.http.get(f"/compute/v2.1/servers/{server_id}")).status_code == 404


@pytest.mark.parametrize("index", [0, 1])
def test_a_leg_whose_time_is_up_fails_and_what_was_done_before_is_undone(index: int, tmp_path: Path) -> None:
    async def test(move: Move) -> None:
        (server_id,) = await move.servers(1)
        go_on = await stays(move, server_id, index)
        await asyncio.sleep(200)
        go_on.set()
        move.expected[server_id] = "failed"
        await move.check()
        assert "did not end within its deadline" in ((await move.newest(server_id)).message or "")

    play(tmp_path, test)


def test_a_host_that_is_silent_in_its_leg_is_waited_for(tmp_path: Path) -> None:
    async def test(move: Move) -> None:
        (server_id,) = await move.servers(1)
        go_on = await stays(move, server_id, 1)
        host = str((await move.newest(server_id)).host)
        move.world.unreachable.add(host)
        go_on.set()
        await asyncio.sleep(3600)
        assert (await move.newest(server_id)).current == 1
        assert f"Waiting for host {host}" in ((await move.newest(server_id)).message or "")
        move.world.unreachable.clear()
        await move.check()

    play(tmp_path, test)


def test_the_other_hosts_are_asked_at_once_and_not_at_their_next_poll(tmp_path: Path) -> None:
    async def test(move: Move) -> None:
        (server_id,) = await move.servers(1)
        began = move.world.clock.monotonic()
        await move.pause(server_id)
        await move.settled()
        assert move.world.clock.monotonic() - began < 0.5 * move.world.settings.default.action_poll_interval

    assert HOSTS == ("a", "b")
    play(tmp_path, test)
