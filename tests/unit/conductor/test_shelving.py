# SPDX-License-Identifier: Apache-2.0
"""Images that actions make, shelving and coming back: what the records say at every turn."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from kilonova.base.errors import InvalidState, NotFound, StaleWrite
from kilonova.conductor import aggregates, images
from kilonova.conductor.engine import accept
from kilonova.conductor.hosts import forgotten, lost_hosts
from kilonova.conductor.watch import offload
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import images as read_images
from kilonova.db.readers import notifications as read_notifications
from kilonova.db.writers import notifications as write_notifications
from kilonova.db.writers.instances import reservations
from kilonova.networks.addresses import host_network
from kilonova.objects.action import Action
from kilonova.objects.action_params import DeleteParams, UnshelveSource
from kilonova.objects.ids import ActionId, ImageId
from kilonova.objects.states import ActionState, PowerState, TaskState, Verb, VmState
from kilonova.rpcapi.api_to_conductor import AcceptAction
from kilonova.rpcapi.api_to_conductor_admin import AggregateHost, CreateAggregate
from kilonova.rpcapi.host_to_conductor_images import BeginImage, CompleteImage, DropImages
from tests import make, params
from tests.unit.conductor.desk import ONE, Desk


class Shelf(Desk):
    """A desk with images."""

    def save(self, verb: Verb, image_id: str, **more: Any) -> Action:
        """Accept an action that makes an image; the action as its host gets it."""
        properties = {"image_type": "backup", "backup_type": "daily", "instance_uuid": ONE}
        image = params.image(image_id, created_at=self.now, updated_at=self.now, properties=properties)
        self._serial += 1
        given = params.requested(verb, image=image, **more)
        asked = AcceptAction(make.context(f"req-{image_id}"), ONE, verb, given)
        self.write(accept.accept, asked, ActionId(f"action-{self._serial}"), self.now)
        return self.fetch(f"t-{image_id}").items[0].action

    def begin(self, action: Action) -> bool:
        assert action.host is not None
        assert action.attempt is not None
        return self.write(images.begin, BeginImage(action.host, action.leg_id, action.attempt), self.now).saved

    def complete(self, action: Action) -> None:
        assert action.host is not None
        assert action.attempt is not None
        whole = CompleteImage(action.host, action.leg_id, action.attempt, 10, 1 << 30, "md5", "sha")
        self.write(images.complete, whole, self.now)

    def drop(self, action: Action) -> list[str]:
        assert action.host is not None
        assert action.attempt is not None
        return list(self.write(images.drop, DropImages(action.host, action.leg_id, action.attempt), self.now).images)

    def statuses(self) -> dict[str, str]:
        return {one.id: one.status for one in self.read(read_images.list_images, "p1")}

    def shelved(self) -> None:
        """Instance ONE is SHELVED on h1."""
        self.active()
        action = self.save(Verb.SHELVE, "shelved")
        self.complete(action)
        self.finish(action, power=PowerState.SHUTDOWN)
        assert self.instance().vm_state is VmState.SHELVED

    def offloaded(self) -> None:
        """Instance ONE is SHELVED_OFFLOADED."""
        self.shelved()
        self.accept(Verb.SHELVE_OFFLOAD, "req-offload")
        self.finish(self.fetch("t-offload").items[0].action, power=None)

    def place_waiting(self) -> str | None:
        (waiting,) = self.read(read_actions.unplaced)
        return self.place(waiting.id)


@pytest.fixture
def desk(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_an_image_lives_with_its_action_until_it_is_whole(desk: Shelf) -> None:
    desk.active()
    action = desk.save(Verb.CREATE_IMAGE, "i1")
    assert desk.statuses() == {"i1": "queued"}
    assert desk.read(read_actions.images_in_the_making) == {"i1"}
    assert not desk.begin(action)
    assert desk.statuses() == {"i1": "saving"}
    for _ in range(2):
        desk.complete(action)
    assert desk.begin(action)
    desk.finish(action, succeeded=False, message="what came after went wrong")
    assert desk.statuses() == {"i1": "active"}
    assert desk.instance().vm_state is VmState.ACTIVE
    failed = desk.save(Verb.CREATE_IMAGE, "i2")
    desk.begin(failed)
    desk.finish(failed, succeeded=False, message="no")
    assert desk.statuses() == {"i1": "active"}
    assert desk.read(read_actions.images_in_the_making) == frozenset()


def test_only_the_attempt_that_has_the_action_may_speak_of_its_image(desk: Shelf) -> None:
    desk.active()
    first = desk.save(Verb.CREATE_IMAGE, "i1")
    second = desk.fetch("t-later").items[0].action
    for speak in (desk.begin, desk.complete, desk.drop):
        with pytest.raises(StaleWrite):
            speak(first)
    desk.complete(second)
    desk.finish(second)
    for speak in (desk.begin, desk.complete, desk.drop):
        with pytest.raises(StaleWrite):
            speak(second)


def test_a_deleted_image_is_told_to_who_makes_it(desk: Shelf) -> None:
    desk.active()
    action = desk.save(Verb.SHELVE, "i1")
    desk.write(images.forget_unfinished, action, make.NOW)
    for speak in (desk.begin, desk.complete):
        with pytest.raises(NotFound, match="i1 was deleted while it was being made"):
            speak(action)
    desk.finish(action, power=PowerState.SHUTDOWN)  # it was deleted at the very last moment: it is not lost
    states = {one.verb: one.state for one in desk.actions()}
    assert (states[Verb.SHELVE], states[Verb.START]) == (ActionState.FAILED, ActionState.OPEN)


@pytest.mark.parametrize("returns", [True, False], ids=["the host is taken back", "the host is given up"])
@pytest.mark.parametrize("meanwhile", [Verb.STOP, Verb.RESET_STATE, Verb.DELETE])
def test_an_interrupted_action_that_does_not_continue_has_failed_and_leaves_no_image(
    desk: Shelf, returns: bool, meanwhile: Verb
) -> None:
    """Found by seeds 18, 237, 276 and 1333 of `make simulate`: the image stayed, the action stayed abandoned, or its
    failure had no notification."""
    desk.active()
    action = desk.save(Verb.CREATE_IMAGE, "i1")
    desk.begin(action)
    desk.write(lost_hosts.call_down, make.HOST, desk.now, forced=True)
    desk.set_up("h1", up=False)
    desk.accept(meanwhile, "req-2", **({"state": "active"} if meanwhile is Verb.RESET_STATE else {}))
    if returns:
        desk.write(lost_hosts.call_down, make.HOST, desk.now, forced=False)
    else:
        desk.write(forgotten.forget, make.HOST, desk.now, heard=False)
    assert desk.statuses() == {}
    (ended,) = (one for one in desk.actions() if one.id == action.id)
    assert (ended.state, ended.ended_at is not None) == (ActionState.FAILED, True)
    desk.write(write_notifications.number, True)
    told = [one.notification for one in desk.read(read_notifications.after, 0, 100)]
    (fault,) = (one.payload["fault"] for one in told if one.event_type == "instance.snapshot.error")
    assert fault == ended.message


def test_a_delete_takes_along_what_nobody_will_complete_or_need(desk: Shelf) -> None:
    desk.active()
    old = desk.save(Verb.CREATE_BACKUP, "old", backup_type="daily", rotation="1")
    desk.complete(old)
    desk.finish(old)
    new = desk.save(Verb.CREATE_BACKUP, "new", backup_type="daily", rotation="1")
    desk.complete(new)
    assert desk.drop(new) == ["old"]
    assert desk.drop(new) == ["old"]  # its bytes may still be there
    assert desk.newest_action().params.dropped == ("old",)
    desk.accept(Verb.DELETE, "req-delete")
    assert desk.newest_action().params == DeleteParams((ImageId("old"),))
    assert desk.statuses() == {"new": "active"}


def test_a_server_is_due_to_leave_after_its_time_and_once(desk: Shelf) -> None:
    desk.shelved()
    assert desk.read(offload.due, 3600.0, desk.now) == []
    due = desk.read(offload.due, 0.0, desk.now)
    assert [one.id for one in due] == [ONE]
    ids = iter(["r1", "offload", "r2", "never"])
    for hosts in ({"h1"}, set()):  # the second was asked for by an older look
        assert desk.write(offload.begin, due, lambda: next(ids), desk.now) == hosts
    action = desk.fetch("t").items[0].action
    assert (action.id, action.verb) == ("offload", Verb.SHELVE_OFFLOAD)
    desk.finish(action, succeeded=False, power=PowerState.SHUTDOWN, message="no")
    assert desk.instance().vm_state is VmState.SHELVED
    assert desk.read(offload.due, 0.0, desk.now) == []  # it waits for somebody's word
    desk.accept(Verb.UNSHELVE, "req-back")
    assert desk.fetch("t-back").items[0].action.params.source is UnshelveSource.OFFLOAD_INCOMPLETE


def test_a_server_that_was_deleted_meanwhile_does_not_leave_its_host_and_is_no_defect(desk: Shelf) -> None:
    desk.shelved()
    due = desk.read(offload.due, 0.0, desk.now)
    desk.accept(Verb.DELETE, "req-delete")
    desk.finish(desk.fetch("t").items[0].action, succeeded=True, power=PowerState.NOSTATE)
    with capture_logs() as lines:
        assert desk.write(offload.begin, due, iter(["r1", "offload"]).__next__, desk.now) == set()
    assert [(line["event"], line["log_level"]) for line in lines] == [("a shelved server stays on its host", "info")]


def test_an_offloaded_server_holds_its_address_and_nothing_else(desk: Shelf) -> None:
    desk.offloaded()
    away = desk.instance()
    assert (away.host, away.node, away.vm_state) == (None, None, VmState.SHELVED_OFFLOADED)
    assert desk.node().running_vms == 0
    assert len(desk.write(reservations, ONE)) == 1
    desk.accept(Verb.UNSHELVE, "req-back")
    assert desk.place_waiting() == "h1"
    assert desk.instance().addresses == away.addresses
    action = desk.fetch("t").items[0].action
    assert action.params.source is UnshelveSource.OFFLOADED
    assert desk.drop(action) == ["shelved"]
    assert desk.drop(action) == ["shelved"]
    desk.finish(action)
    back = desk.instance()
    assert (back.vm_state, back.shelved_image, back.desired_power) == (VmState.ACTIVE, None, PowerState.RUNNING)
    assert desk.node().running_vms == 1


def test_on_another_host_it_gets_another_address_and_the_old_one_is_free(desk: Shelf) -> None:
    desk.offloaded()
    before = desk.instance().addresses
    elsewhere = host_network("kilonova", "user", "10.8.0.0/24", ssh_port=2222)
    desk.register("h2", networks=(elsewhere,), vcpus=64, vcpus_capacity=64)
    desk.register(process="process-2", vcpus_capacity=0)
    desk.accept(Verb.UNSHELVE, "req-back")
    assert desk.place_waiting() == "h2"
    (address,) = desk.instance().addresses
    assert (address.address, address.mac) == ("10.8.0.16", before[0].mac)
    assert address.floating
    assert {one.host for one in desk.write(reservations, ONE)} == {"h2"}


def test_where_it_cannot_come_back_it_stays_with_what_it_holds(desk: Shelf) -> None:
    desk.offloaded()
    before = desk.instance()
    held = desk.write(reservations, ONE)
    with pytest.raises(InvalidState, match="shelved_offloaded"):
        desk.accept(Verb.START, "req-start")
    desk.accept(Verb.UNSHELVE, "req-away", availability_zone="moon")
    assert desk.instance().task_state is TaskState.UNSHELVING
    assert desk.place_waiting() is None
    assert "the requested zone is moon" in (desk.newest_action().message or "")
    full = host_network("kilonova", "nat", "10.9.0.0/28")
    desk.register("h2", networks=(full,), vcpus_capacity=64)
    desk.register(process="process-2", vcpus_capacity=0)
    desk.accept(Verb.UNSHELVE, "req-full")
    assert desk.place_waiting() is None
    assert desk.write(reservations, ONE) == held
    after = desk.instance()
    assert (after.vm_state, after.task_state, after.addresses) == (before.vm_state, None, before.addresses)
    assert after.shelved_image == before.shelved_image
    desk.accept(Verb.DELETE, "req-delete")
    assert desk.write(reservations, ONE) == frozenset()
    assert desk.statuses() == {}


def test_one_that_failed_to_come_back_is_off_that_host_if_nothing_of_it_is_there(desk: Shelf) -> None:
    desk.offloaded()
    desk.accept(Verb.UNSHELVE, "req-1")
    desk.place_waiting()
    desk.finish(desk.fetch("t1").items[0].action, succeeded=False, power=None, message="no")
    assert (desk.instance().vm_state, desk.instance().host) == (VmState.SHELVED_OFFLOADED, None)
    assert desk.node().running_vms == 0
    desk.accept(Verb.UNSHELVE, "req-2")
    desk.place_waiting()
    desk.look(desk.newest_action().deadline - desk.now)
    stuck = desk.instance()
    assert (stuck.vm_state, stuck.host) == (VmState.ERROR, "h1")
    assert stuck.fault is not None
    assert desk.node().running_vms == 1
    assert desk.accept(Verb.DELETE, "req-delete") == "h1"
    assert desk.newest_action().params == DeleteParams((ImageId("shelved"),))


@pytest.mark.parametrize("state", ["active", "error"])
def test_one_whose_state_was_reset_comes_back_all_the_same(desk: Shelf, state: str) -> None:
    desk.offloaded()
    desk.accept(Verb.RESET_STATE, "req-reset", state=state)
    assert desk.instance().vm_state == state
    for verb in (Verb.STOP, Verb.REBOOT, Verb.REBUILD):
        with pytest.raises(InvalidState, match="without a host: it can be unshelved or deleted"):
            desk.accept(verb, f"req-{verb}")
    desk.accept(Verb.UNSHELVE, "req-back", availability_zone="nova")
    assert desk.place_waiting() == "h1"
    (item,) = desk.fetch("t-back").items
    assert item.action.params.source is UnshelveSource.OFFLOADED
    desk.finish(item.action, succeeded=False, power=None, message="no")
    assert (desk.instance().vm_state, desk.instance().host) == (VmState.SHELVED_OFFLOADED, None)
    desk.accept(Verb.UNSHELVE, "req-again")
    desk.place_waiting()
    desk.finish(desk.fetch("t-again").items[0].action)
    assert (desk.instance().vm_state, desk.instance().shelved_image) == (VmState.ACTIVE, None)


def test_one_that_never_had_a_host_can_only_be_deleted(desk: Shelf) -> None:
    desk.place(desk.create())
    assert desk.instance().vm_state is VmState.ERROR
    desk.accept(Verb.RESET_STATE, "req-reset", state="active")
    with pytest.raises(InvalidState, match="without a host: it can be deleted"):
        desk.accept(Verb.STOP, "req-stop")
    with pytest.raises(InvalidState, match="vm_state active"):
        desk.accept(Verb.UNSHELVE, "req-back")


@pytest.mark.parametrize(("asked", "back"), [(None, "h1"), ("nova", None)])
def test_it_comes_back_to_the_zone_that_was_asked_for_and_to_any_when_none_was(
    desk: Shelf, asked: str | None, back: str | None
) -> None:
    """The zone that it was in says where its host lay, not where it should be."""
    desk.register()
    desk.place(desk.create(make.instance(availability_zone=asked, requested_zone=asked)))
    desk.finish(desk.fetch("t-create").items[0].action)
    action = desk.save(Verb.SHELVE, "shelved")
    desk.complete(action)
    desk.finish(action, power=PowerState.SHUTDOWN)
    desk.accept(Verb.SHELVE_OFFLOAD, "req-offload")
    desk.finish(desk.fetch("t-offload").items[0].action, power=None)
    assert desk.instance().availability_zone == "nova"
    desk.write(aggregates.create, CreateAggregate("east", "east", "east"), desk.now)
    desk.write(aggregates.set_host, AggregateHost(1, make.HOST, True))
    desk.accept(Verb.UNSHELVE, "req-back")
    assert desk.place_waiting() == back
