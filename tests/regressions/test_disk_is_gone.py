# SPDX-License-Identifier: Apache-2.0
"""A running guest whose disk file was removed has the last copy open.  A resize and a reboot switched it off before
they found that there was nothing to start it from."""

from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.compute.operation import Job
from kilonova.compute.operations import OPERATIONS
from kilonova.objects.states import PowerState, Verb, VmState
from tests import make, params
from tests.unit.compute.bench import Bench
from tests.unit.compute.test_operations import Crash, crash, on

STOPS = (
    Verb.STOP,
    Verb.REBOOT,
    Verb.SUSPEND,
    Verb.RESCUE,
    Verb.UNRESCUE,
    Verb.RESIZE,
    Verb.SHELVE,
)
DISCARDS = (Verb.REBUILD, Verb.REVERT_RESIZE, Verb.SHELVE_OFFLOAD, Verb.DELETE)
"""What ends a guest and wants nothing of its disk."""


def job(bench: Bench, verb: Verb) -> Job:
    made = bench.job(verb, **params.of_verb(verb, type="HARD", kept_disk=f"action-{Verb.RESIZE}", image_id="image-2"))
    large = replace(make.flavor(2, 256, 3), name="larger")
    fields = {"old_vm_state": VmState.ACTIVE, "old_flavor": made.instance.flavor, "new_flavor": large}
    rescue = made.instance.image if verb is Verb.RESCUE else None
    return replace(made, instance=replace(made.instance, **fields, rescue_image=rescue))


def test_each_verb_that_stops_a_guest_is_here() -> None:
    """A new one must say whether it looks first."""
    harmless = set(OPERATIONS) - set(STOPS) - set(DISCARDS)
    assert {verb for verb in OPERATIONS if "look" in _names(verb)} >= set(STOPS)
    for verb in harmless:
        steps = {step.name for step in OPERATIONS[verb].steps}
        assert not steps & {"power-off", "shutdown", "save"}, verb


def _names(verb: Verb) -> set[str]:
    return {"look"} if OPERATIONS[verb].look.__module__.endswith(".look") else set()


@pytest.mark.parametrize("verb", STOPS)
def test_a_guest_whose_disk_is_gone_runs_on_and_the_reason_is_told(tmp_path: Path, verb: Verb) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        guest = bench.machine.guests[bench.instance.id]
        guest.disk_gone = True
        for _ in range(2):
            outcome = await bench.run(job(bench, verb))
            assert (outcome.succeeded, outcome.power) == (False, PowerState.RUNNING)
            assert "cannot be read: No such file" in (outcome.message or "")
        assert (guest.starts, guest.rescue, guest.kept_disk) == (1, None, None)

    on(Bench(tmp_path), body)


@pytest.mark.parametrize("verb", [Verb.REBUILD, Verb.DELETE])
def test_what_wants_nothing_of_the_disk_is_done(tmp_path: Path, verb: Verb) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        bench.machine.guests[bench.instance.id].disk_gone = True
        assert (await bench.run(job(bench, verb))).succeeded

    on(Bench(tmp_path), body)


@pytest.mark.parametrize("verb", [Verb.RESIZE, Verb.REVERT_RESIZE])
@pytest.mark.parametrize("running", [True, False])
def test_a_disk_that_other_tools_have_moved_is_neither_copied_nor_put_back(
    tmp_path: Path, verb: Verb, *, running: bool
) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        if not running:
            await bench.run(bench.job(Verb.STOP))
        guest = bench.machine.guests[bench.instance.id]
        guest.disk_moved = "/instances/1/disk.s1"
        outcome = await bench.run(job(bench, verb))
        assert (outcome.succeeded, outcome.power is PowerState.RUNNING, guest.starts) == (False, running, 1)
        assert "/instances/1/disk.s1, a snapshot by other tools" in (outcome.message or "")

    on(Bench(tmp_path), body)


def test_an_action_that_has_started_the_guest_does_not_look_again(tmp_path: Path) -> None:
    """A replay ends as the first run would have."""

    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        with pytest.raises(Crash):
            await bench.run(job(bench, Verb.REBOOT), {"compute.reboot.start.done": crash})
        bench.machine.guests[bench.instance.id].disk_gone = True
        assert (await bench.run(job(bench, Verb.REBOOT))).succeeded

    on(Bench(tmp_path), body)
