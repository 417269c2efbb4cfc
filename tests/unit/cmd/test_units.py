# SPDX-License-Identifier: Apache-2.0
"""The systemd units say what the service needs of them."""

from configparser import RawConfigParser
from pathlib import Path

import pytest

from kilonova.cmd.service import STOP_S

UNITS = sorted((Path(__file__).parents[3] / "src/kilonova/cmd/systemd").glob("*.service"))


def test_there_is_one_for_each_way_to_run() -> None:
    assert {unit.stem for unit in UNITS} == {"kilonova", "kilonova-compute", "kilonova-conductor"}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit(unit: Path) -> None:
    parser = RawConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(unit)
    service = parser["Service"]
    assert service["Type"] == "notify"
    assert float(service["WatchdogSec"]) >= 30
    assert float(service["TimeoutStopSec"]) > STOP_S  # it ends by itself before systemd ends it
    assert service["KillMode"] == "process"
    assert service["ExecStart"].split()[0] == f"/usr/bin/{unit.stem}"
    if unit.stem != "kilonova-conductor":  # else a shutdown of the machine looks like the guests' own wish
        assert "libvirt-guests.service" in parser["Unit"]["After"]
