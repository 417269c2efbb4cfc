# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.crashes`: the whole matrix, with its progress; the results are kept below .build/crashes.

Exit status 0 when every registered failpoint was reached, and every crash left what it should.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from kilonova.wiring.failpoints import known_names
from lab.common import TOP
from tests.crashes import cloud
from tests.crashes.excused import is_excused
from tests.crashes.lane import Lane, Pair, Result
from tests.crashes.matrix import SCENARIOS, Findings, Matrix
from tests.crashes.real import PAIRS, RealLane, real_box
from tests.crashes.table import by_kind, by_point, never_fired
from tests.crashes.verbs import OF_A_FLEET
from tests.crashes.victim import Programs

RAW = TOP / ".build/crashes"
ROLES = {"box": ("api", "conductor", "compute"), "compute": ("compute",), "conductor": ("conductor",), "api": ("api",)}
"""The parts of each kind of process."""
LANES = {"box": 3, "fleet": 6, "real": 2}
"""How many clouds of a kind work at the same time: those of a fleet wait for messages most of the time."""


class Progress:
    """Prints how far the matrix is, and each wrong result at once; keeps all results."""

    def __init__(self, directory: Path) -> None:
        self.total, self.done, self.wrong, self.begun, self._said = 0, 0, 0, time.monotonic(), 0.0
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self._raw = directory, (directory / "results.jsonl").open("w")

    def tell(self, result: Result) -> None:
        """One crash is over."""
        self.done += 1
        self._raw.write(json.dumps(asdict(result)) + "\n")
        self._raw.flush()
        if result.is_wrong:
            self.wrong += 1
            self.say(f"{result.outcome}: {result.role}, {result.scenario}, {result.point}: {result.why}")
        elif time.monotonic() - self._said > 10:
            self._said = time.monotonic()
            self.say(f"{self.done} of {self.total} crashes, {self.wrong} wrong")

    def say(self, text: str) -> None:
        """One line."""
        print(f"[{time.monotonic() - self.begun:6.0f} s] {text}", flush=True)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Kill processes at each failpoint, and compare afterwards.")
    parser.add_argument("--clouds", default="box,fleet,real", help="kinds of clouds, with commas")
    parser.add_argument("--only", default="", help="only pairs with this text in their role, scenario or failpoint")
    parser.add_argument("--every", type=int, default=1, help="only each n-th pair")
    parser.add_argument("--lanes", type=int, default=0, help="how many clouds of a kind at the same time")
    parser.add_argument("--scenarios", default="", help="only these, with commas")
    parser.add_argument("--results", type=Path, default=RAW, help="the directory of the results")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # all processes end with this one
    names = [name for name in SCENARIOS if not arguments.scenarios or name in arguments.scenarios.split(",")]
    progress, found = Progress(arguments.results), dict[str, Findings]()
    with ExitStack() as stack:
        for kind in arguments.clouds.split(","):
            lanes = arguments.lanes or LANES[kind]
            with Matrix(_maker(kind, stack), lanes, progress.tell, RealLane if kind == "real" else Lane) as matrix:
                pairs = _recorded(kind, matrix, names)
                progress.say(f"{kind}: {len(pairs)} pairs of a failpoint and a request")
                chosen = _chosen(pairs, arguments.only, arguments.every)
                progress.total += len(chosen)
                matrix.crash(chosen)
                found[kind] = matrix.findings
    unreached = [] if arguments.scenarios else _unreached(found)
    if not (arguments.scenarios or arguments.only or arguments.every > 1):
        unreached += _only_without_a_crash(found)
    return _report(found, progress, unreached)


def _recorded(kind: str, matrix: Matrix, names: Sequence[str]) -> Sequence[Pair]:
    """The pairs of one kind of cloud."""
    if kind == "box":
        return matrix.record([name for name in names if name not in OF_A_FLEET])
    if kind == "fleet":
        return matrix.record(names)
    sample = [pair for pair in PAIRS if pair.scenario in names]
    matrix.record(sorted({pair.scenario for pair in sample}), idle_s=0)
    return [pair for pair in sample if pair.scenario in matrix.findings.usual]


def _chosen(pairs: Sequence[Pair], only: str, every: int) -> list[Pair]:
    return [one for one in pairs if only in f"{one.role} {one.scenario} {one.point}"][::every]


def _maker(kind: str, stack: ExitStack) -> Callable[[], cloud.Cloud]:
    def programs(name: str) -> Programs:
        made = Programs(name)
        stack.callback(made.close)
        return made

    if kind == "box":
        one = programs("one_box")
        return lambda: cloud.box(one)
    if kind == "real":
        of_libvirt = programs("one_box")
        return lambda: real_box(of_libvirt)
    several = {name: programs(name) for name in ("api", "conductor", "compute")}
    postgres = stack.enter_context(cloud.databases())
    return lambda: cloud.fleet(several, postgres)


def _results(found: Mapping[str, Findings]) -> list[Result]:
    return [one for findings in found.values() for one in findings.results]


def _report(found: Mapping[str, Findings], progress: Progress, unreached: Sequence[str]) -> int:
    results = _results(found)
    (progress.directory / "table.txt").write_text(by_point(results) + "\n")
    print(by_kind(results))
    wrong = progress.wrong
    for kind, findings in found.items():
        for name, why in findings.broken.items():
            progress.say(f"{kind}: {name} does not work without a crash: {why}")
        wrong += len(findings.broken)
    for point in unreached:
        progress.say(f"no run has reached {point}")
    print(f"{len(results)} crashes in {time.monotonic() - progress.begun:.0f} s; {wrong} wrong.")
    print(f"{progress.directory} has each failpoint (table.txt) and each crash (results.jsonl).")
    return 1 if wrong or unreached else 0


def _unreached(found: Mapping[str, Findings]) -> list[str]:
    """The registered failpoints of each kind of process that no run has reached, except those with a reason."""
    every: list[str] = []
    for kind in found.keys() - {"real"}:  # (that is a sample)
        for role, points in found[kind].reached.items():
            every += [f"{role}: {one}" for one in known_names(*ROLES[role]) - points if not is_excused(role, one)]
    return sorted(every)


def _only_without_a_crash(found: Mapping[str, Findings]) -> list[str]:
    return [f"{role}: {point} (only without a crash)" for role, point in sorted(never_fired(_results(found)))]


if __name__ == "__main__":
    sys.exit(main())
