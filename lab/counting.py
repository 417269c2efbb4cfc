# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin: the last lines name each test that could not run here and each that failed, and count all tests.
Where the environment variable KILONOVA_FAILED names a file, it receives the tests that a second run can judge.

They come after everything that pytest prints, so that the end of a log says what failed, however long the output of the
failed tests is.

A live test calls `cannot_run(reason)` where what it needs is not there. That is not a pass: under CI (the
environment variable CI is set and not "false" or "0") it makes the session fail. So does a session without
any test run.
"""

import os
from pathlib import Path
from typing import NoReturn

import pytest

PREFIX = "could not run: "
FAILED = "KILONOVA_FAILED"
REASON_LENGTH = 300
"""The most characters of the reason of a failure in its line."""


def cannot_run(reason: str) -> NoReturn:
    """End the calling test or fixture: this machine lacks what it needs, and `reason` says what."""
    pytest.skip(PREFIX + reason)


def under_ci() -> bool:
    """Whether a test that could not run is a failure."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


class Counts:
    """How the tests of one session ended."""

    def __init__(self) -> None:
        self.run: int = 0
        self.skipped: int = 0
        self.reasons: list[str] = []
        self.failures: list[str] = []
        self.failed: dict[str, None] = {}
        """The names of failed tests, in order; also of files that are not collected."""

    def fail(self, report: pytest.TestReport | pytest.CollectReport, when: str | None) -> None:
        """Note a failure as one line."""
        place = "" if when == "call" else f" ({when})"
        self.failures.append(f"{report.nodeid}{place}: {_failure(report)}")
        self.failed[report.nodeid] = None

    def add(self, report: pytest.TestReport) -> None:
        """Count one report; a test has up to three of them and counts once."""
        if report.failed:
            self.fail(report, report.when)
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = _reason(report)
            if PREFIX in reason:
                self.reasons.append(f"{report.nodeid}: {reason.partition(PREFIX)[2]}")
            else:
                self.skipped += 1
        elif report.when == "call" or (report.when == "setup" and report.failed):
            self.run += 1


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    return str(report.longrepr or "")


def _failure(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The first line of what was raised; without it, the first line that pytest marks as an error, or the last line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text: str = str(crash.message) if crash is not None else report.longreprtext
    lines = [line for line in text.splitlines() if line.strip()] or ["no reason"]
    marked = [line[1:] for line in lines if line.startswith("E ")]
    first = lines[0] if crash is not None else [*marked, lines[-1]][0]
    return first.strip()[:REASON_LENGTH]


class Plugin:
    """What hooks into pytest."""

    def __init__(self) -> None:
        self.counts: Counts = Counts()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count."""
        self.counts.add(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that is not collected."""
        if report.failed:
            self.counts.fail(report, "collection")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Make a session fail that proves nothing."""
        if session.config.option.collectonly:
            return
        nothing = self.counts.run == 0
        unproven = bool(self.counts.reasons) and under_ci()
        if (nothing or unproven) and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if FAILED in os.environ and session.exitstatus == pytest.ExitCode.TESTS_FAILED and not unproven:
            _ = Path(os.environ[FAILED]).write_text("".join(f"{name}\n" for name in self.counts.failed))

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Write the last lines, below pytest's own summary."""
        if config.option.collectonly:
            return
        counts = self.counts
        for reason in counts.reasons:
            print(f"COULD NOT RUN {reason}")
        for failure in counts.failures:
            print(f"FAILED {failure}")
        line = f"run {counts.run}, skipped {counts.skipped}, could not run {len(counts.reasons)}"
        if counts.reasons and under_ci():
            line += " (a failure under CI)"
        print(line, flush=True)


def pytest_configure(config: pytest.Config) -> None:
    """Register; in the workers of pytest-xdist not, for theirs is told to the process that started them."""
    if not hasattr(config, "workerinput"):
        _ = config.pluginmanager.register(Plugin(), "kilonova-counting")
