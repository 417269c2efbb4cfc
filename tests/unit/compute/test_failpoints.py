# SPDX-License-Identifier: Apache-2.0
"""The names that may be armed are those that a run reaches."""

from pathlib import Path

import pytest

from kilonova.base.failpoints import Failpoints
from kilonova.compute.failpoints import NAMES
from kilonova.compute.runner import Runner
from kilonova.objects.states import Verb
from tests import make
from tests.unit.compute.bench import Bench

OF_CREATE = {name for name in NAMES if name.split(".")[1] == "create"}
UNDONE = {name for name in OF_CREATE if ".remove-" in name}


class Recorded(Failpoints):
    def __init__(self, fail_at: str) -> None:
        super().__init__()
        self.reached: list[str] = []
        self.fail_at = fail_at

    def hit(self, name: str) -> None:
        self.reached.append(name)
        if name == self.fail_at:
            raise RuntimeError("failpoint")


@pytest.mark.parametrize("fail_at", ["", "compute.create.start.done"])
def test_a_create_reaches_all_its_failpoints(tmp_path: Path, fail_at: str) -> None:
    points = Recorded(fail_at)

    async def body() -> None:
        bench = Bench(tmp_path)
        await Runner(points).run(bench.prepare(bench.job(Verb.CREATE)))

    make.run(body())
    assert set(points.reached) == (OF_CREATE if fail_at else OF_CREATE - UNDONE)
    assert (points.reached[0], points.reached[-1]) == ("leg.create.begin", "leg.create.done")


def test_an_operation_that_does_not_clean_up_has_no_undone_steps() -> None:
    assert "compute.delete.remove-start.begin" in NAMES  # a step of its own
    assert not any(name.startswith("compute.stop.remove-") for name in NAMES)
    assert "compute.create.look.begin" not in NAMES
