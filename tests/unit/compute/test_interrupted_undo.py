# SPDX-License-Identifier: Apache-2.0
"""The process of a host ends while it undoes an action that failed, and the next process continues."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.base.errors import HypervisorError
from kilonova.compute.operation import Job
from kilonova.compute.operations import OPERATIONS
from kilonova.objects.action_params import UnshelveSource
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState, Verb
from tests import make
from tests.unit.compute.bench import Bench
from tests.unit.compute.test_operations import Crash, crash, on
from tests.unit.compute.test_resize import RAN, is_old, make_guest
from tests.unit.compute.test_resize import job as resizing
from tests.unit.compute.test_snapshot_operations import returning


def building(bench: Bench) -> Job:
    return bench.job(Verb.CREATE)


def evacuating(bench: Bench) -> Job:
    return bench.job(Verb.EVACUATE)


def unshelving(bench: Bench) -> Job:
    return returning(bench, UnshelveSource.OFFLOADED)


def resizing_it(bench: Bench) -> Job:
    return resizing(bench, Verb.RESIZE, RAN)


def rescuing(bench: Bench) -> Job:
    made = bench.job(Verb.RESCUE)
    return replace(made, instance=replace(made.instance, rescue_image=make.image_ref()))


def ended_in_undo(tmp_path: Path, verb: Verb, place: str, made: Callable[[Bench], Job], *, first: bool) -> Bench:
    """The next process; `first`: the server has a guest before the action."""
    bench = Bench(tmp_path)

    async def die(bench: Bench) -> None:
        if first:
            await make_guest(bench, RAN)
        job = made(bench)
        started = bench.starts if first else 0

        async def refuse(name: str, _id: InstanceId | None) -> None:
            guest = bench.machine.guests.get(job.instance.id)
            if name == "guest_state" and guest is not None and guest.starts > started:
                bench.machine.before_call = None
                raise HypervisorError("It does not want to.")

        bench.machine.before_call = refuse
        with pytest.raises(Crash):
            await bench.run(job, {f"compute.{verb}.remove-{place}": crash})

    on(bench, die)
    return Bench(tmp_path, bench.machine)


def repeated(job: Job) -> Job:
    return replace(job, action=job.action.with_leg(replace(job.action.leg, repeated=True)))


@pytest.mark.parametrize("place", ["begin", "done"])
@pytest.mark.parametrize(
    ("verb", "made", "step"),
    [
        *((Verb.CREATE, building, step.name) for step in OPERATIONS[Verb.CREATE].steps),
        *((Verb.EVACUATE, evacuating, step) for step in ("define", "network")),
        *((Verb.UNSHELVE, unshelving, step) for step in ("define", "network")),
    ],
)
def test_a_build_is_made_anew_and_starts_on_no_used_disk(
    tmp_path: Path, verb: Verb, made: Callable[[Bench], Job], step: str, place: str
) -> None:
    async def body(bench: Bench) -> None:
        outcome = await bench.run(repeated(made(bench)))
        assert (outcome.succeeded, outcome.power, bench.starts) == (True, PowerState.RUNNING, 1)

    on(ended_in_undo(tmp_path, verb, f"{step}.{place}", made, first=False), body)


def test_a_build_that_was_not_undone_keeps_its_disk(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    async def die(bench: Bench) -> None:
        with pytest.raises(Crash):
            await bench.run(building(bench), {"compute.create.start.begin": crash})
        bench.machine.guests[bench.instance.id].console = b"as it was"

    async def replay(bench: Bench) -> None:
        assert (await bench.run(repeated(building(bench)))).succeeded
        assert bench.machine.guests[bench.instance.id].console.startswith(b"as it was")

    on(bench, die)
    on(Bench(tmp_path, bench.machine), replay)


@pytest.mark.parametrize("step", ["start.done", "define.begin", "define.done"])
@pytest.mark.parametrize(("verb", "made"), [(Verb.RESIZE, resizing_it), (Verb.RESCUE, rescuing)])
def test_the_undo_of_a_restart_is_completed(
    tmp_path: Path, verb: Verb, made: Callable[[Bench], Job], step: str
) -> None:
    async def body(bench: Bench) -> None:
        outcome = await bench.run(repeated(made(bench)))
        reason = f"The {verb} failed, and was being undone when the process of its host ended."
        assert (outcome.succeeded, outcome.message) == (False, reason)
        guest = bench.machine.guests[bench.instance.id]
        if verb is Verb.RESIZE:
            assert (outcome.power, is_old(bench)) == (PowerState.RUNNING, True)
        else:
            assert (outcome.power, guest.rescue) == (PowerState.SHUTDOWN, None)

    on(ended_in_undo(tmp_path, verb, step, made, first=True), body)
