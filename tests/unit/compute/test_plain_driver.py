# SPDX-License-Identifier: Apache-2.0
"""A driver need not be able to do everything: what it cannot is refused before anything is begun."""

from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.base.tasks import Supervisor
from kilonova.compute.operation import Job
from kilonova.compute.operations import OPERATIONS
from kilonova.config.load import load
from kilonova.objects.states import PowerState, Verb
from tests.plain_driver import PlainDriver
from tests.simulation.virtual import run_virtually
from tests.unit.compute.bench import Bench

MORE_THAN_THE_CORE = sorted(verb for verb, operation in OPERATIONS.items() if operation.needs is not None)
CORE = {Verb.CREATE, Verb.DELETE, Verb.START, Verb.STOP, Verb.REBOOT, Verb.PAUSE, Verb.UNPAUSE}
BY_THE_CORE_TOO = {Verb.SHELVE_OFFLOAD, Verb.UNSHELVE, Verb.EVACUATE}


def test_each_operation_says_whether_it_needs_more_than_the_core() -> None:
    assert set(OPERATIONS) - set(MORE_THAN_THE_CORE) == CORE | BY_THE_CORE_TOO


@pytest.mark.parametrize("verb", MORE_THAN_THE_CORE)
def test_what_a_driver_cannot_do_is_not_begun(tmp_path: Path, verb: Verb) -> None:
    bench, asked = Bench(tmp_path), list[str]()

    async def note(name: str, _guest: object) -> None:
        asked.append(name)

    async def main() -> None:
        async with Supervisor(bench.clock) as tasks:
            await bench.start(tasks)
            assert (await bench.run(bench.job(Verb.CREATE))).succeeded
            settings = load(overrides={("DEFAULT", "state_path"): str(tmp_path)})
            plain = PlainDriver(bench.virtapi, settings, hypervisor=bench.machine)
            job: Job = bench.job(verb)
            bench.machine.before_call = note
            outcome = await bench.run(replace(job, tools=replace(job.tools, driver=plain)))
            assert (outcome.succeeded, outcome.power) == (False, PowerState.RUNNING)
            assert outcome.message is not None
            assert outcome.message.startswith("This host's driver cannot ")
            assert asked == ["guest_state"]

    run_virtually(main())
