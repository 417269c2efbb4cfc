# SPDX-License-Identifier: Apache-2.0
"""Placing: choose and claim in one transaction, explain when it cannot be."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from random import Random

import pytest

from kilonova.conductor.hosts import register
from kilonova.conductor.placement import addressing, place
from kilonova.conductor.placement.waiting import JUST_DOWN, JUST_STARTED, SILENT_HYPERVISOR, Patience, Wait
from kilonova.conductor.watch import deadlines
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import servers
from kilonova.db.readers.hosts import HostLevel
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import instances as write_instances
from kilonova.db.writers import liveness as write_liveness
from kilonova.networks.addresses import UNDIVIDED, host_network, loopback_of, project_number, project_of
from kilonova.objects.ids import ActionId, HostName
from kilonova.objects.service import HostNetwork
from kilonova.objects.states import ActionState, Verb, VmState
from kilonova.rpcapi.api_to_conductor import UpdateService
from kilonova.rpcapi.host_to_conductor import RegisterHost, SetHostEnabled
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
        "No valid host was found. RamFilter refused h1 (memory: 128 MiB requested, 100 MiB of 100 MiB free)."
    )
    assert desk.newest_action().state is ActionState.FAILED
    desk.accept(Verb.DELETE, "req-delete")
    assert desk.read(servers.page, servers.ServerQuery()) == []


def test_claims_never_exceed_the_capacity(desk: Desk) -> None:
    desk.register(vcpus_capacity=2)
    placed = [desk.place(desk.create(other(f"i{n}"), f"req-{n}")) for n in range(4)]
    assert placed == ["h1", "h1", None, None]
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
    assert all(mac.startswith("fa:") for mac in macs)


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


DOWN = timedelta(seconds=60)
PATIENT = Patience(timedelta(seconds=60), down_time=DOWN)


def place_patiently(desk: Desk, action_id: ActionId, patience: Patience = PATIENT) -> object:
    return desk.write(place.place, action_id, Random(1), desk.now, patience)


def disable(desk: Desk, enabled: bool = False) -> None:
    desk.write(register.set_enabled, SetHostEnabled(make.HOST, 1, enabled, "libvirt is away"), desk.now)


def test_a_host_whose_hypervisor_is_away_is_waited_for_and_the_action_says_so(desk: Desk) -> None:
    desk.register()
    disable(desk)
    action_id = desk.create()
    for _ in range(2):
        assert place_patiently(desk, action_id) == Wait((make.HOST,), SILENT_HYPERVISOR)
    action = desk.newest_action()
    assert (action.state, action.message) == (
        ActionState.OPEN,
        "Waiting for a host: its hypervisor does not answer.",
    )
    (event,) = desk.read(read_actions.events, action_id)
    assert (event.name, event.finish_time, event.details) == ("conductor.wait", None, action.message)
    disable(desk, enabled=True)
    assert place_patiently(desk, action_id) == "h1"
    assert desk.newest_action().message is None
    (event,) = desk.read(read_actions.events, action_id)
    assert event.result == "Success"
    assert event.finish_time is not None


def test_when_the_time_to_wait_is_over_there_is_no_valid_host(desk: Desk) -> None:
    desk.register()
    disable(desk)
    action_id = desk.create()
    place_patiently(desk, action_id)
    assert place_patiently(desk, action_id, Patience()) is None
    assert desk.newest_action().state is ActionState.FAILED
    assert "ComputeFilter refused h1 (disabled: libvirt is away)" in (desk.newest_action().message or "")
    assert [event.result for event in desk.read(read_actions.events, action_id)] == ["Error"]


def test_how_long_a_create_waits_follows_from_its_record_and_not_from_a_conductors_memory(desk: Desk) -> None:
    """Each look may be that of another conductor."""
    desk.register()
    disable(desk)
    action_id = desk.create()
    place_patiently(desk, action_id)
    for _ in range(9):  # (a transaction takes a second here)
        assert isinstance(place_patiently(desk, action_id), Wait)
        desk.now += timedelta(seconds=5)
        desk.write(deadlines.count_time, 5.0, desk.now)
    assert place_patiently(desk, action_id) is None
    assert desk.newest_action().state is ActionState.FAILED


def test_time_in_which_no_conductor_worked_is_no_part_of_a_wait(desk: Desk) -> None:
    desk.register()
    disable(desk)
    action_id = desk.create()
    place_patiently(desk, action_id)
    for _ in range(3):
        desk.now += timedelta(hours=1)
        assert isinstance(place_patiently(desk, action_id), Wait)
        desk.write(deadlines.count_time, 5.0, desk.now)
        assert isinstance(place_patiently(desk, action_id), Wait)


def test_a_host_that_has_just_started_or_just_gone_is_waited_for(desk: Desk) -> None:
    young = replace(PATIENT, young=True)
    action_id = desk.create()
    assert place_patiently(desk, action_id, young) == Wait((), JUST_STARTED)  # none has registered yet
    request = RegisterHost(make.HOST, "process-1", "node-h1", "boot", "kilonova-compute", "compute", 1, "nova")
    desk.write(register.register, request, "service-h1", desk.now)
    assert place_patiently(desk, action_id) == Wait((make.HOST,), JUST_STARTED)  # it has not told what it has
    desk.register()
    desk.write(write_liveness.call_down, HostLevel(make.HOST, 1, True), desk.now - DOWN)
    assert place_patiently(desk, action_id) == Wait((make.HOST,), JUST_DOWN)
    desk.now += PATIENT.host_wait
    assert place_patiently(desk, action_id) is None  # it has been down for long


def test_nobody_waits_for_a_host_that_would_not_do_or_that_an_operator_has_taken_out(desk: Desk) -> None:
    def fails(name: str) -> bool:
        return place_patiently(desk, desk.create(other(name), f"req-{name}")) is None

    assert fails("no-host")  # and the conductor has long been there
    desk.register(memory_mib_capacity=100)
    disable(desk)
    assert fails("full")
    desk.register()
    assert place_patiently(desk, desk.create(other("fits"), "req-fits")) == Wait((make.HOST,), SILENT_HYPERVISOR)
    desk.write(register.operator_update, UpdateService("service-h1", disabled=True), desk.now)
    assert fails("disabled")
    desk.write(write_liveness.call_down, HostLevel(make.HOST, 1, True), desk.now - DOWN)
    assert fails("disabled-and-down")
    desk.write(write_liveness.call_up, HostLevel(make.HOST, 1, False), desk.now)
    desk.write(register.operator_update, UpdateService("service-h1", disabled=False, forced_down=True), desk.now)
    disable(desk)
    assert fails("forced-down")


def test_macs_tell_projects_apart_and_never_guests_of_one(desk: Desk) -> None:
    desk.register()
    for n, project in enumerate(("ours", "theirs", "ours")):
        desk.place(desk.create(other(f"i{n}", project_id=project), f"req-{n}"))
    placed = {i.id: i.addresses[0].mac for i in desk.read(servers.page, servers.ServerQuery())}
    assert project_of(placed["i0"]) == project_of(placed["i2"]) != project_of(placed["i1"])
    assert len(set(placed.values())) == 3


def test_a_guest_that_moves_keeps_its_mac(desk: Desk) -> None:
    """Its system knows the NIC by it.  Also one from before projects had numbers."""
    desk.register()
    desk.place(desk.create())
    moved = replace(desk.instance(), addresses=(replace(desk.instance().addresses[0], mac="fa:16:3e:01:02:03"),))
    other_host = host_network("kilonova", "nat", "10.78.0.0/20")
    (address,) = desk.write(addressing.give, HostName("h2"), (other_host,), moved, {})
    assert (address.address, address.mac) == ("10.78.0.16", "fa:16:3e:01:02:03")


def test_no_two_projects_have_one_number(desk: Desk) -> None:
    """Also where their ids say the same one, or that of guests from before there were numbers."""
    same = [project for project in map(str, range(200_000)) if project_number(project) == UNDIVIDED][:2]
    assert len(same) == 2
    numbers = [desk.write(write_instances.number_project, project) for project in (*same, "another")]
    assert numbers[:2] == [UNDIVIDED + 1, UNDIVIDED + 2]
    assert len(set(numbers)) == 3
    assert desk.write(write_instances.number_project, same[1]) == UNDIVIDED + 2


def test_a_wanted_address_is_given_or_refused(desk: Desk) -> None:
    desk.register()  # .2, .3 and .4 of 10.9.0.0/29
    for n, wanted in enumerate(("10.9.0.4", "10.9.0.4", "10.9.0.9", "10.9.0.3")):
        desk.place(desk.create(other(f"i{n}"), f"req-{n}", networks=("kilonova",), fixed_ips=(wanted,)))
    listed = {i.id: i for i in desk.read(servers.page, servers.ServerQuery())}
    assert [listed[f"i{n}"].addresses[0].address for n in (0, 3)] == ["10.9.0.4", "10.9.0.3"]
    for n, wanted in ((1, "10.9.0.4"), (2, "10.9.0.9")):
        fault = listed[f"i{n}"].fault
        assert fault is not None
        assert f"NetworkFilter refused h1 (address {wanted} of kilonova is taken)" in fault.message
    assert desk.node().running_vms == 2
