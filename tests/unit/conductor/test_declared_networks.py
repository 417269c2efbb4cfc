# SPDX-License-Identifier: Apache-2.0
"""Bridges of several hosts on one wire: addresses are unique there, and hosts that disagree are named."""

from pathlib import Path
from typing import Any

import pytest

from kilonova.conductor.hosts import fleet_status, register
from kilonova.db.readers import addresses as read_addresses
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import servers
from kilonova.db.readers.addresses import ANY_HOST
from kilonova.db.writers import instances as write_instances
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.service import HostNetwork
from kilonova.rpcapi.host_to_conductor import ReportInventory
from tests import make
from tests.unit.conductor.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def lan(name: str = "lan", physical: str = "", **changes: Any) -> HostNetwork:
    values: dict[str, Any] = {
        "cidr": "192.0.2.0/24",
        "gateway": "192.0.2.1",
        "first": "192.0.2.10",
        "last": "192.0.2.13",
        **changes,
    }
    return HostNetwork(name, "bridge", bridge="br0", physical=physical, **values)


def report(desk: Desk, host: str, *networks: HostNetwork) -> tuple[str, ...]:
    inventory = make.inventory(networks=networks)
    return desk.write(register.report_inventory, ReportInventory(HostName(host), 1, f"node-{host}", inventory))


def build(desk: Desk, name: str, host: str, **asked: Any) -> str:
    action_id = desk.create(make.instance(name), f"req-{name}", host=HostName(host), **asked)
    assert desk.place(action_id) == host
    return desk.read(read_instances.get, name).addresses[0].address


def test_one_wire_under_two_names_gives_each_address_once(desk: Desk) -> None:
    desk.register("h1", networks=(lan("office", "rack-1"),))
    desk.register("h2", networks=(lan("lan", "rack-1"),))
    given = [build(desk, "i1", "h1"), build(desk, "i2", "h2"), build(desk, "i3", "h1")]
    assert given == ["192.0.2.10", "192.0.2.11", "192.0.2.12"]


def test_one_name_on_two_wires_is_two_stocks_of_addresses(desk: Desk) -> None:
    desk.register("h1", networks=(lan("lan", "rack-1"),))
    desk.register("h2", networks=(lan("lan", "rack-2"),))
    assert [build(desk, "i1", "h1"), build(desk, "i2", "h2")] == ["192.0.2.10", "192.0.2.10"]


def test_the_addresses_follow_a_host_to_the_wire_that_it_declares(desk: Desk) -> None:
    for host in ("h1", "h2"):
        desk.register(host, networks=(lan(),))
    build(desk, "i1", "h1")
    build(desk, "i2", "h2")
    assert report(desk, "h1", lan(physical="rack-1")) == ()
    reserved = {(ANY_HOST, "rack-1"), (ANY_HOST, "lan")}
    first, second = 0xC000020A, 0xC000020B
    assert desk.read(read_addresses.taken, first, reserved) == {(ANY_HOST, "rack-1")}
    assert desk.read(read_addresses.taken, second, reserved) == {(ANY_HOST, "lan")}
    assert build(desk, "i3", "h1") == "192.0.2.11"


def test_an_address_that_is_taken_on_the_new_wire_is_reported(desk: Desk) -> None:
    desk.register("h1", networks=(lan(),))
    desk.register("h2", networks=(lan(physical="rack-1"),))
    build(desk, "i1", "h1")
    build(desk, "i2", "h2")
    (sentence,) = report(desk, "h1", lan(physical="rack-1"))
    assert sentence == (
        "Network lan of host h1 is on the wire rack-1 now. Some of its servers have addresses that servers on that "
        "wire have, too: recreate one of each two."
    )


def test_hosts_that_disagree_about_a_wire_are_named_once_for_each_change(desk: Desk) -> None:
    desk.register("h1", networks=(lan(),))
    desk.register("h2", networks=())
    other = lan(cidr="192.0.2.0/25", gateway="192.0.2.2", last="192.0.2.11")
    different = report(desk, "h2", other)
    assert different == (
        "Hosts h2 and h1 are on the wire lan and declare different values of cidr for it (192.0.2.0/25, 192.0.2.0/24): "
        "make them equal in [network:lan] and [network:lan].",
        "Hosts h2 and h1 are on the wire lan and declare different values of gateway for it (192.0.2.2, 192.0.2.1): "
        "make them equal in [network:lan] and [network:lan].",
    )
    assert report(desk, "h2", other) == ()
    shown = desk.read(fleet_status.status, HostName("c1"), desk.now).problems
    assert [("declare different values of" in one, "[network:lan]" in one) for one in shown] == [(True, True)] * 2
    assert report(desk, "h2", lan(last="192.0.2.11")) == ()  # a split range is no mistake
    assert report(desk, "h2", lan(cidr="198.51.100.0/24", gateway="", first="198.51.100.9", last="198.51.100.9")) == ()


def test_an_address_that_another_transaction_took_is_passed_over(desk: Desk) -> None:
    """Two placements may have read the same highest address: the key decides, and the slower one takes the next."""
    desk.register("h1", networks=(lan(),))
    build(desk, "i1", "h1")
    desk.write(write_instances.insert, make.instance("i2"))
    taken = desk.write(write_instances.take_address, HostName("h1"), lan(), InstanceId("i2"))
    assert taken == "192.0.2.11"
    wanted = desk.write(write_instances.take_wanted, HostName("h1"), lan(), InstanceId("i2"), "192.0.2.10")
    assert wanted is False
    assert len(desk.read(servers.page, servers.ServerQuery())) == 2


def test_a_host_without_the_network_is_refused(desk: Desk) -> None:
    desk.register("h1", networks=(lan(),))
    desk.register("h2", networks=(lan("dmz"),))
    action_id = desk.create(networks=("dmz",))
    assert desk.place(action_id) == "h2"
