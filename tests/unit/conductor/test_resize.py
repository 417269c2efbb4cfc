# SPDX-License-Identifier: Apache-2.0
"""A resize in the record: refused or accepted whole, and its claim counted once whatever comes after."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kilonova.base.errors import InvalidInput, InvalidState, NoValidHost
from kilonova.conductor.hosts import host_boot, lost_hosts
from kilonova.conductor.watch import auto_confirm
from kilonova.db.readers import migrations as read_migrations
from kilonova.db.readers.migrations import MigrationQuery
from kilonova.db.writers import flavors as write_flavors
from kilonova.db.writers import instances as write_instances
from kilonova.objects.action import Action
from kilonova.objects.action_params import RevertResizeParams
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import FlavorId
from kilonova.objects.migration import MigrationStatus
from kilonova.objects.states import ActionState, PowerState, TaskState, Verb, VmState
from kilonova.rpcapi.host_to_conductor import RegisterHost
from tests import make
from tests.unit.conductor.desk import ONE, Desk

BIG = Flavor(FlavorId("big"), "big", vcpus=4, memory_mib=64, disk_gib=3)
"""More of everything than make.flavor(), but for the memory."""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.active()
    desk.write(write_flavors.create_flavor, BIG)
    return desk


def claimed(desk: Desk) -> tuple[int, int, int, int]:
    node = desk.node()
    return node.running_vms, node.vcpus_used, node.memory_mib_used, node.disk_gib_used


def status(desk: Desk) -> MigrationStatus:
    (listed,) = desk.read(read_migrations.page, MigrationQuery())
    return listed.migration.status


SMALL, BOTH = (1, 1, 128, 1), (1, 4, 128, 3)
ONLY_BIG = (1, 4, 64, 3)


def ask(desk: Desk, verb: Verb, request_id: str, **params: Any) -> Action:
    desk.accept(verb, request_id, **params)
    (item,) = desk.fetch(f"t-{request_id}").items
    return item.action


def resized(desk: Desk) -> Action:
    action = ask(desk, Verb.RESIZE, "req-resize", flavor_id="big")
    desk.finish(action)
    return action


def test_while_it_waits_the_larger_of_both_is_held(desk: Desk) -> None:
    action = ask(desk, Verb.RESIZE, "req-resize", flavor_id="big", disk_config="AUTO")
    instance = desk.instance()
    assert (instance.flavor, instance.old_flavor, instance.new_flavor) == (make.flavor(), make.flavor(), BIG)
    assert (instance.task_state, instance.old_vm_state) == (TaskState.RESIZING, VmState.ACTIVE)
    assert instance.disk_config == "AUTO"
    assert (claimed(desk), status(desk)) == (BOTH, MigrationStatus.MIGRATING)
    desk.finish(action)
    desk.finish(action)
    instance = desk.instance()
    assert (instance.flavor, instance.old_flavor, instance.new_flavor) == (BIG, make.flavor(), None)
    assert (instance.vm_state, instance.task_state) == (VmState.RESIZED, None)
    assert (claimed(desk), status(desk)) == (BOTH, MigrationStatus.FINISHED)


@pytest.mark.parametrize(
    ("verb", "flavor", "held", "ended"),
    [
        (Verb.CONFIRM_RESIZE, BIG, ONLY_BIG, MigrationStatus.CONFIRMED),
        (Verb.REVERT_RESIZE, make.flavor(), SMALL, MigrationStatus.REVERTED),
    ],
)
@pytest.mark.parametrize(
    ("power", "ends"), [(PowerState.RUNNING, VmState.ACTIVE), (PowerState.SHUTDOWN, VmState.STOPPED)]
)
def test_in_the_end_one_size_is_held(
    desk: Desk,
    verb: Verb,
    flavor: Flavor,
    held: tuple[int, ...],
    ended: MigrationStatus,
    power: PowerState,
    ends: VmState,
) -> None:
    resized(desk)
    action = ask(desk, verb, "req-end")
    assert claimed(desk) == BOTH
    desk.finish(action, succeeded=False, message="not now")
    assert (claimed(desk), desk.instance().vm_state) == (BOTH, VmState.RESIZED)
    assert status(desk) is MigrationStatus.FINISHED
    action = ask(desk, verb, "req-again")
    for _ in range(2):
        desk.finish(action, power=power)
    instance = desk.instance()
    assert (instance.flavor, instance.old_flavor, instance.new_flavor) == (flavor, None, None)
    assert (instance.vm_state, instance.old_vm_state) == (ends, None)
    assert (claimed(desk), status(desk)) == (held, ended)


def test_a_revert_knows_what_was_kept_and_that_the_guest_ran(desk: Desk) -> None:
    first = resized(desk)
    desk.observe(PowerState.SHUTDOWN, reason="shutdown")
    assert (desk.instance().vm_state, desk.instance().desired_power) == (VmState.RESIZED, PowerState.SHUTDOWN)
    action = ask(desk, Verb.REVERT_RESIZE, "req-revert")
    assert action.params == RevertResizeParams(first.id)
    assert desk.instance().desired_power is PowerState.SHUTDOWN, "a wish follows its outcome"
    desk.finish(action)
    assert desk.instance().desired_power is PowerState.RUNNING


def test_one_that_was_off_stays_meant_to_be_off(desk: Desk) -> None:
    desk.finish(ask(desk, Verb.STOP, "req-stop"), power=PowerState.SHUTDOWN)
    resized(desk)
    ask(desk, Verb.REVERT_RESIZE, "req-revert")
    assert desk.instance().desired_power is PowerState.SHUTDOWN


def test_a_failed_resize_gives_everything_back(desk: Desk) -> None:
    action = ask(desk, Verb.RESIZE, "req-resize", flavor_id="big")
    for _ in range(2):
        desk.finish(action, succeeded=False, message="not enough space to keep the old disk")
    instance = desk.instance()
    assert (instance.vm_state, instance.flavor, instance.fault) == (VmState.ACTIVE, make.flavor(), None)
    assert (instance.old_flavor, instance.new_flavor, instance.old_vm_state) == (None, None, None)
    assert (claimed(desk), status(desk)) == (SMALL, MigrationStatus.ERROR)
    assert desk.newest_action().message == "not enough space to keep the old disk"
    desk.finish(ask(desk, Verb.RESIZE, "req-again", flavor_id="big"))
    assert claimed(desk) == BOTH


def test_a_resize_that_no_host_asked_for_gives_everything_back(desk: Desk) -> None:
    desk.accept(Verb.RESIZE, "req-resize", flavor_id="big")
    desk.look(timedelta(hours=2))
    assert (claimed(desk), status(desk)) == (SMALL, MigrationStatus.ERROR)
    assert desk.newest_action().state is ActionState.FAILED


@pytest.mark.parametrize("waits", [True, False])
def test_a_delete_gives_back_what_was_held(desk: Desk, waits: bool) -> None:
    if waits:
        resized(desk)
    else:
        ask(desk, Verb.RESIZE, "req-resize", flavor_id="big")
    desk.finish(ask(desk, Verb.DELETE, "req-delete"), power=None)
    assert claimed(desk) == (0, 0, 0, 0)
    assert status(desk) is (MigrationStatus.CONFIRMED if waits else MigrationStatus.ERROR)


def test_the_same_request_twice_is_held_once(desk: Desk) -> None:
    for _ in range(2):
        desk.accept(Verb.RESIZE, "req-resize", flavor_id="big")
    assert (claimed(desk), status(desk)) == (BOTH, MigrationStatus.MIGRATING)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vcpus": 17}, "CoreFilter refused h1 (vCPUs: 16 requested, 15 of 16 free)"),
        ({"memory_mib": 9000}, "RamFilter"),
        ({"disk_gib": 101}, "DiskFilter"),
        (
            {"extra_specs": {"hw:tpm_version": "2.0"}},
            "ImagePropertiesFilter refused h1 (hw:tpm_version=2.0: it has none",
        ),
    ],
)
def test_what_the_host_has_no_room_for_is_refused_at_once(desk: Desk, changes: dict[str, Any], words: str) -> None:
    desk.write(write_flavors.create_flavor, replace(BIG, id=FlavorId("huge"), name="huge", **changes))
    before = desk.instance()
    with pytest.raises(NoValidHost) as refused:
        desk.accept(Verb.RESIZE, "req-resize", flavor_id="huge")
    assert words in refused.value.message
    assert (desk.instance(), claimed(desk), desk.read(read_migrations.page, MigrationQuery())) == (before, SMALL, [])
    assert [action.verb for action in desk.actions()] == [Verb.CREATE]


def test_what_does_not_grow_needs_no_room(desk: Desk) -> None:
    """The host offers less than it did; a server there may still get more memory."""
    desk.register(vcpus_capacity=0, disk_gib_capacity=0)
    more = replace(make.flavor(), id=FlavorId("more"), name="more", memory_mib=256)
    desk.write(write_flavors.create_flavor, more)
    desk.accept(Verb.RESIZE, "req-resize", flavor_id="more")
    assert claimed(desk) == (1, 1, 256, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": FlavorId("1")}, "must change flavor"),
        ({"disk_gib": 0}, "resize disk down"),
        ({"id": FlavorId("gone")}, "could not be found"),
    ],
)
def test_what_can_never_be_is_said(desk: Desk, changes: dict[str, Any], words: str) -> None:
    flavor = replace(BIG, name="other", **{"id": FlavorId("other"), **changes})
    if flavor.id == "other":
        desk.write(write_flavors.create_flavor, flavor)
    with pytest.raises(InvalidInput, match=words):
        desk.accept(Verb.RESIZE, "req-resize", flavor_id=flavor.id)
    assert claimed(desk) == SMALL


def test_a_disk_as_large_as_its_image_can_grow_and_no_less(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.register()
    image = replace(make.image_ref(), virtual_size=5 << 30)
    desk.place(desk.create(make.instance(flavor=make.flavor(disk_gib=0), image=image)))
    desk.finish(desk.fetch("t").items[0].action)
    for size, fits in ((4, False), (5, True)):
        desk.write(
            write_flavors.create_flavor, replace(BIG, id=FlavorId(str(size * 100)), name=str(size), disk_gib=size)
        )
        if fits:
            desk.accept(Verb.RESIZE, "req-resize", flavor_id=str(size * 100))
        else:
            with pytest.raises(InvalidInput, match="resize disk down"):
                desk.accept(Verb.RESIZE, "req-resize", flavor_id=str(size * 100))


def test_a_server_with_a_resize_that_did_not_end_takes_no_other(desk: Desk) -> None:
    """A delete failed; before a reset of the state was refused then, an administrator could say that it is active."""
    resized(desk)
    desk.finish(ask(desk, Verb.DELETE, "req-delete"), succeeded=False, message="stuck")
    with pytest.raises(InvalidState, match="did not end"):
        desk.accept(Verb.RESET_STATE, "req-reset", state="active")
    desk.write(write_instances.update, ONE, desk.now, vm_state=VmState.ACTIVE)
    with pytest.raises(InvalidState, match="did not end"):
        desk.accept(Verb.RESIZE, "req-resize-2", flavor_id="2")
    assert claimed(desk) == BOTH


def test_a_start_after_the_hosts_boot_leaves_it_waiting(desk: Desk) -> None:
    resized(desk)
    ids = iter(f"id-{n}" for n in range(9))
    boot = RegisterHost(make.HOST, "process-2", "node-h1", "boot-2", "kilonova-compute", "compute", 1, "nova")
    assert desk.write(host_boot.enroll, boot, "service-h1", lambda: next(ids), desk.now).resumed == 1
    (item,) = desk.fetch("t-boot", epoch=2).items
    assert (item.action.verb, item.instance.flavor) == (Verb.START, BIG)
    desk.finish(item.action)
    assert desk.instance().vm_state is VmState.RESIZED


def test_after_the_window_it_is_confirmed_and_not_before(desk: Desk) -> None:
    resized(desk)
    window = timedelta(minutes=10)
    assert desk.write(auto_confirm.confirm_due, window, lambda: "n1", desk.now + timedelta(minutes=9)) == []
    late = desk.now + timedelta(minutes=11)
    assert desk.write(auto_confirm.confirm_due, window, lambda: "n2", late) == [make.HOST]
    assert desk.newest_action().verb is Verb.CONFIRM_RESIZE
    assert desk.newest_action().user_id == "kilonova"
    assert desk.write(auto_confirm.confirm_due, window, lambda: "n3", late) == []
    desk.finish(desk.fetch("t").items[0].action)
    assert (desk.instance().vm_state, desk.instance().id) == (VmState.ACTIVE, ONE)


def test_an_interrupted_resize_keeps_its_server_until_it_ends(desk: Desk) -> None:
    """Another verb would end it without its way back: the server could never be resized or reverted again."""
    action = ask(desk, Verb.RESIZE, "req-resize", flavor_id="big")
    desk.write(lost_hosts.call_down, make.HOST, desk.now, forced=True)
    assert desk.instance().vm_state is VmState.ERROR
    for verb, fields in ((Verb.REBOOT, {"type": "HARD"}), (Verb.STOP, {}), (Verb.RESET_STATE, {"state": "active"})):
        with pytest.raises(InvalidState, match="resize that did not end"):
            desk.accept(verb, f"req-{verb}", **fields)
    desk.accept(Verb.LOCK, "req-lock")
    desk.write(lost_hosts.call_down, make.HOST, desk.now, forced=False)
    assert [desk.fetch(token).items[0].action.leg.repeated for token in ("t-req-resize", "t-next")] == [False, True]
    desk.finish(action, attempt="t-next")
    assert (desk.instance().vm_state, claimed(desk)) == (VmState.RESIZED, BOTH)
    ask(desk, Verb.REVERT_RESIZE, "req-revert")
    desk.write(lost_hosts.call_down, make.HOST, desk.now, forced=True)
    desk.accept(Verb.DELETE, "req-delete")
