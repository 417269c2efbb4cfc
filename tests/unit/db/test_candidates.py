# SPDX-License-Identifier: Apache-2.0
"""The hosts that a placement compares: a bounded number, and the best ones as the scheduler orders all of them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.config.filter_scheduler import DEFAULTS, FilterSchedulerSettings
from kilonova.db.location import sqlite_url
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.candidates import MOST, Wanted, candidates
from kilonova.db.schema import aggregate_hosts, aggregates, compute_nodes, services
from kilonova.db.sqlite import make_engine
from kilonova.db.writers import hosts as write_hosts
from kilonova.objects.ids import HostName
from kilonova.scheduler.choose import choose
from kilonova.scheduler.request import PlacementRequest
from tests import make, template

HOSTS = MOST + 80
WANTED = Wanted(vcpus=8, memory_mib=2048, disk_gib=1)
"""Fewer than MOST hosts can take it."""
LITTLE = Wanted(vcpus=1, memory_mib=1, disk_gib=1)
"""More than MOST hosts can take it."""
PACKED = replace(DEFAULTS, ram_weight_multiplier=-1.0, cpu_weight_multiplier=-0.5, disk_weight_multiplier=0.0)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[sa.Connection]:
    """Hosts with different claims, the same in each run; every tenth one is out of service in one of three ways."""
    template.put_schema(tmp_path / "k.db")
    engine = make_engine(sqlite_url(tmp_path / "k.db"), readers=1)
    random = Random(4)
    with engine.connect() as connection:
        for number in range(HOSTS):
            add(connection, f"h{number:03}", random)
        for number in range(0, HOSTS, 10):
            column = ("up", "disabled", "forced_down")[number // 10 % 3]
            change(connection, services, f"h{number:03}", **{column: column != "up"})
        yield connection
    engine.dispose()


def add(connection: sa.Connection, host: str, random: Random) -> None:
    process: dict[str, Any] = {"topic": "compute", "zone": "nova", "epoch": 1, "process_id": "p", "boot_id": "b"}
    write_hosts.insert_service(
        connection, make.NOW, id=f"s-{host}", host=host, binary=read_hosts.COMPUTE, version=1, up=True, **process
    )
    inventory = make.inventory(vcpus_capacity=16, memory_mib_capacity=4096, disk_gib_capacity=100)
    write_hosts.put_inventory(connection, HostName(host), f"n-{host}", inventory)
    used = {"vcpus_used": random.randrange(18), "memory_mib_used": random.randrange(4300)}
    change(connection, compute_nodes, host, **used)


def change(connection: sa.Connection, table: sa.Table, host: str, **values: Any) -> None:
    connection.execute(sa.update(table).where(table.c.host == host).values(**values))


def names(connection: sa.Connection, wanted: Wanted = WANTED, rules: FilterSchedulerSettings = DEFAULTS) -> list[str]:
    found = candidates(connection, make.NOW, wanted, rules)
    assert (len(found.nodes), found.left_out) == (MOST, HOSTS - MOST)
    return [node.service.host for node in found.nodes]


@pytest.mark.parametrize("rules", [DEFAULTS, PACKED])
def test_the_scheduler_orders_them_as_it_orders_all(fleet: sa.Connection, rules: FilterSchedulerSettings) -> None:
    for number in (5, 15):
        change(fleet, compute_nodes, f"h{number:03}", failed_builds=number, build_failed_at=make.NOW)
    change(fleet, compute_nodes, "h025", failed_builds=9, build_failed_at=make.NOW - timedelta(hours=2))
    request = PlacementRequest(1, 1, 1, wants_network=False, rules=rules)
    of_all = choose(request, read_hosts.nodes_to_place(fleet, make.NOW), Random(1)).hosts
    few = candidates(fleet, make.NOW, LITTLE, rules)
    assert len(of_all) > MOST
    assert choose(request, few.nodes, Random(1)).hosts == of_all[:MOST]


def test_those_that_cannot_take_it_come_last(fleet: sa.Connection) -> None:
    passed = {node.service.host for node in read_hosts.nodes_to_place(fleet, make.NOW) if takes(node)}
    assert passed
    assert len(passed) < MOST
    assert passed <= set(names(fleet))


def takes(node: Any) -> bool:
    service = node.service
    in_service = service.up and not service.disabled and not service.forced_down
    return in_service and node.vcpus_used + 8 <= 16 and node.memory_mib_used + 2048 <= 4096


def test_the_requested_host_is_among_them_however_full_it_is(fleet: sa.Connection) -> None:
    change(fleet, compute_nodes, "h077", vcpus_used=8, memory_mib_used=2048, failed_builds=3, build_failed_at=make.NOW)
    assert "h077" in names(fleet, replace(WANTED, host=HostName("h077")))


def test_hosts_of_the_requested_zone_come_first(fleet: sa.Connection) -> None:
    change(fleet, services, "h011", zone="west")
    zone = {"id": 1, "uuid": "u", "name": "west", "availability_zone": "west", "metadata": {}}
    fleet.execute(sa.insert(aggregates).values(**zone, created_at=make.NOW, updated_at=make.NOW))
    fleet.execute(sa.insert(aggregate_hosts).values(aggregate_id=1, host="h012"))
    for host in ("h011", "h012"):
        change(fleet, compute_nodes, host, vcpus_used=8, memory_mib_used=2048)
    found = candidates(fleet, make.NOW, replace(WANTED, zone="west"), DEFAULTS)
    zones = {node.service.host: node.service.zone for node in found.nodes}
    assert (zones.pop("h011"), zones.pop("h012")) == ("west", "west")
    assert set(zones.values()) == {"nova"}


def test_a_small_fleet_is_read_whole(fleet: sa.Connection) -> None:
    for number in range(40, HOSTS):
        for table in (compute_nodes, services):
            fleet.execute(sa.delete(table).where(table.c.host == f"h{number:03}"))
    found = candidates(fleet, make.NOW, WANTED, DEFAULTS)
    assert found.left_out == 0
    assert list(found.nodes) == read_hosts.nodes_to_place(fleet, make.NOW)
