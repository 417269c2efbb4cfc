# SPDX-License-Identifier: Apache-2.0
"""Runs the checks in parallel, each in its own thread and with its own time limit.

A check that hangs stays in its daemon thread and becomes a finding.  A check that raises becomes a finding too.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from kilonova.base.errors import DatabaseUnreadable
from kilonova.base.threads import DaemonWorkers
from kilonova.doctor.finding import Finding, error, note
from kilonova.doctor.subject import Subject
from kilonova.virt.libvirt.host.survey import Survey

Plain = Callable[[Subject], Finding]
Several = Callable[[Subject], Finding | Sequence[Finding]]
"""A check of a server may have one finding for each problem, all under the same name."""
OnSurvey = Callable[[Subject, Survey], Finding]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the doctor's table.  `limit_s` is its time limit; `title` describes it.  `hung`: what to do when it
    has no result within its limit."""

    name: str
    title: str
    fn: Several
    limit_s: float = 3.0
    hung: str = "The kernel or a disk hangs: look at dmesg and at processes in state D."


@dataclass(frozen=True, slots=True)
class SurveyCheck:
    """A check of the data that libvirt reports, with the limit JUDGE_LIMIT_S.  `without` runs when libvirt does not
    answer: it checks what the host itself shows."""

    name: str
    title: str
    fn: OnSurvey
    without: Plain | None = None


Taker = Callable[[str], Survey | str]
"""Opens a connection to a URI and reads its data; returns a sentence when it cannot."""

SURVEY_LIMIT_S = 6.0
"""A daemon that has just started queries every QEMU first: five seconds were observed."""
JUDGE_LIMIT_S = 1.5
"""The limit for data besides the survey: records and file headers."""


async def run_checks(
    subject: Subject, checks: Sequence[Check], on_survey: Sequence[SurveyCheck], take: Taker
) -> list[Finding]:
    """The findings of all checks, in the order of `checks`, then of `on_survey`.  An exception of a check does not
    escape."""
    # One thread each: a check that hangs does not block another.
    workers = DaemonWorkers("doctor", len(checks) + len(on_survey) + 1)
    tasks: list[asyncio.Task[Sequence[Finding]]] = []
    async with asyncio.TaskGroup() as group:
        survey = group.create_task(_survey(workers, subject, take))
        tasks.extend(group.create_task(_one(workers, subject, check)) for check in checks)
    found = [finding for task in tasks for finding in task.result()]
    judged: list[asyncio.Task[Sequence[Finding]]] = []
    async with asyncio.TaskGroup() as group:
        for check, look in zip(on_survey, judges(subject, on_survey, survey.result()), strict=True):
            limited = Check(check.name, check.title, lambda _, look=look: look(), JUDGE_LIMIT_S)
            judged.append(group.create_task(_one(workers, subject, limited)))
    workers.close()
    return found + [finding for task in judged for finding in task.result()]


async def _one(workers: DaemonWorkers, subject: Subject, check: Check) -> Sequence[Finding]:
    future = workers.submit(check.fn, subject)
    await asyncio.wait({future}, timeout=check.limit_s)
    if not future.done():
        return (error(check.name, f"The check was not done within {check.limit_s:g} s.", check.hung),)
    if (failure := future.exception()) is not None:
        return (broke(check.name, failure),)
    found = future.result()
    return (found,) if isinstance(found, Finding) else found


async def _survey(workers: DaemonWorkers, subject: Subject, take: Taker) -> Survey | str:
    if not subject.uses_libvirt:
        return ""
    future = workers.submit(take, subject.uri)
    await asyncio.wait({future}, timeout=SURVEY_LIMIT_S)
    if not future.done():
        return f"libvirt at {subject.uri} did not answer within {SURVEY_LIMIT_S:g} s"
    failure = future.exception()
    return future.result() if failure is None else f"{type(failure).__name__}: {failure}"


def judges(subject: Subject, checks: Sequence[SurveyCheck], survey: Survey | str) -> list[Callable[[], Finding]]:
    """The judgement of each check on a survey.  Without a survey: one error, the checks that need no survey, and notes
    for the checks that did not run."""
    if survey == "":
        return [partial(note, check.name, "Not checked: guests do not run in libvirt here.") for check in checks]
    if isinstance(survey, str):
        first, *rest = checks
        cure = "See libvirt-socket. If the daemon hangs: systemctl restart libvirtd (guests keep running)."
        if "authentication" in survey.lower():
            cure = "Set [libvirt] auth_file to a file with the name and the password for the daemon."
        message = f"There is no connection to libvirt: {survey.rstrip('.')}."
        no_connection = partial(error, first.name, message, cure, uri=subject.uri)
        return [no_connection, *(partial(_without, subject, check) for check in rest)]
    return [partial(check.fn, subject, survey) for check in checks]


def judge_survey(subject: Subject, checks: Sequence[SurveyCheck], survey: Survey | str) -> list[Finding]:
    """The findings of the checks; see `judges`."""
    looks = judges(subject, checks, survey)
    return [_judge(check, look) for check, look in zip(checks, looks, strict=True)]


def _without(subject: Subject, check: SurveyCheck) -> Finding:
    if check.without is None:
        return note(check.name, "Not checked: libvirt does not answer.")
    return check.without(subject)


def _judge(check: SurveyCheck, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except Exception as exc:
        return broke(check.name, exc)


def broke(name: str, failure: BaseException) -> Finding:
    """The finding of a check that raised."""
    kind = type(failure).__name__
    if isinstance(failure, DatabaseUnreadable):
        return note(name, f"Not checked: the records cannot be read ({failure}).", "See database.")
    if isinstance(failure, PermissionError):
        return error(name, f"Permission denied: {failure}.", "Run it as root.", exception=kind)
    return error(name, f"The check itself failed: {kind}: {failure}.", "Please report this.", exception=kind)
