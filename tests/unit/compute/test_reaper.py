# SPDX-License-Identifier: Apache-2.0
"""Guests that should not be here: a conductor and a host under virtual time, and a database that knows otherwise."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.conductor.hosts import guests
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.states import PowerState
from kilonova.rpcapi.host_to_conductor import CLASSIFY_GUESTS, ClassifyGuests
from kilonova.virt.fake.machine import FakeGuest
from tests import make
from tests.simulation.test_lost_and_doubled import Story, settled
from tests.simulation.virtual import SimClock, run_virtually
from tests.simulation.world import World, simulated
from tests.unit.conductor.desk import ONE, Desk, other

STRANGER = InstanceId("99999999-9999-4999-8999-999999999999")


def test_only_what_was_deleted_from_this_host_is_called_deleted(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.active()
    elsewhere, gone = InstanceId(f"2{ONE[1:]}"), InstanceId(f"3{ONE[1:]}")
    desk.create(other(elsewhere, host=HostName("h2")), "req-2")
    desk.create(other(gone, host=make.HOST), "req-3")
    desk.write(mark_deleted, gone)
    judged = desk.read(guests.classify_guests, ClassifyGuests(make.HOST, 1, (ONE, elsewhere, gone, STRANGER)))
    assert [one.id for one in judged.deleted] == [gone]
    assert (judged.elsewhere, judged.unknown) == ((elsewhere,), (STRANGER,))


def test_of_many_that_were_deleted_the_first_are_named_as_one_message_takes(tmp_path: Path) -> None:
    """After the backup of a host was restored; a NATS server takes 1 MiB."""
    desk = Desk(tmp_path)
    desk.register()
    gone = [InstanceId(f"{n:08}-1111-4111-8111-111111111111") for n in range(30)]
    for one in gone:
        desk.create(other(one, host=make.HOST, user_data="x" * 65535), f"req-{one}")
        desk.write(mark_deleted, one)
    judged = desk.read(guests.classify_guests, ClassifyGuests(make.HOST, 1, tuple(gone)))
    assert [one.id for one in judged.deleted] == gone[: len(judged.deleted)]
    assert 0 < len(CLASSIFY_GUESTS.reply_form.dump_json(judged)) < 1 << 20


def mark_deleted(connection: Any, instance_id: str) -> None:
    from kilonova.db.writers import instances

    instances.update(connection, InstanceId(instance_id), make.NOW, deleted_at=make.NOW)


async def a_world(stack: AsyncExitStack, state: Path, **settings: Any) -> tuple[World, str]:
    """A host "a" with one server, whose record is as the caller makes it."""
    world = await stack.enter_async_context(simulated(1, state, hosts=(), loss=0, doubling=0))
    short = {"running_deleted_instance_poll_interval": 100.0, "orphan_report_interval": 50.0, **settings}
    world.settings = replace(world.settings, default=replace(world.settings.default, **short))
    world.add_host("a")
    story = Story(world, 1)
    await asyncio.sleep(30)
    await story.create("s1", await story.image())
    await world.until(lambda: settled(world), within_s=60)
    return world, next(iter(story.expected))


@pytest.mark.parametrize(("action", "left"), [("reap", 0), ("log", 1), ("noop", 1)])
def test_a_deleted_instances_guest_goes_after_two_looks(tmp_path: Path, action: str, left: int) -> None:
    async def body() -> None:
        async with AsyncExitStack() as stack:
            world, server_id = await a_world(stack, tmp_path, running_deleted_instance_action=action)
            await world.db.write(mark_deleted, server_id)
            guests = world.machines["a"].guests
            await asyncio.sleep(105)  # one look at most: once seen is not enough
            assert len(guests) == 1
            await asyncio.sleep(200)
            assert len(guests) == left

    run_virtually(body())


def test_a_guest_that_no_database_knows_is_left_alone(tmp_path: Path) -> None:
    async def body() -> None:
        async with AsyncExitStack() as stack:
            world, server_id = await a_world(stack, tmp_path)
            guests = world.machines["a"].guests
            guests[STRANGER] = FakeGuest(definition=make.instance(STRANGER), power=PowerState.RUNNING)
            await asyncio.sleep(timedelta(hours=1).total_seconds())
            assert set(guests) == {server_id, STRANGER}
            assert guests[STRANGER].power is PowerState.RUNNING

    run_virtually(body())


def test_a_round_that_hangs_is_counted_and_delays_no_other() -> None:
    async def body() -> None:
        clock, metrics = SimClock(1), Metrics()
        async with Supervisor(clock, metrics.round_ended) as tasks:

            async def nothing() -> None: ...

            tasks.periodic("hangs", 10, asyncio.Event().wait, limit_s=5)  # type: ignore[arg-type]
            tasks.periodic("works", 1, nothing)
            await asyncio.sleep(100)
        assert metrics.value("kilonova_periodic_failures_total", task="hangs", how="hung") >= 5
        assert metrics.value("kilonova_periodic_seconds_count", task="works") > 90
        assert b"kilonova_periodic_seconds_sum" in metrics.text()

    run_virtually(body())
