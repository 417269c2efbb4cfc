# SPDX-License-Identifier: Apache-2.0
"""Cancels in the conductor's transactions: repeats, late reports, builds that move, and hosts of version 1."""

from pathlib import Path

import pytest

from kilonova import CODE_VERSION
from kilonova.conductor.engine import cancel, reports
from kilonova.conductor.hosts import lost_hosts
from kilonova.db.writers import hosts as write_hosts
from kilonova.objects.action import Action
from kilonova.objects.ids import HostName
from kilonova.objects.states import ActionState, PowerState, Verb, VmState
from kilonova.rpcapi.cancel import CancelAction, CancelReply
from kilonova.rpcapi.host_to_conductor import Finish
from tests import make
from tests.unit.conductor.desk import Desk


class Cancelling(Desk):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        for host in ("h1", "h2"):
            self.register(host)
            self.of_version(host, CODE_VERSION)

    def of_version(self, host: str, version: int) -> None:
        self.write(write_hosts.update_service, HostName(host), "kilonova-compute", self.now, version=version)

    def cancel(self, *, let_go: bool = False) -> CancelReply:
        request = CancelAction(make.context("req-cancel"), self.newest_action().id, let_go)
        cancelled: cancel.Cancelled = self.write(cancel.cancel, request, self.now)
        return cancelled.reply

    def building(self) -> Action:
        host = self.place(self.create())
        assert host is not None
        (item,) = self.fetch("t-create", host=host).items
        return item.action

    def undo(self, attempt: str = "t-undo") -> Action:
        host = self.newest_action().host
        assert host is not None
        (item,) = self.fetch(attempt, host=host).items
        assert item.action.leg.undoes is not None
        return item.action

    def used(self) -> int:
        return self.node().vcpus_used


@pytest.fixture
def desk(tmp_path: Path) -> Cancelling:
    return Cancelling(tmp_path)


def test_the_report_of_a_cancelled_build_changes_nothing(desk: Cancelling) -> None:
    build = desk.building()
    desk.cancel()
    desk.finish(build)
    assert desk.instance().vm_state is VmState.BUILDING
    undo = desk.undo()
    desk.finish(undo, power=None)
    desk.finish(undo, power=None)
    desk.finish(build)
    newest, instance = desk.newest_action(), desk.instance()
    assert (newest.state, instance.vm_state, instance.host) == (ActionState.CANCELLED, VmState.ERROR, None)
    assert desk.used() == 0


def test_the_host_stops_the_run_and_receives_the_undo_in_one_fetch(desk: Cancelling) -> None:
    build = desk.building()
    desk.cancel()
    assert build.host is not None
    fetched = desk.fetch("t-undo", host=build.host, running=(build.leg_id,))
    assert fetched.revoked == (build.leg_id,)
    assert [item.action.leg.undoes for item in fetched.items] == [0]


def test_a_repeat_changes_nothing(desk: Cancelling) -> None:
    desk.building()
    for _ in range(2):
        assert desk.cancel() == CancelReply()
        assert len(desk.newest_action().legs) == 2
    for _ in range(2):
        assert desk.cancel(let_go=True) == CancelReply()
        assert desk.instance().vm_state is VmState.ERROR


def test_a_refused_cancel_is_refused_again_and_the_action_ends_as_requested(desk: Cancelling) -> None:
    desk.finish(desk.building())
    desk.accept(Verb.STOP, "req-stop")
    host = desk.newest_action().host
    assert host is not None
    (item,) = desk.fetch("t-stop", host=host).items
    desk.cancel()
    desk.cancel(let_go=True)
    assert (desk.instance().vm_state, desk.instance().task_state) == (VmState.ERROR, None)
    undo = desk.undo()
    assert undo.attempt is not None
    report = Finish(host, undo.leg_id, undo.attempt, False, PowerState.NOSTATE, message="Too late.", refused=True)
    desk.write(reports.finish, report, desk._new_id, desk.now)
    assert desk.cancel() == CancelReply("Too late.")
    assert (desk.instance().vm_state, desk.instance().task_state) == (VmState.ACTIVE, "powering-off")
    assert desk.instance().fault is None
    desk.finish(item.action, power=PowerState.SHUTDOWN)
    assert (desk.newest_action().state, desk.instance().vm_state) == (ActionState.DONE, VmState.STOPPED)


def test_a_build_that_moves_to_another_host_is_not_placed_again(desk: Cancelling) -> None:
    desk.finish(desk.building(), succeeded=False, power=None, message="broken", of_host=True)
    undo = desk.undo()
    desk.cancel()
    desk.finish(undo, power=None)
    newest = desk.newest_action()
    assert (newest.state, newest.host, desk.used()) == (ActionState.CANCELLED, undo.host, 0)


def test_what_could_not_be_removed_keeps_its_claim(desk: Cancelling) -> None:
    desk.building()
    desk.cancel()
    desk.finish(desk.undo(), succeeded=False, power=PowerState.RUNNING, message="busy")
    assert (desk.newest_action().state, desk.instance().vm_state) == (ActionState.FAILED, VmState.ERROR)
    assert desk.instance().host is not None
    assert desk.used() == 1


def test_work_that_a_host_of_version_1_has_begun_is_not_cancelled(desk: Cancelling) -> None:
    build = desk.building()
    assert build.host is not None
    desk.of_version(build.host, 1)
    assert "upgrade the host" in desk.cancel().refused
    assert desk.newest_action().bookkeeping.cancel is None
    desk.finish(build)
    assert desk.instance().vm_state is VmState.ACTIVE


def test_a_server_that_a_cancel_has_let_go_shows_no_work_while_its_host_is_forced_down_and_taken_back(
    desk: Cancelling,
) -> None:
    build = desk.building()
    desk.cancel()
    desk.cancel(let_go=True)
    shown = desk.instance()
    assert (shown.vm_state, shown.task_state) == (VmState.ERROR, None)
    assert build.host is not None
    for forced in (True, False):
        desk.write(lost_hosts.call_down, build.host, desk.now, forced=forced)
        now = desk.instance()
        assert (now.vm_state, now.task_state, now.fault) == (VmState.ERROR, None, shown.fault)
    desk.finish(desk.undo(), power=None)
    assert desk.newest_action().state is ActionState.CANCELLED
