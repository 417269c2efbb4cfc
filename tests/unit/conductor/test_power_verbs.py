# SPDX-License-Identifier: Apache-2.0
"""suspend, rescue and rebuild in the record: what changes when they are accepted, when they end, and what is seen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kilonova.base.errors import InvalidState, NoValidHost
from kilonova.conductor.engine import accept
from kilonova.conductor.hosts import lost_hosts
from kilonova.objects.action_params import RebuildChanges
from kilonova.objects.ids import ActionId, ImageId
from kilonova.objects.image import ImageRef
from kilonova.objects.states import SAVED, PowerState, TaskState, Verb, VmState
from kilonova.rpcapi.api_to_conductor import AcceptAction
from tests import make, params
from tests.unit.conductor.desk import ONE, Desk
from tests.unit.conductor.test_host_boot import boots, seen

OTHER = ImageRef(ImageId("image-2"), "raw", 1, 3 << 30, "sum-2")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.active()
    return made


def asks(desk: Desk, verb: Verb, **fields: Any) -> None:
    if verb in (Verb.RESCUE, Verb.REBUILD):
        fields = {"image": OTHER, **fields}
    asked = AcceptAction(make.context(f"req-{desk.now}"), ONE, verb, params.requested(verb, **fields))
    desk.write(accept.accept, asked, ActionId(f"{desk.now:%Y%m%dT%H%M%S.%f}"), desk.now)


def ends(desk: Desk, power: PowerState | None = PowerState.RUNNING, *, epoch: int = 1, succeeded: bool = True) -> None:
    (item,) = desk.fetch(f"t-{desk.now}", epoch=epoch).items
    desk.finish(item.action, power=power, succeeded=succeeded, message=None if succeeded else "It would not.")


def states(desk: Desk) -> tuple[Any, ...]:
    now = desk.instance()
    return now.vm_state, now.task_state, now.power_state, now.desired_power


def suspended(desk: Desk) -> None:
    desk.accept(Verb.SUSPEND, "req-suspend")
    assert desk.instance().task_state is TaskState.SUSPENDING
    ends(desk, PowerState.SUSPENDED)


def test_a_suspended_server_stays_so_when_its_host_boots_and_should_run_once_it_was_resumed(desk: Desk) -> None:
    suspended(desk)
    assert states(desk) == (VmState.SUSPENDED, None, PowerState.SUSPENDED, PowerState.SUSPENDED)
    assert boots(desk).resumed == 0
    desk.observe(PowerState.SUSPENDED, epoch=2, reason=SAVED)  # the bulk read that follows says nothing new
    assert desk.newest_action().verb is Verb.SUSPEND
    desk.accept(Verb.RESUME, "req-resume")
    ends(desk, epoch=2)
    assert states(desk) == (VmState.ACTIVE, None, PowerState.RUNNING, PowerState.RUNNING)
    assert boots(desk, "boot-3", "process-3").resumed == 1


def test_a_suspend_that_failed_leaves_what_should_run(desk: Desk) -> None:
    desk.accept(Verb.SUSPEND, "req-suspend")
    ends(desk, succeeded=False)
    assert states(desk) == (VmState.ACTIVE, None, PowerState.RUNNING, PowerState.RUNNING)
    assert boots(desk).resumed == 1


@pytest.mark.parametrize(
    ("power", "reason", "vm_state", "desired"),
    [
        (PowerState.RUNNING, "restored", VmState.ACTIVE, PowerState.RUNNING),
        (PowerState.PAUSED, "user", VmState.PAUSED, PowerState.SUSPENDED),
        (PowerState.SHUTDOWN, SAVED, VmState.STOPPED, PowerState.SHUTDOWN),  # its memory was removed
    ],
)
def test_what_happens_to_a_suspended_guest_behind_our_back_is_seen(
    desk: Desk, power: PowerState, reason: str, vm_state: VmState, desired: PowerState
) -> None:
    suspended(desk)
    seen(desk, power, reason)
    assert states(desk) == (vm_state, None, power, desired)


@pytest.mark.parametrize("before", [PowerState.RUNNING, PowerState.PAUSED, PowerState.SHUTDOWN])
def test_a_guest_that_was_saved_behind_our_back_is_suspended(desk: Desk, before: PowerState) -> None:
    seen(desk, before, "because")
    seen(desk, PowerState.SUSPENDED, SAVED)
    assert states(desk) == (VmState.SUSPENDED, None, PowerState.SUSPENDED, PowerState.SUSPENDED)
    assert boots(desk).resumed == 0


def test_one_that_has_put_itself_to_sleep_should_run_when_its_host_boots(desk: Desk) -> None:
    seen(desk, PowerState.SUSPENDED, "")
    assert states(desk) == (VmState.SUSPENDED, None, PowerState.SUSPENDED, PowerState.RUNNING)
    assert boots(desk).resumed == 1


@pytest.mark.parametrize("verb", [Verb.STOP, Verb.PAUSE, Verb.SUSPEND, Verb.RESCUE, Verb.REBUILD])
def test_what_a_suspended_server_refuses(desk: Desk, verb: Verb) -> None:
    suspended(desk)
    with pytest.raises(InvalidState, match="vm_state suspended"):
        asks(desk, verb)


def test_a_rescued_server_has_its_rescue_image_until_it_is_unrescued(desk: Desk) -> None:
    asks(desk, Verb.RESCUE)
    assert (desk.instance().rescue_image, desk.instance().task_state) == (OTHER, TaskState.RESCUING)
    ends(desk)
    assert states(desk)[:3] == (VmState.RESCUED, None, PowerState.RUNNING)
    for verb in (Verb.STOP, Verb.RESCUE, Verb.REBUILD):
        with pytest.raises(InvalidState, match="vm_state rescued"):
            asks(desk, verb)
    seen(desk, PowerState.SHUTDOWN, "shutdown")
    assert desk.instance().vm_state is VmState.RESCUED
    desk.accept(Verb.UNRESCUE, "req-unrescue")
    assert desk.instance().rescue_image == OTHER  # a replay, or another attempt, still knows it
    ends(desk)
    assert (desk.instance().rescue_image, desk.instance().vm_state) == (None, VmState.ACTIVE)


def test_a_rescue_that_failed_leaves_the_record_as_it_was(desk: Desk) -> None:
    asks(desk, Verb.RESCUE)
    ends(desk, succeeded=False)
    assert (desk.instance().rescue_image, desk.instance().vm_state) == (None, VmState.ACTIVE)


def test_a_rescued_server_is_started_when_its_host_has_booted_and_is_rescued_still(desk: Desk) -> None:
    asks(desk, Verb.RESCUE)
    ends(desk)
    assert boots(desk).resumed == 1
    ends(desk, epoch=2)
    assert (desk.instance().rescue_image, desk.instance().vm_state) == (OTHER, VmState.RESCUED)


def test_an_administrators_word_ends_a_rescue(desk: Desk) -> None:
    asks(desk, Verb.RESCUE)
    ends(desk)
    desk.accept(Verb.RESET_STATE, "req-reset", state="active")
    assert (desk.instance().rescue_image, desk.instance().vm_state) == (None, VmState.ACTIVE)


def test_an_administrators_word_makes_no_guest_run(desk: Desk) -> None:
    """The hypervisor has said that it is off, and has nothing new to say."""
    asks(desk, Verb.REBUILD)
    ends(desk, PowerState.SHUTDOWN, succeeded=False)
    assert desk.instance().vm_state is VmState.ERROR
    desk.accept(Verb.RESET_STATE, "req-reset", state="active")
    assert (desk.instance().vm_state, desk.instance().fault) == (VmState.STOPPED, None)
    desk.accept(Verb.START, "req-start")


def test_a_rebuild_changes_the_record_when_it_is_accepted_and_only_what_was_named(desk: Desk) -> None:
    before = desk.instance()
    asks(desk, Verb.REBUILD, changes=RebuildChanges(name="new", metadata={"a": "b"}))
    after = desk.instance()
    changed = {"image": OTHER, "name": "new", "metadata": {"a": "b"}, "task_state": TaskState.REBUILDING}
    assert after == replace(before, **changed, updated_at=after.updated_at)  # type: ignore[arg-type]
    (item,) = desk.fetch("t").items
    assert item.instance == after


@pytest.mark.parametrize(
    ("before", "vm_state", "desired"),
    [
        (PowerState.RUNNING, VmState.ACTIVE, PowerState.RUNNING),
        (PowerState.SHUTDOWN, VmState.STOPPED, PowerState.SHUTDOWN),
    ],
)
def test_a_rebuild_ends_as_it_began(desk: Desk, before: PowerState, vm_state: VmState, desired: PowerState) -> None:
    seen(desk, before, "shutdown")
    asks(desk, Verb.REBUILD)
    ends(desk, before)
    assert states(desk) == (vm_state, None, before, desired)


def test_a_server_in_error_runs_after_a_rebuild_and_one_whose_rebuild_failed_is_in_error(desk: Desk) -> None:
    asks(desk, Verb.REBUILD)
    ends(desk, PowerState.SHUTDOWN, succeeded=False)
    broken = desk.instance()
    assert (broken.vm_state, broken.fault and broken.fault.message) == (VmState.ERROR, "It would not.")
    asks(desk, Verb.REBUILD)
    ends(desk)
    assert (desk.instance().vm_state, desk.instance().fault) == (VmState.ACTIVE, None)


def test_a_disk_as_large_as_its_image_is_claimed_anew(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.register(disk_gib_capacity=3)
    desk.place(desk.create(make.instance(flavor=make.flavor(disk_gib=0))))
    desk.finish(desk.fetch("t").items[0].action)
    assert desk.node().disk_gib_used == 1
    with pytest.raises(NoValidHost, match="no room"):
        asks(desk, Verb.REBUILD, image=replace(OTHER, virtual_size=4 << 30))
    assert (desk.node().disk_gib_used, desk.instance().image) == (1, make.image_ref())
    asks(desk, Verb.REBUILD)
    assert desk.node().disk_gib_used == 3
    ends(desk)
    desk.accept(Verb.DELETE, "req-delete")
    ends(desk, None)
    assert desk.node().disk_gib_used == 0


@pytest.mark.parametrize("power", [PowerState.SHUTDOWN, PowerState.NOSTATE])
@pytest.mark.parametrize("verb", [Verb.SHELVE, Verb.RESCUE])
def test_a_guest_that_a_failed_shelving_or_rescue_has_powered_off_is_started(
    desk: Desk, verb: Verb, power: PowerState
) -> None:
    """The power state may be unknown: a later report of the guest would say that somebody has switched it off."""
    asks(desk, verb)
    ends(desk, power, succeeded=False)
    assert states(desk)[1:] == (TaskState.POWERING_ON, power, PowerState.RUNNING)
    ends(desk)
    assert states(desk) == (VmState.ACTIVE, None, PowerState.RUNNING, PowerState.RUNNING)


def test_a_failure_starts_no_guest_that_was_off(desk: Desk) -> None:
    desk.observe(PowerState.SHUTDOWN, reason="crashed")
    assert states(desk)[0::3] == (VmState.STOPPED, PowerState.RUNNING)
    asks(desk, Verb.RESCUE)
    ends(desk, PowerState.SHUTDOWN, succeeded=False)
    assert states(desk)[:2] == (VmState.STOPPED, None)


def test_what_an_interrupted_action_has_powered_off_is_started_when_the_action_fails(desk: Desk) -> None:
    """The host's report of the end of the guest comes while its operator has forced the host down."""
    asks(desk, Verb.RESCUE)
    assert desk.fetch("t-before").items
    desk.write(lost_hosts.call_down, make.HOST, desk.now, forced=True)
    desk.observe(PowerState.SHUTDOWN, reason="shutdown")
    assert (desk.instance().vm_state, desk.instance().power_state) == (VmState.ERROR, PowerState.SHUTDOWN)
    desk.write(lost_hosts.call_down, make.HOST, desk.now, forced=False)
    ends(desk, PowerState.SHUTDOWN, succeeded=False)
    assert states(desk)[1:] == (TaskState.POWERING_ON, PowerState.SHUTDOWN, PowerState.RUNNING)
