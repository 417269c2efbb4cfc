# SPDX-License-Identifier: Apache-2.0
"""suspend, resume, rescue, unrescue and rebuild: run twice, broken off at every step, refused, and deleted."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.base.errors import HypervisorError
from kilonova.base.tasks import Supervisor
from kilonova.compute.operations import OPERATIONS
from kilonova.compute.runner import Outcome
from kilonova.objects.states import SAVED, PowerState, Verb, VmState
from kilonova.virt.fake.machine import BeforeCall, FakeGuest, FakeHypervisor
from tests import make
from tests.simulation.virtual import run_virtually
from tests.unit.compute.bench import Bench

Body = Callable[[Bench], Awaitable[None]]


class Crash(BaseException):
    """The process dies here."""


def crash() -> None:
    raise Crash


def play(directory: Path, *bodies: Body, vm_state: VmState = VmState.ACTIVE) -> None:
    """Each body by a process of its own, on one machine and one boot; the first finds a running guest."""
    machine: FakeHypervisor | None = None
    for body in bodies:
        bench = Bench(directory, machine)
        bench.instance = replace(bench.instance, vm_state=vm_state)

        async def main(bench: Bench = bench, body: Body = body, first: bool = machine is None) -> None:
            async with Supervisor(bench.clock) as tasks:
                await bench.start(tasks)
                if first:
                    await bench.run(bench.job(Verb.CREATE))
                await body(bench)

        run_virtually(main())
        machine = bench.machine


def guest(bench: Bench) -> FakeGuest:
    return bench.machine.guests[bench.instance.id]


def rescued(bench: Bench) -> None:
    """The record as the conductor has it once a rescue was accepted."""
    bench.instance = replace(bench.instance, rescue_image=make.image_ref())


def refusing(method: str, times: int = 1, after: str = "") -> BeforeCall:
    """The hypervisor refuses the next calls of this method; `after`: those that follow the first call of that one."""
    seen, left = {""}, [HypervisorError("It does not want to.")] * times

    async def refuse(name: str, _guest: object) -> None:
        seen.add(name)
        if name == method and after in seen and left:
            raise left.pop()

    return refuse


async def succeeds(bench: Bench, verb: Verb, power: PowerState = PowerState.RUNNING) -> None:
    outcome = await bench.run(bench.job(verb))
    assert (outcome.succeeded, outcome.power) == (True, power), outcome.message


async def fails(bench: Bench, verb: Verb) -> Outcome:
    outcome = await bench.run(bench.job(verb))
    assert not outcome.succeeded
    return outcome


def test_suspend_and_resume_run_twice_start_nothing(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        for _ in range(2):
            await succeeds(bench, Verb.SUSPEND, PowerState.SUSPENDED)
        assert guest(bench).reason == SAVED
        for _ in range(2):
            await succeeds(bench, Verb.RESUME)
        assert bench.starts == 1

    play(tmp_path, body)


def test_a_suspended_guest_survives_its_machine_and_cannot_be_suspended_when_it_is_off(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        await succeeds(bench, Verb.SUSPEND, PowerState.SUSPENDED)
        bench.machine.lose_power()
        await succeeds(bench, Verb.RESUME)
        bench.machine.lose_power()
        outcome = await fails(bench, Verb.SUSPEND)
        assert (outcome.power, "does not run" in (outcome.message or "")) == (PowerState.SHUTDOWN, True)
        outcome = await fails(bench, Verb.RESUME)
        assert "no saved memory" in (outcome.message or "")
        assert bench.starts == 1

    play(tmp_path, body)


def test_a_save_that_is_refused_leaves_the_guest_running_and_says_so(tmp_path: Path) -> None:
    async def full(name: str, _guest: object) -> None:
        if name == "suspend":
            raise HypervisorError("No space left on device.")

    async def body(bench: Bench) -> None:
        bench.machine.before_call = full
        outcome = await fails(bench, Verb.SUSPEND)
        assert (outcome.power, outcome.message) == (PowerState.RUNNING, "No space left on device.")

    play(tmp_path, body)


@pytest.mark.parametrize("kind", ["SOFT", "HARD"])
def test_a_reboot_of_a_suspended_guest_drops_its_memory_and_asks_nobody(tmp_path: Path, kind: str) -> None:
    async def body(bench: Bench) -> None:
        await succeeds(bench, Verb.SUSPEND, PowerState.SUSPENDED)
        before = bench.clock.monotonic()
        assert (await bench.run(bench.job(Verb.REBOOT, "r1", type=kind))).power is PowerState.RUNNING
        assert bench.starts == 2
        assert bench.clock.monotonic() - before < bench.tools.settings.shutdown_timeout

    play(tmp_path, body)


def test_a_start_after_the_hosts_boot_goes_on_from_saved_memory(tmp_path: Path) -> None:
    """Somebody else (libvirt-guests) saved it while the machine went down, and nobody could tell us."""

    async def body(bench: Bench) -> None:
        bench.machine.move(bench.instance.id, PowerState.SUSPENDED, SAVED)
        bench.machine.lose_power()
        for _ in range(2):
            await succeeds(bench, Verb.START)
        assert bench.starts == 1

    play(tmp_path, body)


@pytest.mark.parametrize("verb", [Verb.SUSPEND, Verb.RESCUE])
def test_a_delete_leaves_nothing_of_a_suspended_or_rescued_guest(tmp_path: Path, verb: Verb) -> None:
    async def body(bench: Bench) -> None:
        rescued(bench)
        assert (await bench.run(bench.job(verb))).succeeded
        await bench.run(bench.job(Verb.DELETE))
        assert bench.guest_count == 0

    play(tmp_path, body)


def test_a_rescue_boots_another_disk_once_and_an_unrescue_its_own(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        rescued(bench)
        for _ in range(2):
            await succeeds(bench, Verb.RESCUE)
        assert bench.starts == 2
        assert guest(bench).boots_from is guest(bench).rescue is not None
        for _ in range(2):
            await succeeds(bench, Verb.UNRESCUE)
        assert bench.starts == 3
        assert guest(bench).rescue is None
        assert guest(bench).boots_from is guest(bench).base is not None

    play(tmp_path, body)


STEPS = [
    (verb, step.name, place)
    for verb in (Verb.SUSPEND, Verb.RESUME, Verb.RESCUE, Verb.UNRESCUE, Verb.REBUILD)
    for step in OPERATIONS[verb].steps
    for place in ("begin", "done")
]
STARTS = {Verb.SUSPEND: 1, Verb.RESUME: 1, Verb.RESCUE: 2, Verb.UNRESCUE: 3, Verb.REBUILD: 2}
BEFORE = {Verb.RESUME: Verb.SUSPEND, Verb.UNRESCUE: Verb.RESCUE}


@pytest.mark.parametrize(("verb", "step", "place"), STEPS)
def test_what_died_at_any_step_is_finished_once_by_the_next_process(
    tmp_path: Path, verb: Verb, step: str, place: str
) -> None:
    def accepted(bench: Bench) -> None:
        if verb in (Verb.RESCUE, Verb.UNRESCUE):
            rescued(bench)

    async def die(bench: Bench) -> None:
        accepted(bench)
        if verb in BEFORE:
            await bench.run(bench.job(BEFORE[verb]))
        with pytest.raises(Crash):
            await bench.run(bench.job(verb), {f"compute.{verb}.{step}.{place}": crash})

    async def replay(bench: Bench) -> None:
        accepted(bench)
        for _ in range(2):
            assert (await bench.run(bench.job(verb))).succeeded
        assert bench.starts == STARTS[verb]

    play(tmp_path, die, replay)


def test_a_rescue_whose_image_cannot_be_had_does_not_touch_the_guest(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.instance = replace(bench.instance, rescue_image=replace(make.image_ref(), sha512="0" * 128))
        outcome = await fails(bench, Verb.RESCUE)
        assert (outcome.power, bench.starts) == (PowerState.RUNNING, 1)
        assert "checksum" in (outcome.message or "")
        assert guest(bench).rescue is None

    play(tmp_path, body)


@pytest.mark.parametrize("method", ["make_rescue_disk", "power_off", "define", "power_on"])
def test_a_rescue_that_is_refused_leaves_the_usual_definition_and_no_rescue_disk(tmp_path: Path, method: str) -> None:
    async def body(bench: Bench) -> None:
        rescued(bench)
        bench.machine.obeys_acpi = False
        bench.machine.before_call = refusing(method)
        outcome = await fails(bench, Verb.RESCUE)
        assert outcome.message == "It does not want to."
        assert guest(bench).rescue is None
        definition = guest(bench).definition
        assert definition is not None
        assert definition.rescue_image is None
        untouched = method in ("make_rescue_disk", "power_off")
        assert outcome.power is (PowerState.RUNNING if untouched else PowerState.SHUTDOWN)

    play(tmp_path, body)


@pytest.mark.parametrize("step", ["start.done", "rescue-disk.begin"])
@pytest.mark.parametrize("refused", ["guest_state", "remove_rescue_disk"])
def test_an_unrescue_that_fails_after_its_start_is_done(tmp_path: Path, step: str, refused: str) -> None:
    """The guest runs from its own disk: the server is not shown as rescued (seed 1972)."""

    async def die(bench: Bench) -> None:
        rescued(bench)
        await succeeds(bench, Verb.RESCUE)
        with pytest.raises(Crash):
            await bench.run(bench.job(Verb.UNRESCUE), {f"compute.unrescue.{step}": crash})

    async def replay(bench: Bench) -> None:
        rescued(bench)
        bench.machine.before_call = refusing(refused)
        await succeeds(bench, Verb.UNRESCUE)
        assert (bench.starts, guest(bench).boots_from is guest(bench).base) == (3, True)

    play(tmp_path, die, replay)


def test_an_unrescue_that_fails_before_its_start_has_failed(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        rescued(bench)
        await succeeds(bench, Verb.RESCUE)
        bench.machine.before_call = refusing("power_off")
        assert (await fails(bench, Verb.UNRESCUE)).power is PowerState.RUNNING
        assert guest(bench).boots_from is guest(bench).rescue is not None

    play(tmp_path, body)


def test_a_rescue_that_runs_and_cannot_be_undone_is_done(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        rescued(bench)
        bench.machine.before_call = refusing("guest_state", times=2, after="power_on")  # of the start, and of its undo
        await succeeds(bench, Verb.RESCUE)
        assert guest(bench).boots_from is guest(bench).rescue is not None

    play(tmp_path, body)


def test_a_rescue_without_a_disk_of_its_own_is_refused(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.DELETE))
        rescued(bench)
        assert "no disk of its own" in ((await fails(bench, Verb.RESCUE)).message or "")
        assert bench.guest_count == 0

    play(tmp_path, body)


def test_a_rebuild_gives_one_new_disk_however_often_it_is_replayed(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        old = guest(bench).base
        guest(bench).base = replace(old, virtual_size=1)  # type: ignore[type-var]
        for _ in range(3):
            await succeeds(bench, Verb.REBUILD)
            assert guest(bench).base == old
            guest(bench).base = old = replace(old, virtual_size=2)  # type: ignore[type-var]  # what it wrote since
        assert bench.starts == 2
        await bench.run(bench.job(Verb.REBUILD, "another"))
        assert guest(bench).base != old

    play(tmp_path, body)


def test_a_rebuild_of_a_stopped_server_leaves_it_off(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.STOP))
        guest(bench).base = None
        for _ in range(2):
            await succeeds(bench, Verb.REBUILD, PowerState.SHUTDOWN)
        assert guest(bench).base is not None
        assert bench.starts == 1

    play(tmp_path, body, vm_state=VmState.STOPPED)


def test_a_rebuild_makes_whatever_a_failed_create_has_left_nothing_of(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.DELETE))
        await succeeds(bench, Verb.REBUILD)
        assert (bench.guest_count, bench.starts) == (1, 1)

    play(tmp_path, body, vm_state=VmState.ERROR)


@pytest.mark.parametrize("verb", [Verb.REBOOT, Verb.REBUILD])
def test_a_rescue_disk_that_a_reset_has_left_is_removed(tmp_path: Path, verb: Verb) -> None:
    async def body(bench: Bench) -> None:
        usual = bench.instance
        rescued(bench)
        await succeeds(bench, Verb.RESCUE)
        bench.instance = replace(usual, vm_state=VmState.ERROR)  # a reset of the state forgets the rescue
        await succeeds(bench, verb)
        assert guest(bench).rescue is None

    play(tmp_path, body)


@pytest.mark.parametrize("verb", [Verb.START, Verb.REBOOT])
def test_a_guest_without_a_disk_is_not_defined(tmp_path: Path, verb: Verb) -> None:
    """A create failed before its host had received it, and the server in ERROR was stopped."""

    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.DELETE))
        assert "no disk" in ((await fails(bench, verb)).message or "")
        assert bench.guest_count == 0

    play(tmp_path, body)
