# SPDX-License-Identifier: Apache-2.0
"""A sample of `make faults`: its rows can be measured.  Bounds of time are for that command: here only what is no
matter of time must hold."""

import pytest

from faults.__main__ import ROWS, bench_of
from faults.table import Row, markdown, text
from lab.common import LabError
from lab.counting import cannot_run

pytestmark = pytest.mark.live

SAMPLED = ("libvirtd-frozen", "qemu-frozen")


@pytest.mark.parametrize("name", SAMPLED)
def test_a_row_is_measured_and_nothing_is_lost(name: str) -> None:
    try:
        with bench_of(quick=True) as bench:
            row = ROWS[name](bench)
    except LabError as error:
        cannot_run(error.sentence)
    assert row.checks, text([row])
    assert row.series
    # A count that must be none, or what must be so: true on any machine, however loaded.
    broken = [check for check in row.checks if not check.met and check.wanted in ("0", "yes")]
    assert not broken, text([row])


def test_a_row_that_is_missing_is_said_and_is_not_met() -> None:
    row = Row("a fault", "how", missing="nobody knows")
    assert not row.met
    assert "MISSING: nobody knows" in text([row])
    assert "| no |" in markdown([row])
