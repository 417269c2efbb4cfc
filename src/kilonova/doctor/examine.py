# SPDX-License-Identifier: Apache-2.0
"""Running checks: beside each other, each in a thread of its own and with a time limit of its own.

A check that hangs is left behind in its daemon thread and becomes a finding; so does one that raises.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from kilonova.base.threads import DaemonWorkers
from kilonova.doctor.finding import Finding, error, note
from kilonova.doctor.subject import Subject
from kilonova.virt.libvirt.survey import Survey

Plain = Callable[[Subject], Finding]
OnSurvey = Callable[[Subject, Survey], Finding]


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the doctor's table.  `limit_s` is what the check may take; `title` says what it looks at."""

    name: str
    title: str
    fn: Plain
    limit_s: float = 3.0


@dataclass(frozen=True, slots=True)
class SurveyCheck:
    """One row that judges what libvirt says of itself; it cannot hang.  `without` is for a libvirt that says nothing:
    what can be judged by the host's own word."""

    name: str
    title: str
    fn: OnSurvey
    without: Plain | None = None


Taker = Callable[[str], Survey | str]
"""What opens a connection to a URI and reads it; a sentence when it cannot."""

SURVEY_LIMIT_S = 8.0
"""A daemon that has just started asks every QEMU first: five seconds were seen."""


async def run_checks(
    subject: Subject, checks: Sequence[Check], on_survey: Sequence[SurveyCheck], take: Taker
) -> list[Finding]:
    """Every check's finding, in the order of `checks`, then of `on_survey`.  Raises nothing of a check's."""
    # One thread for each: what hangs takes no place from another.
    workers = DaemonWorkers("doctor", len(checks) + 1)
    tasks: list[asyncio.Task[Finding]] = []
    async with asyncio.TaskGroup() as group:
        survey = group.create_task(_survey(workers, subject, take))
        tasks.extend(group.create_task(_one(workers, subject, check)) for check in checks)
    found = [task.result() for task in tasks]
    workers.close()
    return found + judge_survey(subject, on_survey, survey.result())


async def _one(workers: DaemonWorkers, subject: Subject, check: Check) -> Finding:
    future = workers.submit(check.fn, subject)
    await asyncio.wait({future}, timeout=check.limit_s)
    if not future.done():
        return _hung(check.name, check.limit_s)
    failure = future.exception()
    return future.result() if failure is None else broke(check.name, failure)


async def _survey(workers: DaemonWorkers, subject: Subject, take: Taker) -> Survey | str:
    if not subject.uses_libvirt:
        return ""
    future = workers.submit(take, subject.uri)
    await asyncio.wait({future}, timeout=SURVEY_LIMIT_S)
    if not future.done():
        return f"libvirt at {subject.uri} did not answer within {SURVEY_LIMIT_S:g} s"
    failure = future.exception()
    return future.result() if failure is None else f"{type(failure).__name__}: {failure}"


def judge_survey(subject: Subject, checks: Sequence[SurveyCheck], survey: Survey | str) -> list[Finding]:
    """What the checks find in a survey; without one, a single error, what can be judged all the same, and notes of what
    was not looked at."""
    if survey == "":
        return [note(check.name, "Not looked at: guests do not run in libvirt here.") for check in checks]
    if isinstance(survey, str):
        first, *rest = checks
        cure = "See libvirt-socket; a daemon that hangs: systemctl restart libvirtd (guests run on)."
        if "authentication" in survey.lower():
            cure = "Set [libvirt] auth_file to a file with the name and the password that the daemon knows."
        found = [error(first.name, f"The connection cannot be had: {survey.rstrip('.')}.", cure, uri=subject.uri)]
        return found + [_judge(check, partial(_without, subject, check)) for check in rest]
    return [_judge(check, partial(check.fn, subject, survey)) for check in checks]


def _without(subject: Subject, check: SurveyCheck) -> Finding:
    if check.without is None:
        return note(check.name, "Not looked at: libvirt does not answer.")
    return check.without(subject)


def _judge(check: SurveyCheck, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except Exception as exc:
        return broke(check.name, exc)


def _hung(name: str, limit_s: float) -> Finding:
    cure = "Something below it hangs: look at dmesg and at processes in state D."
    return error(name, f"The check was not done within {limit_s:g} s.", cure, limit_s=limit_s)


def broke(name: str, failure: BaseException) -> Finding:
    """The finding of a check that raised."""
    kind = type(failure).__name__
    if isinstance(failure, PermissionError):
        return error(name, f"What is to be looked at may not be read: {failure}.", "Run it as root.", exception=kind)
    return error(name, f"The check itself failed: {kind}: {failure}.", "Please report this.", exception=kind)
