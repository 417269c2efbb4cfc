# SPDX-License-Identifier: Apache-2.0
"""In a large fleet a new server is compared with the best hosts only; with all, if none of these can take it."""

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.base.clock import SystemClock
from kilonova.base.failpoints import Failpoints
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.conductor.hosts import register
from kilonova.conductor.placement import place
from kilonova.conductor.placement.place import Look, ReadAll, wanted_of
from kilonova.conductor.placement.placer import Placer
from kilonova.conductor.tools import Policy, Tools
from kilonova.config.load import load
from kilonova.db.readers import placements as read_placements
from kilonova.db.readers.candidates import MOST
from kilonova.db.schema import compute_nodes
from kilonova.objects.ids import ActionRef, HostName, ServerGroupId
from kilonova.objects.instance import Instance
from kilonova.objects.placement import PlacementRecord
from kilonova.objects.service import HostNetwork
from kilonova.rpcapi.api_to_conductor import CreateServers
from kilonova.rpcapi.host_to_conductor import RegisterHost, ReportInventory
from tests import make
from tests.unit.conductor.desk import ONE, Desk

FEW = 3
LAN = HostNetwork("lan", "nat", "10.1.0.0/24", "10.1.0.1", "10.1.0.16", "10.1.0.250")
FULLEST = HostName("h-full")


def add_hosts(tx: sa.Connection) -> None:
    """MOST + FEW hosts.  Only the one with the least room has a network."""
    for number in range(MOST + FEW):
        host = FULLEST if number == 0 else HostName(f"h{number}")
        known = RegisterHost(host, "p", f"n-{host}", "boot", "kilonova-compute", "compute", 1, "nova")
        register.register(tx, known, f"s-{host}", make.NOW)
        networks = (LAN,) if host == FULLEST else ()
        register.report_inventory(tx, ReportInventory(host, 1, f"n-{host}", make.inventory(networks=networks)))
    tx.execute(sa.update(compute_nodes).where(compute_nodes.c.host == FULLEST).values(memory_mib_used=1024))


def placed(desk: Desk, instance: Instance) -> tuple[HostName, PlacementRecord]:
    """The host of a new instance that a placer has placed, and the record of that."""
    action_id = desk.create(instance)
    request = CreateServers(make.context("req-create"), (instance,))
    woken: list[HostName] = []

    async def main() -> None:
        clock, settings, done = SystemClock(), load(), asyncio.Event()

        async def wake(host: HostName) -> None:
            woken.append(host)
            done.set()

        tools = Tools(desk.db, clock, settings.quota, Failpoints())
        placer = Placer(tools, Policy(settings.conductor, HostName("c1"), 60, 0, -1), Metrics(), wake)
        async with Supervisor(clock) as tasks:
            placer.start(tasks)
            placer.put(ActionRef(action_id, "req-create"), wanted_of(request, instance))
            async with asyncio.timeout(10):
                await done.wait()

    make.run(main())
    return woken[0], desk.read(read_placements.of_action, action_id)[0]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.write(add_hosts)
    return made


def test_the_best_hosts_are_compared_and_the_record_counts_the_others(desk: Desk) -> None:
    host, record = placed(desk, make.instance(ONE, wants_network=False))
    assert host != FULLEST
    assert (record.hosts, record.candidates, record.left_out) == (MOST + FEW, MOST, FEW)


def test_all_hosts_are_compared_when_none_of_the_best_passes(desk: Desk) -> None:
    host, record = placed(desk, make.instance(ONE, wants_network=True))
    assert host == FULLEST
    assert (record.hosts, record.candidates, record.left_out) == (MOST + FEW, 1, 0)
    (refused,) = record.refused
    assert (refused.filter, refused.count) == ("NetworkFilter", MOST + FEW - 1)


def test_the_transaction_does_not_read_all_hosts_by_itself(desk: Desk) -> None:
    """It would exclude every other placement from the fleet."""
    action_id = desk.create(make.instance(ONE))
    assert desk.write(place.place, action_id, Random(1), desk.now, None, Look(nodes=(), left_out=1)) == ReadAll()
    assert desk.newest_action().host is None
    assert desk.write(place.place, action_id, Random(1), desk.now, None, Look(nodes=())) is not None


@pytest.mark.parametrize(
    "asked", [{"group": True}, {"same_host": ("22222222-2222-4222-8222-222222222222",)}], ids=["group", "same host"]
)
def test_where_other_servers_decide_all_hosts_are_compared(asked: dict[str, Any]) -> None:
    group = ServerGroupId("g1") if asked.pop("group", False) else None
    instance = make.instance(ONE, server_group_id=group)
    assert wanted_of(CreateServers(make.context("req"), (instance,), **asked), instance) is None
    assert wanted_of(CreateServers(make.context("req"), (make.instance(ONE),)), make.instance(ONE)) is not None
