# SPDX-License-Identifier: Apache-2.0
"""Zones of several hosts, and requests that come twice."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from kilonova.base.errors import Conflict, InvalidInput, NotFound
from kilonova.conductor import aggregates
from kilonova.conductor.hosts import register
from kilonova.db.readers import aggregates as read_aggregates
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.writers import hosts as write_hosts
from kilonova.objects.ids import HostName
from kilonova.rpcapi.api_to_conductor_admin import (
    AggregateHost,
    CreateAggregate,
    DeleteAggregate,
    DeleteService,
    UpdateAggregate,
)
from tests import make
from tests.unit.conductor.desk import Desk

H1, H2 = HostName("h1"), HostName("h2")


def aggregate(desk: Desk, uuid: str, zone: str | None, *members: HostName) -> int:
    desk.write(aggregates.create, CreateAggregate(uuid, f"name-{uuid}", zone), desk.now)
    made = desk.read(read_aggregates.by_uuid, uuid)
    for host in members:
        desk.write(aggregates.set_host, AggregateHost(made.id, host, True))
    return made.id


def end_all_hosts(connection: sa.Connection) -> None:
    for host in (H1, H2):
        write_hosts.update_service(connection, host, read_hosts.COMPUTE, make.NOW, up=False)


def zones(desk: Desk) -> dict[str, str]:
    return {node.service.host: node.service.zone for node in desk.read(read_hosts.list_nodes)}


def test_a_host_is_in_one_zone_and_a_zone_may_have_several_aggregates(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.register("h1")
    desk.register("h2")
    aggregate(desk, "a", "east", H1)
    second = aggregate(desk, "b", "east", H1)
    west = aggregate(desk, "c", "west", H2)
    assert zones(desk) == {"h1": "east", "h2": "west"}
    with pytest.raises(Conflict, match="east"):
        desk.write(aggregates.set_host, AggregateHost(west, H1, True))
    with pytest.raises(InvalidInput, match="east"):
        desk.write(aggregates.update, UpdateAggregate(second, put={"availability_zone": "west"}), desk.now)
    desk.write(aggregates.update, UpdateAggregate(west, put={"availability_zone": "east"}), desk.now)
    assert zones(desk) == {"h1": "east", "h2": "east"}
    assert desk.read(read_hosts.zones) == {"east"}


def test_a_build_goes_to_the_zone_that_was_asked_for(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.register("h1")
    desk.register("h2")
    aggregate(desk, "a", "east", H2)
    assert desk.place(desk.create(make.instance(availability_zone="east"))) == H2
    assert desk.instance().availability_zone == "east"


def test_no_host_in_the_zone_is_said_so(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.register("h1")
    assert desk.place(desk.create(make.instance(availability_zone="east"))) is None
    fault = desk.instance().fault
    assert fault is not None
    assert "is in zone nova, the requested zone is east" in fault.message


def test_requests_that_come_again_change_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.register("h1")
    one = aggregate(desk, "a", None, H1, H1)
    desk.write(aggregates.create, CreateAggregate("a", "name-a", None), desk.now)
    before = desk.read(read_aggregates.get_aggregate, one)
    assert before.hosts == (H1,)
    for _ in range(2):
        desk.write(aggregates.set_host, AggregateHost(one, H1, False))
    for _ in range(2):
        desk.write(aggregates.delete, DeleteAggregate(one))
    with pytest.raises(NotFound):
        desk.read(read_aggregates.get_aggregate, one)
    with pytest.raises(NotFound):
        desk.write(aggregates.set_host, AggregateHost(one, H1, True))


def test_a_dead_service_is_forgotten_with_its_host_and_comes_back_as_a_new_one(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.active()
    service_id = desk.node().service.id
    aggregate(desk, "a", "east", H1)
    with pytest.raises(Conflict, match="is up"):
        desk.write(register.delete_service, DeleteService(service_id), desk.now)
    desk.write(end_all_hosts)
    with pytest.raises(Conflict, match="hosting instances"):
        desk.write(register.delete_service, DeleteService(service_id), desk.now)
    desk.register("h2")
    empty = "service-h2"
    aggregate(desk, "b", "west", H2)
    desk.write(end_all_hosts)
    for _ in range(2):
        desk.write(register.delete_service, DeleteService(empty), desk.now)
    assert zones(desk) == {"h1": "east"}
    assert [found.hosts for found in desk.read(read_aggregates.list_aggregates)] == [(H1,), ()]
    assert desk.register("h2", process="process-2") == 1
    assert zones(desk) == {"h1": "east", "h2": "nova"}
