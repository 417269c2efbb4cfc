# SPDX-License-Identifier: Apache-2.0
"""The wall clock is put back, or ahead: nothing is taken for newer than it is, and windows stay as long as they are."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from kilonova.conductor.watch import auto_confirm, deadlines, offload
from kilonova.db.readers import migrations as read_migrations
from kilonova.db.writers import flavors as write_flavors
from kilonova.objects.action_params import UnshelveParams, UnshelveSource
from kilonova.objects.states import VERBS, PowerState, Verb
from tests.unit.conductor.desk import ONE
from tests.unit.conductor.test_hosts import failed_delete
from tests.unit.conductor.test_resize import BIG, resized
from tests.unit.conductor.test_shelving import Shelf

HOUR = timedelta(hours=1)


@pytest.fixture
def desk(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_a_delete_that_failed_is_not_taken_up_again_after_what_was_asked_since(desk: Shelf) -> None:
    failed_delete(desk)
    desk.now -= HOUR
    desk.accept(Verb.REBOOT, "req-r", type="HARD")
    assert desk.newest_action().verb is Verb.REBOOT
    patience = timedelta(seconds=VERBS[Verb.REBOOT].deadline_s)
    assert abs(desk.newest_action().deadline - (desk.now + patience)) < timedelta(seconds=2)
    desk.finish(desk.fetch("t-r").items[0].action, succeeded=False, power=PowerState.NOSTATE, message="no")
    desk.observe(PowerState.SHUTDOWN, reason="")
    assert desk.fetch("t-none").items == ()


def test_what_was_accepted_since_a_jump_back_keeps_its_deadline(desk: Shelf) -> None:
    desk.active()
    desk.now -= HOUR
    desk.accept(Verb.STOP, "req-stop")
    action = desk.newest_action()
    assert action.started_at > desk.now, "after the create, which was begun when the clock was ahead"
    desk.write(deadlines.count_time, 5.0, desk.now)
    assert desk.newest_action().deadline == action.deadline


def test_a_disk_that_was_torn_is_known_for_one(desk: Shelf) -> None:
    desk.shelved()
    desk.now -= HOUR
    desk.accept(Verb.SHELVE_OFFLOAD, "req-offload")
    desk.finish(desk.fetch("t").items[0].action, succeeded=False, power=PowerState.SHUTDOWN, message="no")
    desk.accept(Verb.UNSHELVE, "req-back")
    assert desk.fetch("t-back").items[0].action.params == UnshelveParams(UnshelveSource.OFFLOAD_INCOMPLETE)


def test_a_shelved_server_leaves_its_host_though_the_clock_was_put_back(desk: Shelf) -> None:
    desk.active()
    desk.now -= HOUR
    action = desk.save(Verb.SHELVE, "shelved")
    desk.complete(action)
    desk.finish(action, power=PowerState.SHUTDOWN)
    assert [one.id for one in desk.read(offload.due, 0.0, desk.now)] == [ONE]


def test_the_newest_backup_is_the_one_just_made(desk: Shelf) -> None:
    desk.active()
    for name in ("first", "second"):
        action = desk.save(Verb.CREATE_BACKUP, name, backup_type="daily", rotation="1")
        desk.complete(action)
        desk.drop(action)
        desk.finish(action)
        desk.now -= HOUR
    assert desk.statuses() == {"second": "active"}


def confirmed(desk: Shelf, at: datetime) -> bool:
    """Whether the resize is confirmed by a look then."""
    desk.now = at
    numbers = iter("12")
    return bool(desk.write(auto_confirm.confirm_due, timedelta(minutes=10), lambda: next(numbers), at))


@pytest.mark.parametrize("jump", [-HOUR, HOUR], ids=str)
def test_the_window_of_a_resize_jumps_along(desk: Shelf, jump: timedelta) -> None:
    desk.active()
    desk.write(write_flavors.create_flavor, BIG)
    resized(desk)
    since = desk.read(read_migrations.waiting, ONE).updated_at
    expected = since + timedelta(minutes=5)
    desk.write(deadlines.move_windows, expected, jump)
    assert not confirmed(desk, expected + jump + timedelta(minutes=4))
    assert confirmed(desk, expected + jump + timedelta(minutes=6))


def test_a_resize_that_waits_since_a_jump_is_left_alone(desk: Shelf) -> None:
    desk.active()
    desk.write(write_flavors.create_flavor, BIG)
    resized(desk)
    since = desk.read(read_migrations.waiting, ONE).updated_at
    for expected, jump in ((since + HOUR, -HOUR + timedelta(seconds=1)), (since - HOUR, HOUR - timedelta(seconds=1))):
        desk.write(deadlines.move_windows, expected, jump)
        assert desk.read(read_migrations.waiting, ONE).updated_at == since
