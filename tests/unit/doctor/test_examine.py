# SPDX-License-Identifier: Apache-2.0
"""Checks that hang or raise are findings; the report; the command's exit status."""

import asyncio
import io
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kilonova.doctor import examine, report, table
from kilonova.doctor.examine import Check, SurveyCheck, run_checks
from kilonova.doctor.finding import Finding, Level, error, note, ok, warning
from kilonova.doctor.subject import Subject
from kilonova.virt.libvirt.host.survey import Survey
from lab.common import TOP
from tests.unit.doctor.arranged import subject

NEVER = threading.Event()
NOTHING = ok("hangs", "Nothing.")


def good(_subject: Subject) -> Finding:
    return ok("good", "All is well.")


def hangs(_subject: Subject) -> Finding:
    NEVER.wait()
    return ok("hangs", "Never said.")


def raises(_subject: Subject) -> Finding:
    raise ZeroDivisionError("of our own")


def forbidden(_subject: Subject) -> Finding:
    raise PermissionError(13, "Permission denied", "/secret")


def refused(_uri: str) -> Survey | str:
    raise RuntimeError("the binding broke")


def test_a_check_that_hangs_or_raises_is_a_finding(tmp_path: Path) -> None:
    checks = [
        Check("hangs", "", hangs, 0.05),
        Check("raises", "", raises),
        Check("forbidden", "", forbidden),
        Check("good", "", good),
    ]
    found = asyncio.run(run_checks(subject(tmp_path), checks, table.ON_SURVEY[:1], refused))
    assert [finding.check for finding in found] == ["hangs", "raises", "forbidden", "good", "libvirt"]
    assert "not done within 0.05 s" in found[0].found
    assert "ZeroDivisionError" in found[1].found
    assert found[2].cure == "Run it as root."
    assert found[3].level is Level.OK
    assert "the binding broke" in found[4].found


def test_a_libvirt_that_hangs_is_not_waited_for_beyond_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "SURVEY_LIMIT_S", 0.05)
    monkeypatch.setattr(examine, "JUDGE_LIMIT_S", 0.05)

    def never(_uri: str) -> Survey | str:
        NEVER.wait()
        return ""

    rows = [table.ON_SURVEY[0], SurveyCheck("hangs", "", lambda _subject, _survey: NOTHING, hangs)]
    found = asyncio.run(run_checks(subject(tmp_path), [], rows, never))
    assert "did not answer within 0.05 s" in found[0].found
    assert "not done within 0.05 s" in found[1].found


def test_the_limits_of_all_checks_leave_room_in_ten_seconds() -> None:
    on_survey = examine.SURVEY_LIMIT_S + examine.JUDGE_LIMIT_S
    assert max(on_survey, *(check.limit_s for check in table.CHECKS)) <= 8.0  # the rest is for the program's own start


def test_names_are_stable_distinct_and_documented() -> None:
    names = [check.name for check in (*table.CHECKS, *table.ON_SURVEY)]
    assert len(set(names)) == len(names)
    documented = (TOP / "docs" / "doctor.md").read_text()
    assert [name for name in names if f"| `{name}` |" not in documented] == []


def test_what_to_do_first_is_what_others_follow_from() -> None:
    late, root = error("api-port", "Taken.", "Stop it."), error("libvirt-socket", "Dead.", "Start it.")
    assert report.first_thing([warning("clock", "Off.", "NTP."), late, root]) == "First: libvirt-socket: Start it."
    follows = error("service", "Waits.", "Wait.")
    assert report.first_thing([follows, late]) == "First: api-port: Stop it."
    assert report.first_thing([follows]) == "First: service: Wait."
    assert report.first_thing([warning("clock", "Off.", "NTP.")]) == "First: clock: NTP."
    assert "Nothing to do" in report.first_thing([ok("x", "Well."), note("y", "Well.")])


@pytest.mark.parametrize(
    ("finding", "status"),
    [(ok("x", "A."), 0), (note("x", "A."), 0), (warning("x", "A.", "B."), 0), (error("x", "A.", "B."), 1)],
)
def test_exit_status(finding: Finding, status: int) -> None:
    assert report.exit_status([finding]) == status


def test_a_table_without_a_terminal_has_no_colours() -> None:
    out = io.StringIO()
    report.show([ok("fine", "All is well."), error("bad", "It [broke].", "Mend it.")], out)
    assert "\x1b" not in out.getvalue()
    assert "It [broke]." in out.getvalue()
    assert "-> Mend it." in out.getvalue()
    assert out.getvalue().rstrip().endswith("First: bad: Mend it.")


def doctor(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "kilonova", "doctor", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_as_json(tmp_path: Path) -> None:
    done = doctor("--json", "--state-path", str(tmp_path), "--connection-uri", "test:///default")
    findings = json.loads(done.stdout)
    assert {finding["check"] for finding in findings} == {check.name for check in (*table.CHECKS, *table.ON_SURVEY)}
    assert all(set(finding) == {"check", "level", "found", "cure", "facts"} for finding in findings)
    assert all(finding["cure"] for finding in findings if finding["level"] in ("warning", "error"))
    assert done.returncode == int(any(finding["level"] == "error" for finding in findings))
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []  # it changes nothing


def test_a_configuration_that_cannot_be_used_is_a_finding(tmp_path: Path) -> None:
    config = tmp_path / "kilonova.conf"
    config.write_text("[api]\nport = seven\n")
    done = doctor("--config-file", str(config), "--state-path", str(tmp_path), "--connection-uri", "test:///default")
    assert done.returncode == 1
    assert "seven" in done.stdout
    assert "First: configuration:" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    config.write_text("[DEFAULT]\nallow_resize_to_same_host = true\n")
    said = doctor("--json", "--config-file", str(config), "--state-path", str(tmp_path))
    assert (
        "allow_resize_to_same_host"
        in next(f for f in json.loads(said.stdout) if f["check"] == "configuration")["found"]
    )


def test_a_kernel_needs_its_initrd(tmp_path: Path) -> None:
    assert doctor("--kernel", str(tmp_path)).returncode == 2


def test_one_of_a_kind_is_counted_as_one() -> None:
    found = [error("a", "found", "cure"), note("b", "found"), note("c", "found")]
    assert report.summary(found) == "3 checks: 1 error, 0 warnings, 2 notes, 0 ok"
