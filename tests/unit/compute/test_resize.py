# SPDX-License-Identifier: Apache-2.0
"""resize, confirm and revert on a host: run twice, broken off at every step, refused at every step."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kilonova.base.errors import HypervisorError
from kilonova.compute.operation import Job
from kilonova.compute.operations import OPERATIONS
from kilonova.objects.states import PowerState, Verb, VmState
from kilonova.virt.fake.machine import FakeGuest
from tests import make
from tests.unit.compute.bench import Bench
from tests.unit.compute.test_operations import Crash, crash, on

OLD = replace(make.flavor(1, 128, 1), ephemeral_gib=1, swap_mib=64)
NEW = replace(make.flavor(2, 256, 3), name="larger", ephemeral_gib=2)
STEPS = {verb: [step.name for step in OPERATIONS[verb].steps] for verb in (Verb.RESIZE, Verb.REVERT_RESIZE)}
RAN, WAS_OFF = VmState.ACTIVE, VmState.STOPPED
BOTH = pytest.mark.parametrize("state", [RAN, WAS_OFF])

RESIZING: dict[str, Any] = {"flavor": OLD, "old_flavor": OLD, "new_flavor": NEW}
RESIZED: dict[str, Any] = {"flavor": NEW, "old_flavor": OLD, "new_flavor": None}


def job(bench: Bench, verb: Verb, state: VmState) -> Job:
    params: dict[str, Any] = {"kept_disk": f"action-{Verb.RESIZE}"} if verb is Verb.REVERT_RESIZE else {}
    fields = RESIZING if verb is Verb.RESIZE else RESIZED
    made = bench.job(verb, **params)
    return replace(made, instance=replace(made.instance, old_vm_state=state, **fields))


def guest(bench: Bench) -> FakeGuest:
    return bench.machine.guests[bench.instance.id]


async def make_guest(bench: Bench, state: VmState) -> None:
    bench.instance = replace(bench.instance, flavor=OLD)
    await bench.run(bench.job(Verb.CREATE))
    if state is WAS_OFF:
        await bench.run(bench.job(Verb.STOP))


def power_of(state: VmState) -> PowerState:
    return PowerState.RUNNING if state is RAN else PowerState.SHUTDOWN


def is_old(bench: Bench) -> bool:
    one = guest(bench)
    assert one.definition is not None
    beside = one.local_disks == {"ephemeral": 1 << 30, "swap": 64 << 20} and not one.kept_ephemeral
    return beside and (one.definition.flavor, one.disk_bytes >> 30, one.kept_disk) == (OLD, 1, None)


def is_new(bench: Bench, *, kept: bool) -> bool:
    one = guest(bench)
    assert one.definition is not None
    beside = one.local_disks == {"ephemeral": 2 << 30} and bool(one.kept_ephemeral) is kept
    return beside and (one.definition.flavor, one.disk_bytes >> 30, one.kept_disk is not None) == (NEW, 3, kept)


@BOTH
@pytest.mark.parametrize("verb", [Verb.CONFIRM_RESIZE, Verb.REVERT_RESIZE])
def test_there_and_back_or_there_to_stay(tmp_path: Path, state: VmState, verb: Verb) -> None:
    async def body(bench: Bench) -> None:
        await make_guest(bench, state)
        once = 1 if state is RAN else 0
        for _ in range(2):
            outcome = await bench.run(job(bench, Verb.RESIZE, state))
            assert (outcome.succeeded, outcome.power, bench.starts) == (True, power_of(state), 1 + once)
            assert is_new(bench, kept=True)
        for _ in range(2):
            outcome = await bench.run(job(bench, verb, state))
            assert (outcome.succeeded, outcome.power) == (True, power_of(state))
            assert is_old(bench) if verb is Verb.REVERT_RESIZE else is_new(bench, kept=False)
        assert bench.starts == 1 + once + (once if verb is Verb.REVERT_RESIZE else 0)

    on(Bench(tmp_path), body)


def broken_off(
    tmp_path: Path,
    verb: Verb,
    state: VmState,
    place: str,
    then: Callable[[Bench], Awaitable[None]],
    boot: str = "boot-1",
) -> None:
    first = Bench(tmp_path)

    async def die(bench: Bench) -> None:
        await make_guest(bench, state)
        if verb is Verb.REVERT_RESIZE:
            await bench.run(job(bench, Verb.RESIZE, state))
        with pytest.raises(Crash):
            await bench.run(job(bench, verb, state), {f"compute.{verb}.{place}": crash})
        if boot != "boot-1":
            bench.machine.lose_power()

    on(first, die)
    on(Bench(tmp_path, first.machine, boot), then)


@BOTH
@pytest.mark.parametrize("place", ["begin", "done"])
@pytest.mark.parametrize(("verb", "step"), [(verb, step) for verb, steps in STEPS.items() for step in steps])
def test_what_died_at_any_step_is_finished_once(
    tmp_path: Path, verb: Verb, step: str, place: str, state: VmState
) -> None:
    async def replay(bench: Bench) -> None:
        outcome = await bench.run(job(bench, verb, state))
        assert (outcome.succeeded, outcome.power) == (True, power_of(state))
        assert is_new(bench, kept=True) if verb is Verb.RESIZE else is_old(bench)
        restarts = {Verb.RESIZE: 1, Verb.REVERT_RESIZE: 2}[verb] if state is RAN else 0
        assert bench.starts == 1 + restarts

    broken_off(tmp_path, verb, state, f"{step}.{place}", replay)


@pytest.mark.parametrize("verb", list(STEPS))
def test_a_guest_that_lost_its_power_after_its_start_is_started_again(tmp_path: Path, verb: Verb) -> None:
    async def replay(bench: Bench) -> None:
        assert (await bench.run(job(bench, verb, RAN))).power is PowerState.RUNNING
        assert is_new(bench, kept=True) if verb is Verb.RESIZE else is_old(bench)

    broken_off(tmp_path, verb, RAN, "start.done", replay, boot="boot-2")


@pytest.mark.parametrize("step", STEPS[Verb.RESIZE])
def test_a_delete_leaves_nothing_however_far_the_resize_came(tmp_path: Path, step: str) -> None:
    async def delete(bench: Bench) -> None:
        assert (await bench.run(bench.job(Verb.DELETE))).power is None
        assert bench.guest_count == 0

    broken_off(tmp_path, Verb.RESIZE, RAN, f"{step}.done", delete)


def refusing(method: str, *, after: bool, times: int = 1) -> Callable[[str, object], Awaitable[Exception | None]]:
    left = [times]

    async def refuse(name: str, _guest: object) -> Exception | None:
        if name == method and left[0]:
            left[0] -= 1
            error = HypervisorError("The hypervisor does not want to.")
            if after:
                return error
            raise error
        return None

    return refuse


def test_a_replay_whose_check_is_refused_undoes_what_the_first_attempt_did(tmp_path: Path) -> None:
    async def replay(bench: Bench) -> None:
        bench.machine.before_call = refusing("require_own_root", after=False)
        resize = job(bench, Verb.RESIZE, RAN)
        repeated = resize.action.with_leg(replace(resize.action.leg, repeated=True))
        outcome = await bench.run(replace(resize, action=repeated))
        assert (outcome.succeeded, outcome.power) == (False, PowerState.RUNNING)
        assert is_old(bench)

    broken_off(tmp_path, Verb.RESIZE, RAN, "start.done", replay)


CALLS = ["keep_disk", "grow_disk", "ensure_network", "define"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("method", "state"), [("power_on", RAN), *((method, state) for method in CALLS for state in (RAN, WAS_OFF))]
)
def test_a_resize_that_is_refused_at_any_step_leaves_the_guest_as_it_was(
    tmp_path: Path, method: str, after: bool, state: VmState
) -> None:
    async def body(bench: Bench) -> None:
        await make_guest(bench, state)
        bench.machine.before_call = refusing(method, after=after)
        outcome = await bench.run(job(bench, Verb.RESIZE, state))
        assert (outcome.succeeded, outcome.message) == (False, "The hypervisor does not want to.")
        assert outcome.power is power_of(state)
        assert is_old(bench)
        again = replace(job(bench, Verb.RESIZE, state), action=bench.job(Verb.RESIZE, "second").action)
        assert (await bench.run(again)).succeeded
        assert is_new(bench, kept=True)

    on(Bench(tmp_path), body)


@pytest.mark.parametrize("step", ["remove-start", "remove-define", "remove-keep-disk", "remove-power-off"])
def test_a_clean_up_that_died_is_replayed_from_the_guest_as_it_was(tmp_path: Path, step: str) -> None:
    first = Bench(tmp_path)

    async def die(bench: Bench) -> None:
        await make_guest(bench, RAN)
        bench.machine.before_call = refusing("define", after=True)
        with pytest.raises(Crash):
            await bench.run(job(bench, Verb.RESIZE, RAN), {f"compute.resize.{step}.done": crash})
        bench.machine.before_call = None

    async def replay(bench: Bench) -> None:
        outcome = await bench.run(job(bench, Verb.RESIZE, RAN))
        assert (outcome.succeeded, outcome.power) == (True, PowerState.RUNNING)
        assert is_new(bench, kept=True)

    on(first, die)
    on(Bench(tmp_path, first.machine), replay)


def test_a_refusal_after_a_replayed_clean_up_still_ends_with_the_guest_running(tmp_path: Path) -> None:
    first = Bench(tmp_path)

    async def die(bench: Bench) -> None:
        await make_guest(bench, RAN)
        bench.machine.before_call = refusing("grow_disk", after=False)
        with pytest.raises(Crash):
            await bench.run(job(bench, Verb.RESIZE, RAN), {"compute.resize.remove-power-off.done": crash})

    async def replay(bench: Bench) -> None:
        bench.machine.before_call = refusing("grow_disk", after=False)
        outcome = await bench.run(job(bench, Verb.RESIZE, RAN))
        assert (outcome.succeeded, outcome.power) == (False, PowerState.RUNNING)
        assert is_old(bench)

    on(first, die)
    on(Bench(tmp_path, first.machine), replay)


def test_a_resize_that_brings_an_ephemeral_disk_is_replayed_while_the_guest_runs(tmp_path: Path) -> None:
    plain = make.flavor(1, 128, 1)

    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        asked = job(bench, Verb.RESIZE, RAN)
        asked = replace(asked, instance=replace(asked.instance, flavor=plain, old_flavor=plain))
        for _ in range(2):
            assert (await bench.run(asked)).succeeded
            assert guest(bench).local_disks == {"ephemeral": 2 << 30}
        back = job(bench, Verb.REVERT_RESIZE, RAN)
        for _ in range(2):
            assert (await bench.run(replace(back, instance=replace(back.instance, old_flavor=plain)))).succeeded
            assert guest(bench).local_disks == {}

    on(Bench(tmp_path), body)
