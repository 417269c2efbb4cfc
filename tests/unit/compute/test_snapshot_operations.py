# SPDX-License-Identifier: Apache-2.0
"""Making images, shelving and coming back: run twice, broken off at every step, undone however far it came."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.base.errors import HypervisorError
from kilonova.base.tasks import Supervisor
from kilonova.compute.operation import Job
from kilonova.compute.operations import OPERATIONS
from kilonova.objects.action_params import UnshelveSource
from kilonova.objects.ids import AttemptId, ImageId
from kilonova.objects.states import PowerState, Verb
from tests import make
from tests.simulation.virtual import run_virtually
from tests.unit.compute.bench import Bench

NEW = "image-2"
SHELVED = replace(make.image_ref(), id=ImageId("image-shelved"))


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


def saving(bench: Bench, verb: Verb = Verb.CREATE_IMAGE) -> Job:
    return bench.job(verb, image_id=NEW)


def returning(bench: Bench, found: UnshelveSource) -> Job:
    job = bench.job(Verb.UNSHELVE, source=found)
    return replace(job, instance=replace(job.instance, shelved_image=SHELVED))


def copies(bench: Bench) -> list[str]:
    return [name for guest in bench.machine.guests.values() for name in guest.snapshots]


@pytest.mark.parametrize("verb", [Verb.CREATE_IMAGE, Verb.CREATE_BACKUP, Verb.SHELVE])
def test_an_image_is_made_once_and_nothing_is_left_beside_the_guest(tmp_path: Path, verb: Verb) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        for _ in range(2):
            outcome = await bench.run(saving(bench, verb))
            assert (outcome.succeeded, outcome.message) == (True, None)
            wanted = PowerState.SHUTDOWN if verb is Verb.SHELVE else PowerState.RUNNING
            assert (outcome.power, bench.starts) == (wanted, 1)
        saved = bench.library.records.saved
        assert saved is not None
        assert saved.virtual_size == 1 << 30
        assert (bench.library.images(), copies(bench)) == ([NEW], [])

    on(Bench(tmp_path), body)


@pytest.mark.parametrize("place", ["begin", "done"])
@pytest.mark.parametrize("step", [step.name for step in OPERATIONS[Verb.CREATE_IMAGE].steps])
def test_one_that_died_at_any_step_is_made_by_the_next_process(tmp_path: Path, step: str, place: str) -> None:
    first = Bench(tmp_path)

    async def die(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        with pytest.raises(Crash):
            await bench.run(saving(bench), {f"compute.createImage.{step}.{place}": crash})

    async def replay(bench: Bench) -> None:
        bench.library.records.saved = first.library.records.saved
        before = bench.library.records.saved
        assert (await bench.run(saving(bench))).succeeded
        saved = bench.library.records.saved
        assert saved is not None
        assert before is None or saved is before
        assert (bench.library.images(), copies(bench)) == ([NEW], [])

    on(first, die)
    on(Bench(tmp_path, first.machine), replay)


@pytest.mark.parametrize("call", ["take_snapshot", "read_snapshot", "remove_snapshot"])
def test_one_that_is_refused_leaves_no_bytes_unless_it_was_whole(tmp_path: Path, call: str) -> None:
    refused: list[str] = []

    async def refuse(name: str, _guest: object) -> Exception | None:
        if name == call and not refused:
            refused.append(name)
            raise HypervisorError("The hypervisor does not want to.")
        return None

    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        bench.machine.before_call = refuse
        outcome = await bench.run(saving(bench))
        assert (outcome.succeeded, outcome.message) == (False, "The hypervisor does not want to.")
        assert (outcome.power, bench.starts) == (PowerState.RUNNING, 1)
        assert bench.library.images() == ([NEW] if call == "remove_snapshot" else [])
        assert copies(bench) == []

    on(Bench(tmp_path), body)


@pytest.mark.parametrize("repeated", [True, False])
def test_what_an_earlier_attempt_has_made_goes_when_the_next_one_is_refused_at_its_first_look(
    tmp_path: Path, repeated: bool
) -> None:
    first = Bench(tmp_path)

    async def die(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        with pytest.raises(Crash):
            await bench.run(saving(bench, Verb.SHELVE), {"compute.shelve.copy.done": crash})
        assert copies(bench) == [NEW]

    async def refuse_once(bench: Bench) -> None:
        refusals = [HypervisorError("The hypervisor does not want to.")]

        async def refuse(_name: str, _guest: object) -> None:
            if refusals:
                raise refusals.pop()

        bench.machine.before_call = refuse
        job = saving(bench, Verb.SHELVE)
        leg = job.action.leg.under(AttemptId("attempt-2")) if repeated else job.action.leg
        outcome = await bench.run(replace(job, action=job.action.with_leg(leg)))
        assert (outcome.succeeded, outcome.message) == (False, "The hypervisor does not want to.")
        assert copies(bench) == ([] if repeated else [NEW])

    on(first, die)
    on(Bench(tmp_path, first.machine), refuse_once)


def test_one_whose_image_is_deleted_ends_with_that_and_leaves_nothing(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))

        async def delete(name: str, _guest: object) -> Exception | None:
            bench.library.records.deleted = bench.library.records.deleted or name == "read_snapshot"
            return None

        bench.machine.before_call = delete
        outcome = await bench.run(saving(bench))
        assert outcome.message == "Image image-2 was deleted while it was being made."
        assert (bench.library.images(), copies(bench)) == ([], [])

    on(Bench(tmp_path), body)


def test_a_conductor_that_is_away_is_waited_for(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        bench.library.records.away = 20
        before = bench.clock.monotonic()
        assert (await bench.run(saving(bench))).succeeded
        assert bench.clock.monotonic() - before > 60

    on(Bench(tmp_path), body)


def test_a_delete_removes_the_bytes_that_were_forgotten_with_it(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        await bench.run(saving(bench))
        assert (await bench.run(bench.job(Verb.DELETE, forgotten_images=(ImageId("never-there"), NEW)))).succeeded
        assert (bench.library.images(), bench.guest_count) == ([], 0)

    on(Bench(tmp_path), body)


def test_a_guest_that_stands_still_is_not_asked_to_shut_down(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.machine.obeys_acpi = False
        await bench.run(bench.job(Verb.CREATE))
        await bench.driver.pause(bench.instance.id)
        before = bench.clock.monotonic()
        assert (await bench.run(saving(bench, Verb.SHELVE))).power is PowerState.SHUTDOWN
        assert bench.clock.monotonic() - before < 1

    on(Bench(tmp_path), body)


@pytest.mark.parametrize("step", [step.name for step in OPERATIONS[Verb.UNSHELVE].steps])
def test_one_that_left_its_host_and_died_coming_back_does_so_once(tmp_path: Path, step: str) -> None:
    first = Bench(tmp_path)

    async def die(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        assert (await bench.run(bench.job(Verb.SHELVE_OFFLOAD))).power is None
        assert bench.guest_count == 0
        with pytest.raises(Crash):
            await bench.run(returning(bench, UnshelveSource.OFFLOADED), {f"compute.unshelve.{step}.done": crash})

    async def replay(bench: Bench) -> None:
        assert (await bench.run(returning(bench, UnshelveSource.OFFLOADED))).power is PowerState.RUNNING
        assert (bench.guest_count, bench.starts) == (1, 1)

    on(first, die)
    on(Bench(tmp_path, first.machine), replay)


@pytest.mark.parametrize("found", list(UnshelveSource))
def test_a_failed_return_removes_what_it_made_and_nothing_that_was_there(tmp_path: Path, found: str) -> None:
    async def refuse(name: str, _guest: object) -> Exception | None:
        if name == "power_on":
            raise HypervisorError("The hypervisor does not want to.")
        return None

    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        await bench.run(bench.job(Verb.SHELVE_OFFLOAD if found == UnshelveSource.OFFLOADED else Verb.STOP))
        if found == UnshelveSource.OFFLOAD_INCOMPLETE:
            bench.machine.guests[bench.instance.id].base = None
        bench.machine.before_call = refuse
        outcome = await bench.run(returning(bench, found))
        assert not outcome.succeeded
        if found == UnshelveSource.OFFLOADED:
            assert (outcome.power, bench.guest_count) == (None, 0)
        else:
            assert outcome.power is PowerState.SHUTDOWN
            assert bench.machine.guests[bench.instance.id].base is not None

    on(Bench(tmp_path), body)


def test_an_image_that_cannot_be_dropped_ends_no_guest_that_runs(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.library.records.deleted = True  # as the conductor refuses
        assert (await bench.run(returning(bench, UnshelveSource.OFFLOADED))).power is PowerState.RUNNING

    on(Bench(tmp_path), body)
