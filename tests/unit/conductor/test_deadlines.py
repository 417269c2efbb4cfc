# SPDX-License-Identifier: Apache-2.0
"""A deadline counts the time in which the work was possible, and ends only what no host was given."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kilonova.conductor.hosts import register
from kilonova.conductor.watch import deadlines
from kilonova.db.readers.hosts import COMPUTE
from kilonova.db.writers import hosts as write_hosts
from kilonova.objects.states import VERBS, ActionState, Verb
from kilonova.rpcapi.host_to_conductor import SetHostEnabled
from tests import make
from tests.unit.conductor.desk import Desk

LIMIT = timedelta(seconds=VERBS[Verb.REBOOT].deadline_s)
INTERVAL_S = 5.0


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.active()
    made.accept(Verb.REBOOT, "req-r", type="HARD")
    return made


def left(desk: Desk) -> timedelta:
    return desk.newest_action().deadline - desk.now


def wait(desk: Desk, passed: timedelta) -> None:
    """The watchdog looks every few seconds."""
    end = desk.now + passed
    while desk.now < end:
        desk.now += timedelta(seconds=INTERVAL_S - 1)  # (a transaction takes a second here)
        desk.write(deadlines.count_time, INTERVAL_S, desk.now)


def goes_down(desk: Desk) -> None:
    desk.write(write_hosts.update_service, make.HOST, COMPUTE, desk.now, up=False)


def loses_its_hypervisor(desk: Desk) -> None:
    desk.write(register.set_enabled, SetHostEnabled(make.HOST, 1, False, "libvirt is gone"), desk.now)


@pytest.mark.parametrize(
    ("happens", "says"),
    [
        (goes_down, "Waiting for host h1, which is down since 20"),
        (loses_its_hypervisor, "Waiting for host h1: libvirt"),
    ],
)
def test_time_in_which_the_host_cannot_work_does_not_count_and_the_action_says_why(
    desk: Desk, happens: Callable[[Desk], None], says: str
) -> None:
    desk.fetch("t1")
    wait(desk, timedelta(seconds=60))
    before = left(desk)
    happens(desk)
    wait(desk, 4 * LIMIT)
    assert abs(left(desk) - before) < timedelta(seconds=3 * INTERVAL_S)
    assert (desk.newest_action().message or "").startswith(says)
    desk.write(write_hosts.update_service, make.HOST, COMPUTE, desk.now, up=True, disabled_by_host=False)
    wait(desk, timedelta(seconds=10))
    assert desk.newest_action().message is None
    assert desk.newest_action().state is ActionState.OPEN


def test_time_in_which_the_conductor_does_not_work_does_not_count(desk: Desk) -> None:
    wait(desk, timedelta(seconds=60))
    before = left(desk)
    desk.now += timedelta(hours=12)
    wait(desk, timedelta(seconds=1))
    assert abs(left(desk) - before) < timedelta(seconds=3 * INTERVAL_S)
    assert desk.look(LIMIT) == 1
    assert desk.newest_action().state is ActionState.FAILED


def test_after_an_outage_there_is_time_to_begin_again(desk: Desk) -> None:
    wait(desk, LIMIT - timedelta(seconds=10))
    desk.now += timedelta(hours=1)
    wait(desk, timedelta(seconds=1))
    assert left(desk) > deadlines.GRACE - timedelta(seconds=INTERVAL_S)


def test_a_host_hears_that_the_time_is_up_and_the_conductor_ends_nothing_that_it_was_given(desk: Desk) -> None:
    (item,) = desk.fetch("t1").items
    assert desk.look(LIMIT) == 0
    assert desk.newest_action().state is ActionState.OPEN
    assert desk.fetch("t2", running=(item.action.leg_id,)).expired == (item.action.leg_id,)
    assert desk.look(timedelta(seconds=INTERVAL_S)) == 0
    assert (desk.newest_action().message or "").startswith("Waiting for host h1, which has not ended the work")
    desk.finish(item.action, attempt="t1")
    assert (desk.newest_action().state, desk.newest_action().message) == (ActionState.DONE, None)


def test_a_delete_has_no_deadline(desk: Desk) -> None:
    desk.accept(Verb.DELETE, "req-d")
    assert desk.look(100 * LIMIT) == 0
    (item,) = desk.fetch("t1").items
    assert desk.look(100 * LIMIT) == 0
    assert desk.fetch("t2", running=(item.action.leg_id,)).expired == ()


def test_an_image_that_gives_its_guests_time_to_shut_down_moves_the_deadline(tmp_path: Path) -> None:
    made = Desk(tmp_path)
    image = replace(make.instance().image, properties={"os_shutdown_timeout": "900"})
    made.register()
    made.place(made.create(replace(make.instance(), image=image)))
    made.finish(made.fetch("t-create").items[0].action)
    made.accept(Verb.STOP, "req-s")
    assert left(made) > timedelta(seconds=VERBS[Verb.STOP].deadline_s + 890)
