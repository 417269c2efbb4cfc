# SPDX-License-Identifier: Apache-2.0
"""Two conductors on one PostgreSQL database change the same rows at the same time."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from random import Random

import pytest

from kilonova.base.clock import SystemClock
from kilonova.conductor import idempotency
from kilonova.conductor.bootstrap import FirstAdmin
from kilonova.conductor.hosts import register
from kilonova.conductor.placement import place
from kilonova.conductor.verbs import create
from kilonova.config.quota import QuotaSettings
from kilonova.db.postgres.contention import REMEMBERED_S, Contention
from kilonova.db.postgres.database import PostgresDatabase
from kilonova.db.postgres.failures import Kind
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import quotas as read_quotas
from kilonova.objects.ids import ActionId, HostName
from kilonova.rpcapi.api_to_conductor import CreateServers
from kilonova.rpcapi.host_to_conductor import RegisterHost, ReportInventory
from tests import make, postgres


class SetClock(SystemClock):
    at_s = 100.0

    def monotonic(self) -> float:
        return self.at_s


NO_LIMIT = QuotaSettings({"instances": -1, "cores": -1, "ram": -1, "metadata_items": 128})
HOSTS = 3
ROOM = 8
"""Servers for which each host has room."""


@pytest.fixture
async def conductors(tmp_path: Path) -> AsyncGenerator[tuple[PostgresDatabase, PostgresDatabase]]:
    """The databases of two conductors, with three hosts."""
    url = postgres.new_database(tmp_path, FirstAdmin("u1", "p1", "hash"))
    found = postgres.opened(url), postgres.opened(url)
    for number in range(HOSTS):
        host = HostName(f"h{number}")
        request = RegisterHost(host, f"process-{number}", f"node-{number}", "boot", "kilonova-compute", "c", 1, "nova")
        epoch = await found[0].write(register.register, request, f"service-{number}", make.NOW)
        inventory = make.inventory(vcpus_capacity=ROOM, memory_mib_capacity=1 << 20, disk_gib_capacity=1 << 20)
        await found[0].write(register.report_inventory, ReportInventory(host, epoch, f"node-{number}", inventory))
    yield found
    for one in found:
        await one.close()


async def build(db: PostgresDatabase, number: int) -> HostName | None:
    """Accept a create, and choose its host."""
    instance = make.instance(f"11111111-1111-4111-8111-{number:012}", wants_network=False)
    action = ActionId(f"action-{number}")
    request = CreateServers(make.context(f"req-{number}"), (instance,))
    await db.write(create.create, request, (action,), make.NOW)
    return await db.write(place.place, action, Random(number), make.NOW)


async def test_many_creates_at_once_are_all_placed_and_counted(
    conductors: tuple[PostgresDatabase, PostgresDatabase],
) -> None:
    n = HOSTS * ROOM
    hosts = await asyncio.gather(*(build(conductors[number % 2], number) for number in range(n)))
    assert Counter(hosts) == {HostName(f"h{number}"): ROOM for number in range(HOSTS)}
    db = conductors[0]
    nodes = await db.read(read_hosts.list_nodes)
    assert {one.vcpus_used for one in nodes} == {ROOM}
    assert (await db.read(read_quotas.usage, "p1")).instances == n
    assert await db.read(read_actions.unplaced) == []
    # Without running alone after a conflict there are hundreds.
    assert sum(one.repeated[Kind.CONFLICT] for one in conductors) < 4 * n


async def test_creates_of_one_project_wait_for_each_other_and_none_runs_again(
    conductors: tuple[PostgresDatabase, PostgresDatabase],
) -> None:
    """By 20 clients; all of them change the usage of the project."""
    numbers = iter(range(100))

    async def client(db: PostgresDatabase) -> None:
        for number in numbers:
            instance = make.instance(f"11111111-1111-4111-8111-{number:012}", wants_network=False)
            request = CreateServers(make.context(f"req-{number}"), (instance,))
            await db.write(idempotency.create, request, (ActionId(f"action-{number}"),), make.NOW, NO_LIMIT)

    await asyncio.gather(*(client(conductors[number % 2]) for number in range(20)))
    assert (await conductors[0].read(read_quotas.usage, "p1")).instances == 100
    assert [one.repeated[Kind.CONFLICT] for one in conductors] == [0, 0]


async def test_a_function_runs_alone_for_a_while_after_a_conflict() -> None:
    clock = SetClock()
    contention = Contention(clock)
    first, other = contention.of(build), contention.of(make.instance)
    assert not first.now()
    first.note()
    assert first.now()
    assert contention.of(build).now()
    assert not other.now()
    clock.at_s += REMEMBERED_S + 0.1
    assert not contention.of(build).now()
    assert first.now()  # the call that had the conflict
