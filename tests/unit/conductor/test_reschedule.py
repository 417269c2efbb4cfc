# SPDX-License-Identifier: Apache-2.0
"""A build that failed for a reason of its host goes on to another host; everything of it moves."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import placements as read_placements
from kilonova.db.readers.purge import Kind
from kilonova.db.writers import purge
from kilonova.objects.action import Action
from kilonova.objects.ids import ActionId, ActionRef, HostName
from kilonova.objects.service import ComputeNode, HostNetwork
from kilonova.objects.states import ActionState, TaskState, Verb, VmState
from tests import make
from tests.unit.conductor.desk import ONE, Desk

LAN = HostNetwork("lan", "bridge", "192.0.2.0/24", "", "192.0.2.10", "192.0.2.11", bridge="br0")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def leg_of(desk: Desk, host: str | None) -> Action:
    """The work that a host fetches."""
    assert host is not None
    (item,) = desk.fetch(f"t-{host}-{desk.now}", host=host).items
    return item.action


def fail_on(desk: Desk, host: str | None, reason: str = "The disk is full.") -> None:
    """The host fails the build, and has removed what it made."""
    desk.finish(leg_of(desk, host), succeeded=False, power=None, message=reason, of_host=True)


def removed_on(desk: Desk, host: str | None) -> ActionRef | None:
    return desk.finish(leg_of(desk, host), power=None).place


def node(desk: Desk, host: str | None) -> ComputeNode:
    nodes = desk.read(read_hosts.nodes_to_place, desk.now)
    return next(one for one in nodes if one.service.host == host)


def other(host: str | None, hosts: tuple[str, ...] = ("h1", "h2")) -> str:
    return next(one for one in hosts if one != host)


def test_a_failed_build_moves_with_its_claim_and_its_address(desk: Desk) -> None:
    for host in ("h1", "h2"):
        desk.register(host, networks=(LAN,))
    action_id = desk.create()
    first = desk.place(action_id)
    address = desk.instance().addresses[0]
    fail_on(desk, first)
    assert (desk.instance().host, desk.instance().vm_state) == (first, VmState.BUILDING)
    assert removed_on(desk, first) == ActionRef(action_id, "req-create")
    assert (desk.instance().host, desk.instance().task_state) == (None, TaskState.SCHEDULING)
    assert node(desk, first).running_vms == 0
    assert desk.read(read_actions.unplaced) == [ActionRef(action_id, "req-create")]
    second = desk.place(action_id)
    assert second == other(first)
    assert (node(desk, first).vcpus_used, node(desk, second).vcpus_used) == (0, 1)
    assert desk.instance().addresses == (address,)
    desk.finish(leg_of(desk, second))
    action, instance = desk.newest_action(), desk.instance()
    assert (action.state, action.message, instance.vm_state, instance.host) == (
        ActionState.DONE,
        None,
        VmState.ACTIVE,
        second,
    )
    (event,) = desk.read(read_actions.events, action_id)
    assert (event.name, event.host, event.details) == ("conductor.reschedule.1", first, "The disk is full.")


def test_an_address_behind_nat_is_taken_on_the_next_host(desk: Desk) -> None:
    for host in ("h1", "h2"):
        desk.register(host)
    action_id = desk.create()
    first = desk.place(action_id)
    mac = desk.instance().addresses[0].mac
    fail_on(desk, first)
    removed_on(desk, first)
    second = desk.place(action_id)
    desk.finish(leg_of(desk, second))
    assert desk.instance().addresses[0].mac == mac
    desk.accept(Verb.DELETE, "req-d")
    desk.finish(leg_of(desk, second), power=None)
    assert [desk.read(read_instances.get_known, ONE)[1], node(desk, second).running_vms] == [True, 0]


def test_three_hosts_are_tried_and_no_more(desk: Desk) -> None:
    for number in range(1, 6):
        desk.register(f"h{number}")
    action_id = desk.create()
    hosts = [desk.place(action_id)]
    for _ in range(2):
        fail_on(desk, hosts[-1], f"{hosts[-1]} has no room.")
        removed_on(desk, hosts[-1])
        hosts.append(desk.place(action_id))
    assert len(set(hosts)) == 3
    fail_on(desk, hosts[-1], "There is no power.")
    action, instance = desk.newest_action(), desk.instance()
    assert (action.state, instance.vm_state) == (ActionState.FAILED, VmState.ERROR)
    assert instance.fault is not None
    assert instance.fault.message == (
        f"On host {hosts[0]}: {hosts[0]} has no room. On host {hosts[1]}: {hosts[1]} has no room. "
        f"On host {hosts[2]}: There is no power."
    )
    assert [node(desk, host).failed_builds for host in hosts] == [1, 1, 1]


def test_without_another_host_the_fault_has_the_failure_and_the_refusals(desk: Desk) -> None:
    desk.register("h1")
    desk.register("h2", vcpus_capacity=0)
    action_id = desk.create()
    assert desk.place(action_id) == "h1"
    fail_on(desk, "h1")
    removed_on(desk, "h1")
    assert desk.place(action_id) is None
    fault = desk.instance().fault
    assert fault is not None
    assert fault.message.startswith(
        "On host h1: The disk is full. No valid host was found. RetryFilter refused h1 "
        "(the build failed on it before); CoreFilter refused h2"
    )
    records = desk.read(read_placements.of_action, action_id)
    assert [(leg, one.chosen, one.candidates, one.hosts) for leg, one in records.items()] == [
        (0, "h1", 1, 2),
        (2, None, 0, 2),
    ]


@pytest.mark.parametrize("case", ["reason of the user", "only host", "requested host", "other host is down"])
def test_a_build_stays_where_it_failed(desk: Desk, case: str) -> None:
    desk.register("h1")
    if case != "only host":
        desk.register("h2", vcpus_capacity=0)
    asked = {"host": HostName("h1")} if case == "requested host" else {}
    desk.place(desk.create(**asked))  # type: ignore[arg-type]
    if case == "other host is down":
        desk.set_up("h2", up=False)
    of_host = case != "reason of the user"
    desk.finish(leg_of(desk, "h1"), succeeded=False, power=None, message="It is bad.", of_host=of_host)
    action = desk.newest_action()
    assert (action.state, action.message, len(action.legs)) == (ActionState.FAILED, "It is bad.", 1)
    assert desk.instance().host == "h1"


def test_what_cannot_be_removed_ends_the_build(desk: Desk) -> None:
    for host in ("h1", "h2"):
        desk.register(host)
    first = desk.place(desk.create())
    fail_on(desk, first)
    left = desk.finish(leg_of(desk, first), succeeded=False, power=None, message="It stays.", of_host=True)
    assert left.place is None
    action, instance = desk.newest_action(), desk.instance()
    assert (action.state, instance.host, node(desk, first).running_vms) == (ActionState.FAILED, first, 1)
    assert action.message == f"On host {first}: The disk is full. What was done in step 1 was not undone: It stays."


@pytest.mark.parametrize("when", ["undo", "unplaced", "second host"])
def test_a_delete_in_the_middle_leaves_nothing(desk: Desk, when: str) -> None:
    for host in ("h1", "h2"):
        desk.register(host)
    action_id = desk.create()
    at = desk.place(action_id)
    fail_on(desk, at)
    if when != "undo":
        removed_on(desk, at)
        at = None
    if when == "second host":
        at = desk.place(action_id)
        leg_of(desk, at)
    desk.accept(Verb.DELETE, "req-d")
    if at is not None:
        delete = leg_of(desk, at)
        assert (delete.verb, len(delete.legs)) == (Verb.DELETE, 1)
        desk.finish(delete, power=None)
    assert desk.read(read_instances.get_known, ONE)[1]
    assert [node(desk, host).running_vms for host in ("h1", "h2")] == [0, 0]


def test_failed_builds_are_forgotten_after_a_success_and_after_a_while(desk: Desk) -> None:
    for host in ("h1", "h2"):
        desk.register(host)
    first = desk.place(desk.create())
    fail_on(desk, first)
    assert node(desk, first).failed_builds == 1
    desk.now += read_hosts.FAILURES_COUNT + timedelta(seconds=1)
    assert node(desk, first).failed_builds == 0
    removed_on(desk, first)


def test_a_success_clears_the_failed_builds(desk: Desk) -> None:
    for host in ("h1", "h2"):
        desk.register(host)
    first = desk.place(desk.create())
    fail_on(desk, first)
    removed_on(desk, first)
    second = make.instance("i2")
    desk.place(desk.create(replace(second), "req-2", host=HostName(str(first))))  # type: ignore[arg-type]
    desk.finish(leg_of(desk, first))
    assert node(desk, first).failed_builds == 0


def test_a_record_is_purged_with_its_action(desk: Desk) -> None:
    desk.register()
    action_id = desk.create()
    desk.place(action_id)
    desk.finish(leg_of(desk, "h1"))
    desk.accept(Verb.DELETE, "req-d")
    desk.finish(leg_of(desk, "h1"), power=None)
    assert desk.read(read_placements.of_action, ActionId(action_id))
    assert desk.write(purge.purge_servers, desk.now + timedelta(days=1), desk.now)[Kind.PLACEMENTS] == 1
    assert desk.read(read_placements.of_action, ActionId(action_id)) == {}
