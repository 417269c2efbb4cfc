# SPDX-License-Identifier: Apache-2.0
"""The systemd units say what the service needs of them."""

import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from kilonova.cmd.common import HOST_LOST
from kilonova.cmd.service import STOP_S
from lab.counting import cannot_run

UNITS = sorted((Path(__file__).parents[3] / "src/kilonova/cmd/systemd").glob("*.service"))


def test_there_is_one_for_each_way_to_run() -> None:
    assert {unit.stem for unit in UNITS} == {"kilonova", "kilonova-api", "kilonova-compute", "kilonova-conductor"}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit(unit: Path) -> None:
    parser = RawConfigParser(interpolation=None, strict=False)  # (systemd takes some options twice)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(unit)
    service = parser["Service"]
    assert service["Type"] == "notify"
    assert float(service["WatchdogSec"]) >= 30
    assert float(service["TimeoutStopSec"]) > STOP_S  # it ends by itself before systemd ends it
    assert service["KillMode"] == "process"
    assert service["ExecStart"].split()[0] == f"/usr/bin/{unit.stem}"
    never_again = service.get("RestartPreventExitStatus")
    has_guests = unit.stem in ("kilonova", "kilonova-compute")
    assert never_again == (str(HOST_LOST) if has_guests else None)
    if has_guests:  # else a shutdown of the machine looks like the guests' own wish
        assert "libvirt-guests.service" in parser["Unit"]["After"]


def verify(unit: Path) -> subprocess.CompletedProcess[str]:
    """What systemd itself says of a unit file, and of no other."""
    program = shutil.which("systemd-analyze")
    if program is None:
        cannot_run("systemd-analyze is not installed (package systemd)")
    words = [program, "verify", "--man=no", "--recursive-errors=no", unit]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_finds_nothing_to_say_of_a_unit(unit: Path, tmp_path: Path) -> None:
    """The program itself need not be installed where tests run: any one stands for it."""
    text = unit.read_text().replace(f"/usr/bin/{unit.stem} ", "/bin/true ")
    same, wrong = tmp_path / unit.name, tmp_path / f"wrong-{unit.name}"
    same.write_text(text)
    found = verify(same)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")
    wrong.write_text(text.replace("WatchdogSec=", "WatchdgSec="))
    assert "WatchdgSec" in verify(wrong).stderr


def exposure(unit: Path, tmp_path: Path, text: str) -> subprocess.CompletedProcess[str]:
    """systemd's own score of the unit, of 10; more than 3 is a failure."""
    program = shutil.which("systemd-analyze")
    if program is None:
        cannot_run("systemd-analyze is not installed (package systemd)")
    file = tmp_path / unit.name
    file.write_text(text)
    words = [program, "security", "--no-pager", "--offline=true", "--threshold=30", file]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_what_takes_a_service_over_has_little(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text()
    found = exposure(unit, tmp_path, text)
    assert found.returncode == 0, found.stdout
    assert exposure(unit, tmp_path, text.replace("SystemCallFilter", "# ").replace("User=", "# ")).returncode != 0
