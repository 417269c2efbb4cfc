# SPDX-License-Identifier: Apache-2.0
"""A sample of `make crashes`: after a crash everything is as without it, or nothing has changed."""

from collections.abc import Sequence
from contextlib import closing

import pytest

from tests.crashes.cloud import BOX, box
from tests.crashes.lane import DONE, REFUSED, Result
from tests.crashes.matrix import Matrix
from tests.crashes.real import LIBVIRTD, PAIRS, QEMU, RealLane, real_box
from tests.crashes.table import by_kind
from tests.crashes.victim import Programs

pytestmark = pytest.mark.live

EACH = 16
"""Each so many pairs one is taken."""
REAL = {
    (BOX, "create", "compute.create.start.done"),
    (BOX, "createImage", "compute.createImage.upload.done"),
    (LIBVIRTD, "create", "compute.create.start.begin"),
    (QEMU, "createImage", "compute.createImage.copy.begin"),
}


def quiet(_result: Result) -> None:
    """The results are read at the end."""


def wrong(results: Sequence[Result]) -> list[Result]:
    return [one for one in results if one.is_wrong]


def test_a_box_dies_at_any_failpoint() -> None:
    with closing(Programs("one_box")) as programs, Matrix(lambda: box(programs), 1, quiet) as matrix:
        pairs = matrix.record(("create", "create fails", "resize", "delete"), idle_s=0)
        assert matrix.findings.broken == {}
        matrix.crash(pairs[::EACH])
    results = matrix.findings.results
    assert wrong(results) == []
    assert {one.outcome for one in results} == {DONE, REFUSED}, by_kind(results)


def test_a_box_with_real_guests_its_libvirtd_or_a_guest_dies() -> None:
    sample = [pair for pair in PAIRS if (pair.role, pair.scenario, pair.point) in REAL]
    with closing(Programs("one_box")) as programs, Matrix(lambda: real_box(programs), 1, quiet, RealLane) as matrix:
        matrix.record(sorted({pair.scenario for pair in sample}), idle_s=0)
        assert matrix.findings.broken == {}
        matrix.crash(sample)
    assert wrong(matrix.findings.results) == []
    assert len(matrix.findings.results) == len(REAL)
