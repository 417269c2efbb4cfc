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


class Recorded(Failpoints):
    def __init__(self, fail_at: str) -> None:
        super().__init__()
        self.reached: list[str] = []
        self.fail_at = fail_at

    def hit(self, name: str) -> None:
        self.reached.append(name)
        if name == self.fail_at:
            raise RuntimeError("failpoint")


@pytest.mark.parametrize("fail_at", ["", "compute.create.start.begin"])
def test_a_create_reaches_only_known_failpoints(tmp_path: Path, fail_at: str) -> None:
    points = Recorded(fail_at)

    async def body() -> None:
        bench = Bench(tmp_path)
        await Runner(points).run(bench.prepare(bench.job(Verb.CREATE)))

    make.run(body())
    assert set(points.reached) <= NAMES
    assert any("remove-" in name for name in points.reached) == bool(fail_at)
    assert "compute.create.disks.done" in points.reached
