# SPDX-License-Identifier: Apache-2.0
"""Desired against observed: what is started after its host has booted, once, and what is left off."""

from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.conductor.hosts import host_boot, lost_hosts
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import ActionState, PowerState, TaskState, Verb, VmState
from kilonova.rpcapi.host_to_conductor import Registered, RegisterHost
from tests import make
from tests.unit.conductor.desk import ONE, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.active()
    return made


def boots(desk: Desk, boot: str = "boot-2", process: str = "process-2", resume: bool = True) -> Registered:
    asked = RegisterHost(make.HOST, process, "node-h1", boot, "kilonova-compute", "compute", 1, "nova", resume)
    serial = iter(range(100))
    found: Registered = desk.write(host_boot.enroll, asked, "s", lambda: f"{boot}-{process}-{next(serial)}", desk.now)
    return found


def seen(desk: Desk, power: PowerState, reason: str) -> None:
    desk.observe(power, reason=reason)


def test_a_guest_that_should_run_is_started_once_by_an_action_of_its_own(desk: Desk) -> None:
    assert boots(desk) == Registered(2, rebooted=True, resumed=1)
    assert boots(desk) == Registered(2)  # the same request again
    assert boots(desk, process="process-3") == Registered(3)  # the next process since that boot
    assert desk.instance().task_state is TaskState.POWERING_ON
    (item,) = desk.fetch("t2", epoch=3).items
    assert (item.action.verb, item.action.user_id, item.action.bookkeeping.host_boot) == (Verb.START, "kilonova", True)
    desk.finish(item.action)
    assert (desk.instance().vm_state, desk.instance().task_state) == (VmState.ACTIVE, None)


@pytest.mark.parametrize("boot", ["boot", "unknown"])
def test_the_same_boot_and_an_unknown_one_start_nothing(desk: Desk, boot: str) -> None:
    assert boots(desk, boot) == Registered(2)
    assert desk.newest_action().verb is Verb.CREATE


def test_who_wants_no_resuming_gets_none(desk: Desk) -> None:
    assert boots(desk, resume=False) == Registered(2, rebooted=True, resumed=0)


@pytest.mark.parametrize(
    ("power", "reason", "resumed"),
    [
        (PowerState.SHUTDOWN, "shutdown", 0),  # the guest switched itself off
        (PowerState.SHUTDOWN, "destroyed", 0),
        (PowerState.SHUTDOWN, "crashed", 1),
        (PowerState.SHUTDOWN, "", 1),  # power was lost
        (PowerState.CRASHED, "panicked", 1),
        (PowerState.PAUSED, "ioerror", 1),
    ],
)
def test_what_was_observed_while_the_host_was_up_decides(
    desk: Desk, power: PowerState, reason: str, resumed: int
) -> None:
    seen(desk, power, reason)
    assert boots(desk).resumed == resumed


def test_a_guest_that_was_started_again_behind_our_back_should_run(desk: Desk) -> None:
    seen(desk, PowerState.SHUTDOWN, "shutdown")
    seen(desk, PowerState.RUNNING, "booted")
    assert boots(desk).resumed == 1


def test_a_stopped_one_and_one_with_an_open_action_are_left_alone(desk: Desk) -> None:
    desk.accept(Verb.REBOOT, "req-r")
    assert boots(desk).resumed == 0
    desk.finish(desk.fetch("t2", epoch=2).items[0].action)
    desk.accept(Verb.STOP, "req-s")
    desk.finish(desk.fetch("t3", epoch=2).items[0].action, power=PowerState.SHUTDOWN)
    assert boots(desk, "boot-3", "process-3").resumed == 0
    assert desk.newest_action().state is ActionState.DONE


@pytest.mark.parametrize("power", [PowerState.SHUTDOWN, PowerState.NOSTATE])
@pytest.mark.parametrize("succeeded", [True, False])
def test_the_end_of_what_was_open_at_the_boot_starts_a_guest_that_may_be_off(
    desk: Desk, power: PowerState, succeeded: bool
) -> None:
    """The guest may not be readable then."""
    desk.accept(Verb.REBOOT, "req-r")
    assert boots(desk).resumed == 0
    desk.finish(desk.fetch("t2", epoch=2).items[0].action, power=power, succeeded=succeeded)
    (item,) = desk.fetch("t3", epoch=2).items
    assert (item.action.verb, item.action.bookkeeping.host_boot) == (Verb.START, True)


def test_an_interrupted_action_that_was_there_at_the_boot_starts_a_guest_that_is_off(desk: Desk) -> None:
    """An operator has forced the host down before it boots, and takes it back afterwards."""
    desk.accept(Verb.REBOOT, "req-r")
    assert desk.fetch("t1").items
    desk.write(lost_hosts.call_down, make.HOST, desk.now, forced=True)
    assert boots(desk).resumed == 0
    desk.write(lost_hosts.call_down, make.HOST, desk.now, forced=False)
    desk.finish(desk.fetch("t2", epoch=2).items[0].action, power=PowerState.SHUTDOWN, succeeded=False)
    (item,) = desk.fetch("t3", epoch=2).items
    assert (item.action.verb, item.action.bookkeeping.host_boot) == (Verb.START, True)


def test_they_come_in_the_order_in_which_the_instances_were_made(desk: Desk) -> None:
    other = InstanceId("00000000-0000-4000-8000-000000000000")
    desk.place(desk.create(replace(make.instance(other), created_at=desk.now, updated_at=desk.now), "req-2"))
    desk.finish(desk.fetch("t1").items[0].action)
    assert boots(desk).resumed == 2
    assert [item.instance.id for item in desk.fetch("t2", epoch=2).items] == [ONE, other]
