# SPDX-License-Identifier: Apache-2.0
"""What hosts tell: levels, observations, and who may override whom."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from kilonova.base.errors import NotFound, StaleWrite, StateError
from kilonova.conductor.hosts import liveness, processes, register
from kilonova.conductor.verbs import power_update
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers.hosts import HostLevel
from kilonova.db.writers import liveness as write_liveness
from kilonova.objects.guest import NOT_RESPONDING
from kilonova.objects.ids import HostName
from kilonova.objects.states import ActionState, PowerState, Verb, VmState
from kilonova.rpcapi.api_to_conductor import UpdateService
from kilonova.rpcapi.host_to_conductor import RegisterHost, SetHostEnabled
from tests import make
from tests.simulation.virtual import SimClock, run_virtually
from tests.unit.conductor.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def level(desk: Desk, enabled: bool, reason: str = "libvirt is away") -> None:
    desk.write(register.set_enabled, SetHostEnabled(make.HOST, 1, enabled, reason), desk.now)


def test_a_host_disables_and_enables_itself(desk: Desk) -> None:
    desk.register()
    level(desk, False)
    level(desk, False)
    assert (desk.node().service.disabled, desk.node().service.disabled_reason) == (True, "libvirt is away")
    level(desk, True)
    assert (desk.node().service.disabled, desk.node().service.disabled_reason) == (False, None)


def test_an_operators_disable_is_never_undone_by_the_host(desk: Desk) -> None:
    desk.register()
    desk.write(
        register.operator_update, UpdateService("service-h1", disabled=True, disabled_reason="maintenance"), desk.now
    )
    level(desk, False)
    level(desk, True)
    assert (desk.node().service.disabled, desk.node().service.disabled_reason) == (True, "maintenance")


def test_an_older_process_changes_nothing(desk: Desk) -> None:
    desk.register()
    desk.register(process="process-2")
    with pytest.raises(StaleWrite):
        level(desk, False)
    assert desk.node().service.disabled is False


@pytest.mark.parametrize(
    ("power", "vm_state", "shown"),
    [
        (PowerState.SHUTDOWN, VmState.STOPPED, PowerState.SHUTDOWN),
        (PowerState.CRASHED, VmState.STOPPED, PowerState.CRASHED),
        (PowerState.PAUSED, VmState.PAUSED, PowerState.PAUSED),
        (None, VmState.ACTIVE, PowerState.NOSTATE),  # not known to the hypervisor: unknown, never off
    ],
)
def test_what_the_hypervisor_says_is_shown(
    desk: Desk, power: PowerState | None, vm_state: VmState, shown: PowerState
) -> None:
    desk.active()
    desk.observe(power)
    assert (desk.instance().vm_state, desk.instance().power_state) == (vm_state, shown)


def test_a_guest_that_stands_is_not_shown_as_off(desk: Desk) -> None:
    """Somebody has started it without letting it go; or a start broke off there."""
    desk.active()
    desk.observe(PowerState.SHUTDOWN)
    desk.observe(PowerState.PAUSED)
    assert desk.instance().vm_state is VmState.PAUSED


def test_a_guest_that_does_not_respond_is_recorded_and_comes_back_as_itself(desk: Desk) -> None:
    desk.active()
    before = desk.instance()
    for _ in range(2):
        desk.observe(PowerState.NOSTATE, reason=NOT_RESPONDING)
    silent = desk.instance()
    assert silent.power_state is PowerState.NOSTATE
    assert (silent.vm_state, silent.desired_power) == (before.vm_state, before.desired_power)
    desk.observe(PowerState.RUNNING, reason="booted")
    assert desk.instance().power_state is PowerState.RUNNING
    assert [action.message for action in desk.actions()[:2]] == ["running: booted", "nostate: not responding"]


def test_an_observation_does_not_disturb_an_action(desk: Desk) -> None:
    desk.active()
    desk.accept(Verb.REBOOT, "req-r")
    desk.observe(PowerState.SHUTDOWN)
    assert desk.instance().vm_state is VmState.ACTIVE
    assert [action.verb for action in desk.actions()] == [Verb.REBOOT, Verb.CREATE]


def test_each_observed_change_is_an_action_with_the_hypervisors_reason(desk: Desk) -> None:
    desk.active()
    desk.observe(PowerState.PAUSED, reason="ioerror")
    action = desk.newest_action()
    assert (action.verb, action.state, action.message) == (Verb.POWER_UPDATE, ActionState.DONE, "paused: ioerror")
    assert (action.user_id, action.project_id) == ("kilonova", desk.instance().project_id)
    assert action.started_at == action.ended_at
    assert action.request_id == f"req-{action.id}"
    (event,) = desk.read(read_actions.events, action.id)
    assert (event.result, event.host) == ("Success", make.HOST)
    desk.observe(PowerState.RUNNING, reason="unpaused")
    desk.observe(PowerState.CRASHED, reason="")
    desk.observe(None)
    assert [action.message for action in desk.actions()[:3]] == [
        "The hypervisor does not know this guest.",
        "crashed",
        "running: unpaused",
    ]
    assert desk.fetch("t-later").items == ()  # nothing to do for anybody


def test_what_is_seen_twice_is_recorded_once_and_a_moment_not_at_all(desk: Desk) -> None:
    desk.active()
    for _ in range(3):
        desk.observe(PowerState.RUNNING)
    desk.observe(PowerState.NOSTATE, reason="shutting-down")
    assert [action.verb for action in desk.actions()] == [Verb.CREATE]
    for _ in range(3):
        desk.observe(PowerState.SHUTDOWN, reason="destroyed")
    assert [action.verb for action in desk.actions()] == [Verb.POWER_UPDATE, Verb.CREATE]


def test_what_no_host_asked_for_expires(desk: Desk) -> None:
    desk.register()
    desk.place(desk.create())
    assert desk.look(timedelta(0)) == 0
    assert desk.look(timedelta(hours=1)) == 1
    assert desk.newest_action().state is ActionState.FAILED
    fault = desk.instance().fault
    assert fault is not None
    assert "create did not begin within its deadline: host h1 never fetched it" in fault.message


def test_a_silent_host_is_down_after_its_time_and_only_after_the_grace_of_the_conductor(desk: Desk) -> None:
    epoch = desk.register()

    async def body() -> None:
        watch = liveness.Liveness(SimClock(1), down_time_s=60, grace_s=30)
        assert not watch.may_judge(5)  # this conductor has just started: it has heard nobody yet
        await asyncio.sleep(20)
        watch.heard(make.HOST, epoch)
        for _ in range(10):
            await asyncio.sleep(5)
            assert watch.may_judge(5) == (watch._clock.monotonic() >= 30)  # pyright: ignore[reportPrivateUsage]
        assert not watch.is_silent(make.HOST, epoch)
        await asyncio.sleep(15)
        assert watch.may_judge(15)
        assert watch.is_silent(make.HOST, epoch)
        assert await desk.db.write(write_liveness.call_down, HostLevel(make.HOST, epoch, True), desk.now)
        await asyncio.sleep(600)  # the conductor itself stood still: silence proves nothing
        assert not watch.may_judge(5)

    run_virtually(body())
    assert desk.node().service.up is False


def test_a_host_that_came_back_meanwhile_is_not_called_down(desk: Desk) -> None:
    epoch = desk.register()
    desk.register(process="process-2")
    assert not desk.write(write_liveness.call_down, HostLevel(make.HOST, epoch, True), desk.now)
    assert desk.node().service.up is True


def test_a_host_under_another_node_id_is_refused_and_so_is_a_node_under_another_name(desk: Desk) -> None:
    desk.register()
    for host, node, words in (
        ("h1", "node-other", "Host 'h1' is known under another node id than node-other"),
        ("h2", "node-h1", "Node node-h1 is known as host 'h1' and registers as 'h2': set host = h1"),
    ):
        asked = RegisterHost(HostName(host), "p9", node, "boot", "kilonova-compute", "compute", 1, "nova")
        with pytest.raises(StateError, match=words) as refused:
            desk.write(processes.admit, asked, lambda _host, _process: None)
        assert "node-h1" not in refused.value.message or node == "node-h1"  # whoever asks is not told the right one
    assert desk.register(process="process-1") == 1  # and the one that was there serves on
    assert desk.register("h2") == 1


def failed_delete(desk: Desk) -> None:
    desk.active()
    desk.accept(Verb.DELETE, "req-d")
    action = desk.fetch("t-delete").items[0].action
    desk.finish(action, succeeded=False, power=PowerState.NOSTATE, message="libvirt holds it")
    assert desk.instance().vm_state is VmState.ERROR


def test_a_delete_that_failed_is_taken_up_again_when_the_guest_can_be_judged(desk: Desk) -> None:
    failed_delete(desk)
    desk.observe(PowerState.NOSTATE, reason="starting-up")
    assert desk.fetch("t-none").items == ()
    desk.observe(PowerState.SHUTDOWN, reason="")
    (item,) = desk.fetch("t-again").items
    assert item.action.verb is Verb.DELETE
    assert (item.action.user_id, item.action.project_id) == ("kilonova", desk.instance().project_id)
    desk.finish(item.action, power=None)
    with pytest.raises(NotFound):
        desk.instance()


def test_nothing_is_deleted_again_that_was_asked_to_live_since_or_whose_delete_failed_otherwise(desk: Desk) -> None:
    failed_delete(desk)
    desk.accept(Verb.REBOOT, "req-r", type="HARD")
    action = desk.fetch("t-reboot").items[0].action
    desk.finish(action, succeeded=False, power=PowerState.NOSTATE, message="libvirt holds it")
    desk.observe(PowerState.SHUTDOWN, reason="unknown")
    assert desk.fetch("t-none").items == ()
    desk.accept(Verb.DELETE, "req-d2")
    action = desk.fetch("t-delete-2").items[0].action
    desk.finish(action, succeeded=False, power=PowerState.SHUTDOWN, message="a disk error")
    desk.observe(PowerState.CRASHED, reason="")
    assert desk.fetch("t-none").items == ()


def test_a_guest_that_flaps_is_told_of_in_one_action_with_a_count(desk: Desk) -> None:
    desk.active()
    flips = 40
    for _ in range(flips):
        desk.observe(PowerState.PAUSED, reason="user")
        desk.observe(PowerState.RUNNING, reason="unpaused")
        desk.now -= timedelta(seconds=1.9)  # ten changes in a second
    *changes, create = desk.actions()
    assert create.verb is Verb.CREATE
    assert len(changes) == power_update.MOST_CHANGES
    last, count = changes[0], 2 * flips - power_update.MOST_CHANGES + 1
    assert last.message is not None
    assert last.message.startswith(f"running: unpaused ({count} changes since 20")
    (event,) = desk.read(read_actions.events, last.id)
    assert event.finish_time == last.ended_at
    desk.now += timedelta(minutes=2)
    desk.observe(PowerState.SHUTDOWN, reason="shutdown")
    assert desk.newest_action().message == "shutdown: shutdown"
    assert desk.instance().power_state is PowerState.SHUTDOWN
