# SPDX-License-Identifier: Apache-2.0
"""Placing: choose and claim in one transaction, explain when it cannot be."""

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import servers
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import instances as write_instances
from kilonova.networks.addresses import host_network, loopback_of
from kilonova.objects.service import HostNetwork
from kilonova.objects.states import ActionState, Verb, VmState
from tests import make
from tests.unit.conductor.desk import ONE, Desk, other


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_no_host_says_what_each_filter_refused(desk: Desk) -> None:
    desk.register(memory_mib_capacity=100)
    assert desk.place(desk.create()) is None
    broken = desk.instance()
    assert broken.vm_state is VmState.ERROR
    assert broken.fault is not None
    assert broken.fault.message == (
        "No valid host was found. RamFilter refused h1 (memory: asked for 128 MiB, 100 MiB of 100 MiB free)."
    )
    assert desk.newest_action().state is ActionState.FAILED
    desk.accept(Verb.DELETE, "req-delete")
    assert desk.read(servers.page, servers.ServerQuery()) == []


def test_claims_never_exceed_the_capacity(desk: Desk) -> None:
    desk.register(vcpus_capacity=2)
    hosts = [desk.place(desk.create(other(f"i{n}"), f"req-{n}")) for n in range(4)]
    assert hosts == ["h1", "h1", None, None]
    assert desk.node().vcpus_used == 2


def test_addresses_are_each_given_once_and_given_again_only_when_free(desk: Desk) -> None:
    desk.register()  # .2, .3 and .4 of 10.9.0.0/29
    for n in range(4):
        desk.place(desk.create(other(f"i{n}"), f"req-{n}"))
    listed = {i.id: i for i in desk.read(servers.page, servers.ServerQuery())}
    given = [listed[f"i{n}"].addresses[0].address for n in range(3)]
    assert given == ["10.9.0.2", "10.9.0.3", "10.9.0.4"]
    fault = listed["i3"].fault
    assert fault is not None
    assert "NetworkFilter refused h1 (no address of kilonova is free)" in fault.message
    assert desk.node().running_vms == 3  # what was claimed before the address was missed is given back
    desk.accept(Verb.DELETE, "req-d", instance_id=listed["i1"].id)
    delete = next(item for item in desk.fetch("t").items if item.action.verb is Verb.DELETE)
    desk.finish(delete.action, power=None)
    desk.place(desk.create(other("i9"), "req-9"))
    again = desk.read(read_instances.get, "i9")
    assert again.addresses[0].address == "10.9.0.3"


def test_a_guest_of_a_user_network_has_a_loopback_address_that_no_other_has(desk: Desk) -> None:
    user = host_network("kilonova", "user", "10.0.2.0/24", ssh_port=2222)
    desk.register(networks=(user,))
    wanted = str(ip_address(loopback_of(ONE)))
    action_id = desk.create()
    assert desk.write(write_instances.take_loopback, make.HOST, ONE) == wanted  # as if another had it already
    desk.place(action_id)
    (address,) = desk.instance().addresses
    assert ip_address(address.floating) == ip_address(wanted) + 1
    assert address.dhcp


def test_a_lan_gives_each_address_once_on_all_hosts(desk: Desk) -> None:
    lan = HostNetwork("lan", "bridge", "192.0.2.0/24", "", "192.0.2.10", "192.0.2.11", bridge="br0")
    for host in ("h1", "h2"):
        desk.register(host, networks=(lan,), vcpus_capacity=1)
    for n in range(2):
        desk.place(desk.create(other(f"i{n}"), f"req-{n}"))
    placed = desk.read(servers.page, servers.ServerQuery())
    assert {instance.host for instance in placed} == {"h1", "h2"}
    assert {instance.addresses[0].address for instance in placed} == {"192.0.2.10", "192.0.2.11"}
    assert not any(instance.addresses[0].dhcp or instance.addresses[0].floating for instance in placed)


def test_without_a_wish_for_a_network_there_is_no_address(desk: Desk) -> None:
    desk.register(networks=())
    desk.place(desk.create(other(ONE, wants_network=False)))
    assert desk.instance().addresses == ()
    assert desk.instance().host == "h1"


def test_a_mac_is_stable_and_its_own(desk: Desk) -> None:
    desk.register()
    for n in range(2):
        desk.place(desk.create(other(f"i{n}"), f"req-{n}"))
    macs = {i.addresses[0].mac for i in desk.read(servers.page, servers.ServerQuery())}
    assert len(macs) == 2
    assert all(mac.startswith("fa:16:3e:") for mac in macs)


def test_placing_twice_is_placing_once(desk: Desk) -> None:
    desk.register()
    action_id = desk.create()
    assert desk.place(action_id) == "h1"
    assert desk.place(action_id) is None
    assert desk.node().running_vms == 1


def test_disk_counts_what_the_image_may_grow_to(desk: Desk) -> None:
    desk.register()
    desk.place(desk.create(other(ONE, flavor=make.flavor(disk_gib=0))))
    assert desk.node().disk_gib_used == 1  # a flavor without a size takes the image's own, rounded up


def test_swap_and_ephemeral_disk_count_as_nova_counts_them(desk: Desk) -> None:
    desk.register()
    flavor = replace(make.flavor(disk_gib=2), ephemeral_gib=3, swap_mib=1025)
    desk.place(desk.create(other(ONE, flavor=flavor)))
    assert desk.node().disk_gib_used == 2 + 3 + 2


def test_claims_hold_without_the_filters(desk: Desk) -> None:
    """Two placements may have read the same numbers: the second one's claim is refused by the row itself."""
    desk.register(vcpus_capacity=2)
    claims = [desk.write(write_hosts.claim, make.HOST, other(f"i{n}")) for n in range(4)]
    assert claims == [True, True, False, False]
    assert desk.node().vcpus_used == 2
