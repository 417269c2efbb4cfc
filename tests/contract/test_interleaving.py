# SPDX-License-Identifier: Apache-2.0
"""Two transactions of the conductor, interleaved at each statement: the result is one of the two serial orders."""

from collections.abc import Awaitable, Callable
from itertools import count, product
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kilonova.conductor.bootstrap import FirstAdmin
from kilonova.conductor.hosts import register
from kilonova.conductor.placement import place
from kilonova.conductor.verbs import create
from kilonova.db.postgres.database import PostgresDatabase
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import quotas as read_quotas
from kilonova.objects.ids import ActionId, HostName, InstanceId
from kilonova.rpcapi.api_to_conductor import CreateServers
from kilonova.rpcapi.host_to_conductor import RegisterHost, ReportInventory
from tests import make, postgres
from tests.interleave import Stepper, switched

ADMIN = FirstAdmin("u1", "p1", "hash")
HOST = HostName("h1")
Transaction = Callable[[PostgresDatabase], Awaitable[Any]]

STEPS = (1, 4, 9)
"""Where the first transaction stops, and where the second one does."""


async def _host(db: PostgresDatabase) -> None:
    """A host with room for one server, and with one free address."""
    request = RegisterHost(HOST, "process-1", "node-1", "boot", "kilonova-compute", "compute", 1, "nova")
    epoch = await db.write(register.register, request, "service-1", make.NOW)
    inventory = make.inventory(vcpus_capacity=1)
    await db.write(register.report_inventory, ReportInventory(HOST, epoch, "node-1", inventory))


async def _accept(db: PostgresDatabase, number: int) -> Any:
    instance = make.instance(_id(number), wants_network=True)
    request = CreateServers(make.context(f"req-{number}"), (instance,))
    return await db.write(create.create, request, (ActionId(f"action-{number}"),), make.NOW)


async def _place(db: PostgresDatabase, number: int) -> Any:
    return await db.write(place.place, ActionId(f"action-{number}"), Random(1), make.NOW)


def _id(number: int) -> InstanceId:
    return InstanceId(f"11111111-1111-4111-8111-{number:012}")


async def _state(db: PostgresDatabase) -> tuple[Any, ...]:
    found = [await db.read(read_instances.get, _id(number)) for number in (1, 2)]
    nodes = await db.read(read_hosts.list_nodes)
    servers = [(one.host, [address.address for address in one.addresses], one.vm_state) for one in found]
    return servers, [(one.vcpus_used, one.running_vms) for one in nodes], await db.read(read_quotas.usage, "p1")


async def _outcome(state: Path, order: tuple[int, int], at: tuple[int, int] | None, what: str) -> tuple[Any, ...]:
    """The state after two transactions: one after the other in this order, or interleaved."""
    url = postgres.new_database(state, ADMIN)
    before = postgres.opened(url)
    await _host(before)
    if what == "place":
        for number in (1, 2):
            await _accept(before, number)
    call = _place if what == "place" else _accept
    if at is None:
        for number in order:
            await call(before, number)
    else:
        sides = [postgres.one_worker(url) for _ in order]
        steppers = tuple(Stepper(engine) for engine, _ in sides)
        calls = [call(db, number) for (_, db), number in zip(sides, order, strict=True)]
        found = await switched(calls[0], calls[1], (steppers[0], steppers[1]), at)
        assert not any(isinstance(one, BaseException) for one in found), found
        for _, db in sides:
            await db.close()
    result = await _state(before)
    await before.close()
    postgres.forget_database(state)
    return result


@pytest.mark.parametrize("what", ["accept", "place"])
async def test_the_result_is_that_of_one_of_the_serial_orders(tmp_path: Path, what: str) -> None:
    numbers = count()
    serial = [await _outcome(tmp_path / str(next(numbers)), order, None, what) for order in ((1, 2), (2, 1))]
    for at in product(STEPS, STEPS):
        found = await _outcome(tmp_path / str(next(numbers)), (1, 2), at, what)
        assert found in serial, at
