# SPDX-License-Identifier: Apache-2.0
"""The order of a guest's reads on both engines: the newest report stays, in whatever order transactions come."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from random import Random

import pytest

from kilonova.conductor.bootstrap import FirstAdmin
from kilonova.conductor.engine import accept, hand_out, reports
from kilonova.conductor.hosts import guests, register
from kilonova.db.engine import Database
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import instances as read_instances
from kilonova.objects.guest import ReadMark
from kilonova.objects.ids import ActionId, AttemptId
from kilonova.objects.leg import LegId
from kilonova.objects.states import ActionState, PowerState, Verb, VmState
from kilonova.rpcapi import api_to_conductor as api
from kilonova.rpcapi import host_to_conductor as host
from kilonova.rpcapi.work import Fetch
from tests import make, params, postgres, template
from tests.transactions import ACTIVE, H1, NOW, build_world

ADMIN = FirstAdmin("u1", "p1", "hash")
STATES = (PowerState.SHUTDOWN, PowerState.PAUSED, PowerState.SUSPENDED, PowerState.RUNNING)


@pytest.fixture(params=["sqlite", "postgresql"])
async def conductors(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[tuple[Database, Database]]:
    """The database of tests.transactions as two conductors have it; SQLite has one conductor only.  The record of the
    server ACTIVE is from read 9 of H1's process."""
    if request.param == "sqlite":
        template.put_bootstrapped(tmp_path / "kilonova.db", ADMIN)
        one: Database = template.open_inline(tmp_path / "kilonova.db")
        two = one
    else:
        url = postgres.new_database(tmp_path, ADMIN)
        one, two = postgres.opened(url), postgres.opened(url)
    await build_world(one)
    yield one, two
    await one.close()
    if two is not one:
        await two.close()


async def report(db: Database, power: PowerState, number: int) -> bool:
    """Whether the report is recorded."""
    request = host.ReportStates(H1, 1, (host.Observed(ACTIVE, power, "because", number),))
    recorded = await db.write(guests.report_states, request, (ActionId(f"report-{number}"),), NOW)
    return recorded.guests == (ACTIVE,)


async def recorded(db: Database) -> tuple[VmState, PowerState, ReadMark | None]:
    instance, read = await db.read(read_instances.get_with_read, ACTIVE)
    return instance.vm_state, instance.power_state, read


def mark(number: int) -> ReadMark:
    return ReadMark("process-h1", number)


async def test_the_end_of_an_action_is_newer_than_what_was_read_before_it(
    conductors: tuple[Database, Database],
) -> None:
    one, two = conductors
    assert await recorded(one) == (VmState.ACTIVE, PowerState.RUNNING, mark(9))
    asked = api.AcceptAction(make.context("req-suspend"), ACTIVE, Verb.SUSPEND, params.requested(Verb.SUSPEND))
    await one.write(accept.accept, asked, ActionId("suspend"), NOW)
    assert not await report(two, PowerState.PAUSED, 10), "the action decides"
    await two.write(hand_out.hand_out, Fetch(H1, 1, AttemptId("attempt-2"), ()), NOW)
    leg = LegId(ActionId("suspend"), 0)
    finish = host.Finish(H1, leg, AttemptId("attempt-2"), True, PowerState.SUSPENDED, read=mark(12))
    assert (await one.write(reports.finish, finish, str, NOW)).recorded
    for number in (8, 10, 11):
        assert not await report(two, PowerState.RUNNING, number)
    assert await recorded(two) == (VmState.SUSPENDED, PowerState.SUSPENDED, mark(12))
    assert await report(two, PowerState.RUNNING, 13)
    assert await recorded(one) == (VmState.ACTIVE, PowerState.RUNNING, mark(13))


@pytest.mark.parametrize("taken_back", [True, False])
async def test_the_late_end_of_an_abandoned_action_changes_no_newer_record(
    conductors: tuple[Database, Database], *, taken_back: bool
) -> None:
    """The host is forced down and goes on: it reports its guest while nobody waits for the action."""
    one, two = conductors
    asked = api.AcceptAction(make.context("req-suspend"), ACTIVE, Verb.SUSPEND, params.requested(Verb.SUSPEND))
    await one.write(accept.accept, asked, ActionId("suspend"), NOW)
    await two.write(hand_out.hand_out, Fetch(H1, 1, AttemptId("attempt-2"), ()), NOW)
    await one.write(register.operator_update, api.UpdateService("service-h1", forced_down=True), NOW)
    assert await report(two, PowerState.PAUSED, 13)
    assert await recorded(one) == (VmState.ERROR, PowerState.PAUSED, mark(13))
    if taken_back:
        await one.write(register.operator_update, api.UpdateService("service-h1", forced_down=False), NOW)
    leg = LegId(ActionId("suspend"), 0)
    finish = host.Finish(H1, leg, AttemptId("attempt-2"), True, PowerState.SUSPENDED, read=mark(12))
    assert not (await one.write(reports.finish, finish, str, NOW)).recorded
    assert (await one.read(read_actions.get, ActionId("suspend"))).state is ActionState.DONE
    assert await recorded(two) == (VmState.PAUSED, PowerState.PAUSED, mark(13))
    assert await report(two, PowerState.SUSPENDED, 14)
    assert await recorded(one) == (VmState.SUSPENDED, PowerState.SUSPENDED, mark(14))


@pytest.mark.parametrize("seed", range(4))
async def test_of_reports_that_come_at_once_the_newest_stays(conductors: tuple[Database, Database], seed: int) -> None:
    numbers = list(range(10, 22))
    Random(seed).shuffle(numbers)
    sent = (report(conductors[number % 2], STATES[number % 4], number) for number in numbers)
    await asyncio.gather(*sent)
    vm_state, power, read = await recorded(conductors[0])
    assert (power, read) == (STATES[21 % 4], mark(21))
    assert vm_state is VmState.PAUSED


async def test_a_large_number_is_kept_as_it_is(conductors: tuple[Database, Database]) -> None:
    assert await report(conductors[0], PowerState.PAUSED, 2**63 - 1)
    assert (await recorded(conductors[1]))[2] == mark(2**63 - 1)
