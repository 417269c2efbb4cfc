# SPDX-License-Identifier: Apache-2.0
"""How many planted defects the simulation finds, and after how many seeds (`make mutants ARGS=--simulation`).

Each defect is planted in a copy of src, and the simulation runs one seed after another on it until a seed fails.  The
control comes first: a seed that fails on the unchanged source is left out, because it would catch every defect.
"""

import argparse
import asyncio
import compileall
import json
import math
import os
import re
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from lab.common import TOP, LabError, environment
from lab.mutant import AnchorLost, Defect, changed
from lab.mutants_of_simulation import DEFECTS

RUNNER = ("-m", "tests.simulation.explore")
BROKEN_SEED = re.compile(r"Seed (\d+) is broken: ")
CONTROL_LIMITS = 3
"""The control runs all of its seeds: its time limit is so many times that of a defect."""
MOST_BROKEN = 0.1
"""The part of the seeds that may fail on the unchanged source."""


class Ending(StrEnum):
    """How the seeds on a defect ended."""

    CAUGHT = "caught"
    SURVIVED = "survived"
    UNKNOWN = "time over"
    """No seed had failed when the time limit came."""
    BROKEN = "broken"
    """The simulation itself did not run: that shows nothing."""


@dataclass(frozen=True, slots=True)
class Options:
    """`limit_s` is for all seeds on one defect.  `only`: the names of defects contain it."""

    seeds: int
    limit_s: float
    jobs: int
    only: str
    json: Path | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`seeds` is the number of seeds to the catch, the failing one included; for a defect that survived, the number of
    seeds that ran; 0 where it is not known."""

    defect: str
    ending: Ending
    seeds: int
    took_s: float
    said: str


class Copy:
    """A copy of src, which is compiled: only the changed files of a defect are compiled again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def plant(self, defect: Defect) -> None:
        """Raises AnchorLost."""
        for file, text in changed(defect.edits, self._source).items():
            (self._source / file).write_text(text)

    def mend(self, defect: Defect) -> None:
        """The files of the defect are again as in src, with the times for which they were compiled."""
        for edit in defect.edits:
            shutil.copy2(TOP / "src/kilonova" / edit.file, self._source / edit.file)

    @property
    def _source(self) -> Path:
        return self.path / "kilonova"


def copies_of_source(scratch: Path, count: int) -> list[Copy]:
    """So many copies below this directory."""
    first = scratch / "0"
    shutil.copytree(TOP / "src", first)
    compileall.compile_dir(first, quiet=2)
    others = [Path(shutil.copytree(first, scratch / str(number))) for number in range(1, count)]
    return [Copy(path) for path in (first, *others)]


def command(seeds: int, without: Sequence[int] = (), first: int = 1) -> list[str]:
    """The simulation of the seeds up to this one, which ends with status 1 at the first seed that fails, and names
    it."""
    left_out = ",".join(map(str, without))
    numbers = ("--first", str(first), "--seeds", str(seeds - first + 1), "--without", left_out)
    return [sys.executable, *RUNNER, *numbers, "--processes", "1", "--stop"]


async def simulate(argv: Sequence[str], source: Path, seeds: int, limit_s: float) -> Verdict:
    """Run the simulation of these seeds on this source.  The verdict has no defect's name."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=TOP, env=environment({"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(limit_s):
            output, _ = await process.communicate()
    except TimeoutError:
        return Verdict("", Ending.UNKNOWN, 0, time.monotonic() - began, f"no seed failed within {limit_s:.0f} s")
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return _judge(process.returncode or 0, output.decode(errors="replace"), seeds, time.monotonic() - began)


def _judge(status: int, output: str, seeds: int, took_s: float) -> Verdict:
    lines = output.strip().splitlines() or ["it said nothing"]
    if status == 0:
        return Verdict("", Ending.SURVIVED, seeds, took_s, lines[-1])
    told = next(((line, found) for line in lines if (found := BROKEN_SEED.match(line))), None)
    if status != 1 or told is None:
        return Verdict("", Ending.BROKEN, 0, took_s, lines[-1])
    return Verdict("", Ending.CAUGHT, int(told[1][1]), took_s, told[0][told[1].end() :])


async def measure(defects: Sequence[Defect], options: Options) -> list[Verdict]:
    """A verdict for each defect, shown as it comes.  Raises LabError when the control fails."""
    waiting, verdicts, without = iter(defects), list[Verdict](), list[int]()

    async def work(copy: Copy) -> None:
        for defect in waiting:
            verdict = await _try(copy, defect, options, without)
            verdicts.append(verdict)
            print(_row(verdict), flush=True)

    with tempfile.TemporaryDirectory(prefix="ks-") as scratch:
        copies = copies_of_source(Path(scratch), options.jobs)
        without.extend(await broken_seeds(copies[0].path, options))
        async with asyncio.TaskGroup() as group:
            for copy in copies:
                group.create_task(work(copy))
    return verdicts


async def broken_seeds(source: Path, options: Options) -> list[int]:
    """The seeds that fail on the unchanged source.  Raises LabError when there are too many, or none runs."""
    found: list[int] = []
    while True:
        argv = command(options.seeds, first=1 + max(found, default=0))
        control = await simulate(argv, source, options.seeds, options.limit_s * CONTROL_LIMITS)
        print(_row(replace(control, defect="(control: no defect)")), flush=True)
        if control.ending is Ending.SURVIVED:
            return found
        if control.ending is not Ending.CAUGHT or len(found) + 1 > options.seeds * MOST_BROKEN:
            raise LabError(f"The simulation does not pass on the unchanged source: {control.said}")
        found.append(control.seeds)
        if control.seeds == options.seeds:
            return found


async def _try(copy: Copy, defect: Defect, options: Options, without: Sequence[int]) -> Verdict:
    try:
        copy.plant(defect)
    except AnchorLost as exc:
        return Verdict(defect.name, Ending.BROKEN, 0, 0.0, str(exc))
    try:
        verdict = await simulate(command(options.seeds, without), copy.path, options.seeds, options.limit_s)
    finally:
        copy.mend(defect)
    return replace(verdict, defect=defect.name)


def _row(verdict: Verdict) -> str:
    seeds = str(verdict.seeds or "-")
    return f"{verdict.ending:9} {seeds:>6} {verdict.took_s:6.0f} s  {verdict.defect:70} {verdict.said[:120]}"


def summary(verdicts: Sequence[Verdict], seeds: int) -> Iterator[str]:
    """The share that was caught, the median of the seeds to the catch, and those that were not caught."""
    caught = [one for one in verdicts if one.ending is Ending.CAUGHT]
    yield f"{len(caught)} of {len(verdicts)} defects were caught ({100 * len(caught) / max(1, len(verdicts)):.0f} %)."
    if caught:
        needed = [one.seeds if one.ending is Ending.CAUGHT else math.inf for one in verdicts]
        median = statistics.median_high(needed)
        yield f"Seeds to the catch: median {median if median <= seeds else f'more than {seeds}'} of all defects."
    for one in verdicts:
        if one.ending is not Ending.CAUGHT:
            yield f"{one.ending}: {one.defect}"


def _options(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog="make mutants ARGS=--simulation", description="Plant defects; the simulation must find them."
    )
    parser.add_argument("--seeds", type=int, default=100, metavar="N", help="run seeds 1 to N on each defect (100)")
    parser.add_argument("--limit", type=float, default=300, metavar="SECONDS", help="for all seeds of a defect (300)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="defects at the same time")
    parser.add_argument("--only", default="", metavar="WORD", help="defects whose name contains it")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the verdicts to this file, too")
    given = parser.parse_args(arguments)
    return Options(given.seeds, given.limit, given.jobs, given.only, given.json)


def main(arguments: Sequence[str]) -> int:
    """Exit status 1 when a defect was not caught, 2 when the control failed."""
    options = _options(arguments)
    defects = [one for one in DEFECTS if options.only in one.name]
    try:
        verdicts = asyncio.run(measure(defects, options))
    except LabError as exc:
        print(exc.sentence)
        return 2
    for line in summary(verdicts, options.seeds):
        print(line)
    if options.json is not None:
        harms = {one.name: one.harm for one in defects}
        found = [{**asdict(one), "harm": harms[one.defect]} for one in verdicts]
        options.json.write_text(json.dumps({"seeds": options.seeds, "verdicts": found}, indent=2) + "\n")
    return 0 if all(one.ending is Ending.CAUGHT for one in verdicts) else 1
