# SPDX-License-Identifier: Apache-2.0
"""Every operation can be run twice, broken off at every step, and undone however far it came."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.base.errors import HypervisorError, HypervisorUnavailable, NativeCallTimeout
from kilonova.base.tasks import Supervisor
from kilonova.compute.operations import OPERATIONS
from kilonova.objects.states import VERBS, PowerState, Verb
from tests.simulation.virtual import run_virtually
from tests.unit.compute.bench import Bench, with_image_gone

CREATE_STEPS = [step.name for step in OPERATIONS[Verb.CREATE].steps]


class Crash(BaseException):
    """The process dies here."""


def crash() -> None:
    raise Crash


def on(bench: Bench, body: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Supervisor(bench.clock) as tasks:
            await bench.start(tasks)
            await body(bench)

    run_virtually(main())


def test_every_verb_has_an_operation() -> None:
    assert set(OPERATIONS) == {verb for verb, rule in VERBS.items() if not rule.immediate}


def test_a_create_makes_a_running_guest_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        job = bench.job(Verb.CREATE)
        for _ in range(2):
            outcome = await bench.run(job)
            assert (outcome.succeeded, outcome.power) == (True, PowerState.RUNNING)
        assert bench.starts == 1
        assert bench.source.reads == 1

    on(Bench(tmp_path), body)


@pytest.mark.parametrize("place", ["begin", "done"])
@pytest.mark.parametrize("step", CREATE_STEPS)
def test_a_create_that_died_at_any_step_is_finished_by_the_next_process(tmp_path: Path, step: str, place: str) -> None:
    first = Bench(tmp_path)

    async def die(bench: Bench) -> None:
        with pytest.raises(Crash):
            await bench.run(bench.job(Verb.CREATE), {f"compute.create.{step}.{place}": crash})

    async def replay(bench: Bench) -> None:
        assert (await bench.run(bench.job(Verb.CREATE))).succeeded
        assert (bench.guest_count, bench.starts) == (1, 1)

    on(first, die)
    on(Bench(tmp_path, first.machine), replay)


@pytest.mark.parametrize("step", CREATE_STEPS)
def test_a_delete_leaves_nothing_however_far_the_create_came(tmp_path: Path, step: str) -> None:
    first = Bench(tmp_path)

    async def die(bench: Bench) -> None:
        with pytest.raises(Crash):
            await bench.run(bench.job(Verb.CREATE), {f"compute.create.{step}.done": crash})

    async def delete(bench: Bench) -> None:
        for _ in range(2):
            outcome = await bench.run(bench.job(Verb.DELETE))
            assert (outcome.succeeded, outcome.power) == (True, None)
            assert bench.guest_count == 0

    on(first, die)
    on(Bench(tmp_path, first.machine), delete)


@pytest.mark.parametrize("method", ["ensure_disks", "ensure_config_drive", "ensure_network", "define", "power_on"])
@pytest.mark.parametrize("after", [False, True])
def test_a_create_that_is_refused_at_any_step_leaves_nothing(tmp_path: Path, method: str, after: bool) -> None:
    async def refuse(name: str, _guest: object) -> Exception | None:
        error = HypervisorError("The hypervisor does not want to.")
        if name == method:
            if after:
                return error
            raise error
        return None

    async def body(bench: Bench) -> None:
        bench.machine.before_call = refuse
        outcome = await bench.run(bench.job(Verb.CREATE))
        assert (outcome.succeeded, outcome.power) == (False, None)
        assert outcome.message == "The hypervisor does not want to."
        assert bench.guest_count == 0

    on(Bench(tmp_path), body)


def test_an_image_with_another_checksum_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        outcome = await bench.run(with_image_gone(bench.job(Verb.CREATE)))
        assert outcome.message == "Image image-1 has not the checksum that was recorded for it."
        assert list((tmp_path / "_base").iterdir()) == []

    on(Bench(tmp_path), body)


def test_stop_and_start(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        for _ in range(2):
            assert (await bench.run(bench.job(Verb.STOP))).power is PowerState.SHUTDOWN
        for _ in range(2):
            assert (await bench.run(bench.job(Verb.START))).power is PowerState.RUNNING
        assert bench.starts == 2

    on(Bench(tmp_path), body)


def test_a_guest_that_does_not_hear_is_switched_off_after_its_time(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.machine.obeys_acpi = False
        await bench.run(bench.job(Verb.CREATE))
        before = bench.clock.monotonic()
        assert (await bench.run(bench.job(Verb.STOP))).power is PowerState.SHUTDOWN
        assert 5.0 <= bench.clock.monotonic() - before < 6.0

    on(Bench(tmp_path), body)


@pytest.mark.parametrize("answer", [NativeCallTimeout, HypervisorError])
def test_a_guest_that_cannot_be_asked_is_switched_off(tmp_path: Path, answer: type[Exception]) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))

        async def refuse(call: str, _guest: object) -> None:
            if call == "shutdown":
                raise answer("It was not back.")

        bench.machine.before_call = refuse
        outcome = await bench.run(bench.job(Verb.STOP))
        assert (outcome.succeeded, outcome.power) == (True, PowerState.SHUTDOWN)

    on(Bench(tmp_path), body)


def test_a_guest_that_does_not_respond_is_not_asked(tmp_path: Path) -> None:
    """A call of before may be waiting for it still, and another one would not even begin."""

    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        bench.machine.freeze(bench.instance.id)

        async def refuse(call: str, _guest: object) -> None:
            if call == "shutdown":
                raise HypervisorUnavailable("It found no place and was not begun.")

        bench.machine.before_call = refuse
        async with asyncio.timeout(60):
            outcome = await bench.run(bench.job(Verb.STOP))
        assert (outcome.succeeded, outcome.power) == (True, PowerState.SHUTDOWN)

    on(Bench(tmp_path), body)


@pytest.mark.parametrize("kind", ["SOFT", "HARD"])
def test_a_reboot_happens_once_however_often_it_is_replayed(tmp_path: Path, kind: str) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        for _ in range(3):
            assert (await bench.run(bench.job(Verb.REBOOT, "reboot-1", type=kind))).power is PowerState.RUNNING
        assert bench.starts == 2
        await bench.run(bench.job(Verb.REBOOT, "reboot-2", type=kind))
        assert bench.starts == 3

    on(Bench(tmp_path), body)


@pytest.mark.parametrize("step", ["shutdown", "power-off", "define", "start"])
def test_a_reboot_that_died_at_any_step_is_finished_once(tmp_path: Path, step: str) -> None:
    first = Bench(tmp_path)

    async def die(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        with pytest.raises(Crash):
            await bench.run(bench.job(Verb.REBOOT, "r1"), {f"compute.reboot.{step}.done": crash})

    async def replay(bench: Bench) -> None:
        assert (await bench.run(bench.job(Verb.REBOOT, "r1"))).power is PowerState.RUNNING
        assert bench.starts == 2

    on(first, die)
    on(Bench(tmp_path, first.machine), replay)


def test_a_guest_that_shut_itself_down_during_its_create_is_not_started_again(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        job = bench.job(Verb.CREATE)
        await bench.run(job)
        bench.machine.move(bench.instance.id, PowerState.SHUTDOWN, "shutdown")
        outcome = await bench.run(job)
        assert (outcome.succeeded, outcome.power, bench.starts) == (True, PowerState.SHUTDOWN, 1)

    on(Bench(tmp_path), body)


@pytest.mark.parametrize("reason", ["daemon", "failed", ""])
@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.REBOOT])
def test_a_start_that_the_hypervisor_gave_up_is_none(tmp_path: Path, verb: Verb, reason: str) -> None:
    """Its daemon was ended in the middle: the mark is there, and the guest is not."""

    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        job = bench.job(verb)
        await bench.run(job)
        before = bench.starts
        bench.machine.move(bench.instance.id, PowerState.SHUTDOWN, reason)
        outcome = await bench.run(job)
        assert (outcome.succeeded, outcome.power, bench.starts) == (True, PowerState.RUNNING, before + 1)

    on(Bench(tmp_path), body)


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.START, Verb.REBOOT])
def test_a_guest_that_stands_before_its_first_instruction_is_let_go(tmp_path: Path, verb: Verb) -> None:
    """The process died between its mark on the guest and the guest's first instruction."""

    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        if verb is Verb.START:
            await bench.run(bench.job(Verb.STOP))
        job = bench.job(verb)
        await bench.run(job)
        before = bench.starts
        bench.machine.move(bench.instance.id, PowerState.PAUSED, "paused")
        outcome = await bench.run(job)
        assert (outcome.succeeded, outcome.power, bench.starts) == (True, PowerState.RUNNING, before)

    on(Bench(tmp_path), body)


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.START, Verb.REBOOT])
def test_a_guest_that_lost_its_power_with_the_machine_is_started_again(tmp_path: Path, verb: Verb) -> None:
    """The process died after the start and before anybody heard of it, and the machine with it."""
    first = Bench(tmp_path)

    async def die(bench: Bench) -> None:
        if verb is not Verb.CREATE:
            await bench.run(bench.job(Verb.CREATE))
        if verb is Verb.START:
            await bench.run(bench.job(Verb.STOP))
        with pytest.raises(Crash):
            await bench.run(bench.job(verb), {f"compute.{verb}.start.done": crash})
        assert bench.machine.guests[bench.instance.id].power is PowerState.RUNNING
        bench.machine.lose_power()

    async def replay(bench: Bench) -> None:
        before = bench.starts
        for _ in range(2):
            assert (await bench.run(bench.job(verb))).power is PowerState.RUNNING
        assert bench.starts == before + 1

    on(first, die)
    on(Bench(tmp_path, first.machine, "boot-2"), replay)


@pytest.mark.parametrize(("asked", "seconds"), [(None, 5), ("2", 2), ("0", 0), ("999999999", 3540)])
def test_a_guest_gets_the_time_that_its_image_asks_for(tmp_path: Path, asked: str | None, seconds: float) -> None:
    """Within the action's own: what is left of its hour is for pulling the plug."""

    async def body(bench: Bench) -> None:
        bench.machine.obeys_acpi = False
        properties = {} if asked is None else {"os_shutdown_timeout": asked}
        bench.instance = replace(bench.instance, image=replace(bench.instance.image, properties=properties))
        await bench.run(bench.job(Verb.CREATE))
        before = bench.clock.monotonic()
        assert (await bench.run(bench.job(Verb.STOP))).power is PowerState.SHUTDOWN
        assert seconds <= bench.clock.monotonic() - before < seconds + 1

    on(Bench(tmp_path), body)
