# SPDX-License-Identifier: Apache-2.0
"""The runner's one rule for trouble, and how a run is taken back."""

import asyncio
from pathlib import Path

import pytest

from kilonova.base.errors import GuestStuck, HypervisorError, HypervisorUnavailable
from kilonova.base.failpoints import Failpoints
from kilonova.base.tasks import Supervisor
from kilonova.compute.runner import Revoked, Runner
from kilonova.objects.guest import ReadMark
from kilonova.objects.ids import ImageId
from kilonova.objects.states import PowerState, Verb
from tests.simulation.virtual import run_virtually
from tests.unit.compute.bench import Bench


@pytest.mark.parametrize("after", [False, True], ids=["before it happened", "after it happened"])
@pytest.mark.parametrize("method", ["ensure_disks", "define", "power_on", "guest_state"])
def test_an_unknown_outcome_is_read_again_not_judged(tmp_path: Path, method: str, after: bool) -> None:
    """The call fails by a lost connection, having happened or not; the guest runs in the end, started once."""
    bench = Bench(tmp_path)
    failures = 3

    async def lose(name: str, _guest: object) -> Exception | None:
        nonlocal failures
        if name != method or failures == 0:
            return None
        failures -= 1
        error = HypervisorUnavailable("libvirt is away", host="h1")
        if after:
            return error
        raise error

    async def main() -> None:
        async with Supervisor(bench.clock) as tasks:
            await bench.start(tasks)
            bench.machine.before_call = lose
            outcome = await bench.run(bench.job(Verb.CREATE))
            assert (outcome.succeeded, outcome.power) == (True, PowerState.RUNNING)
            assert bench.starts == 1
            assert failures < 3

    run_virtually(main())


def test_each_step_is_told_with_its_times_and_its_result(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    async def main() -> None:
        async with Supervisor(bench.clock) as tasks:
            await bench.start(tasks)
            run = bench.prepare(bench.job(Verb.CREATE))
            await Runner(Failpoints()).run(run)
            events = run.take_unsent()
            assert [event.name for event in events] == [
                "create.image",
                "create.disks",
                "create.config-drive",
                "create.network",
                "create.define",
                "create.start",
                "create.observe",
            ]
            assert all(e.result == "Success" and e.finish_time is not None and e.host == "h1" for e in events)
            assert run.take_unsent() == ()

    run_virtually(main())


@pytest.mark.parametrize("fails", [False, True])
def test_the_read_that_gives_the_outcome_begins_after_the_last_change(tmp_path: Path, fails: bool) -> None:
    """And its number is taken before it begins: a change that it may have missed has a later read."""
    bench, order = Bench(tmp_path), list[str]()

    async def note(name: str, _guest: object) -> None:
        order.append(name)
        if fails and name == "power_on":
            raise HypervisorError("no")

    def new_read() -> ReadMark:
        order.append("number")
        return ReadMark("process", len(order))

    async def main() -> None:
        async with Supervisor(bench.clock) as tasks:
            await bench.start(tasks)
            bench.machine.before_call = note
            run = bench.prepare(bench.job(Verb.CREATE))
            outcome = await Runner(Failpoints(), None, new_read).run(run)
            assert outcome.succeeded is not fails
            assert order[-2:] == ["number", "guest_state"]
            assert run.read == ReadMark("process", len(order) - 1)

    run_virtually(main())


def test_a_revoked_run_ends_before_its_next_step(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    async def main() -> None:
        async with Supervisor(bench.clock) as tasks:
            await bench.start(tasks)
            run = bench.prepare(bench.job(Verb.CREATE))

            def revoke() -> None:
                run.revoked = True

            with pytest.raises(Revoked):
                await Runner(Failpoints({"compute.create.disks.done": revoke})).run(run)
            assert list(run.events) == ["create.image", "create.disks"]

    run_virtually(main())


def test_waiting_for_the_hypervisor_can_be_interrupted(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    async def main() -> None:
        async with Supervisor(bench.clock) as tasks:
            await bench.start(tasks)
            bench.machine.go_away("frozen")
            run = bench.prepare(bench.job(Verb.CREATE))
            task = tasks.spawn("run", Runner(Failpoints()).run(run))
            await asyncio.sleep(60)
            assert not task.done()
            assert run.interruptible

    run_virtually(main())


def test_a_clean_up_that_fails_is_told_and_ends_the_action(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    async def refuse(name: str, _guest: object) -> Exception | None:
        if name == "power_on":
            raise HypervisorError("It does not start.")
        if name == "undefine":
            raise GuestStuck("libvirt holds it.")
        return None

    async def main() -> None:
        async with Supervisor(bench.clock) as tasks:
            await bench.start(tasks)
            bench.machine.before_call = refuse
            outcome = await bench.run(bench.job(Verb.CREATE))
            assert not outcome.succeeded
            assert outcome.message == "It does not start. What was made could not be removed: libvirt holds it."
            assert bench.guest_count == 1  # it is there until somebody deletes it
            bench.machine.before_call = None
            assert (await bench.run(bench.job(Verb.DELETE))).succeeded
            assert bench.guest_count == 0

    run_virtually(main())


def test_a_guest_whose_disks_could_not_be_removed_is_not_absent(tmp_path: Path) -> None:
    """An unshelve that left its disks keeps its host; it went back to no host (`make simulate`, seed 54 of then)."""
    bench = Bench(tmp_path)

    async def refuse(name: str, _guest: object) -> Exception | None:
        if name in ("define", "remove_disks"):
            raise HypervisorError("Not now.")
        return None

    async def main() -> None:
        async with Supervisor(bench.clock) as tasks:
            await bench.start(tasks)
            bench.machine.before_call = refuse
            outcome = await bench.run(bench.job(Verb.CREATE))
            assert (outcome.succeeded, outcome.power, bench.guest_count) == (False, PowerState.NOSTATE, 1)

    run_virtually(main())


def test_a_guest_that_cannot_be_read_is_unknown_and_its_action_ends(tmp_path: Path) -> None:
    """Or it would be handed out again, and run again, until its deadline."""
    bench = Bench(tmp_path)

    async def refuse(name: str, _guest: object) -> Exception | None:
        if name == "guest_state":
            raise HypervisorError("libvirt refused: internal error.")
        return None

    async def main() -> None:
        async with Supervisor(bench.clock) as tasks:
            await bench.start(tasks)
            await bench.run(bench.job(Verb.CREATE))
            bench.machine.before_call = refuse
            outcome = await bench.run(bench.job(Verb.STOP))
            assert (outcome.succeeded, outcome.power) == (False, PowerState.NOSTATE)
            assert outcome.message == "libvirt refused: internal error."

    run_virtually(main())


def test_a_run_whose_action_is_in_other_hands_judges_nothing(tmp_path: Path) -> None:
    """A question for work that came late gives it to an older attempt, and the next one back to this: what that one
    then tells is heard."""
    bench = Bench(tmp_path)

    async def main() -> None:
        async with Supervisor(bench.clock) as tasks:
            await bench.start(tasks)
            await bench.run(bench.job(Verb.CREATE))
            bench.library.records.taken = True
            with pytest.raises(Revoked):
                await bench.run(bench.job(Verb.CREATE_IMAGE, image_id=ImageId("image-2")))

    run_virtually(main())
