# SPDX-License-Identifier: Apache-2.0
"""`make soak`: a box creates and deletes 100,000 servers, and what it uses does not grow (docs/reliability.md, "Soak").

A real process on the fake driver, through HTTP.  After each batch of servers everything is sampled; all samples are
kept in one JSON file.  A line through the samples of the second half says whether something grows.

Exit status 0 when nothing grows, 1 when something does, 2 when it could not be measured.
"""

import argparse
import json
import math
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, linear_regression

from bench import processes
from bench.box import Box
from bench.figures import CannotMeasure
from bench.load import all_active, run_load
from bench.run import Bench
from bench.web import Web
from lab.cloud import free_port
from lab.common import BUILD, TOP

RESULT = BUILD / "soak.json"
PAGE = TOP / "docs/reliability.md"
BEGIN, END = "<!-- soak: written by `make soak` -->", "<!-- soak: end -->"
PAIRS, BATCH = 100_000, 1_000
QUICK_PAIRS, QUICK_BATCH = 5_000, 250
CLIENTS = 20
BATCH_LIMIT_S = 600.0
KEPT = 1_000
"""How many deleted servers the box keeps: purging begins with the second batch."""
CONFIG = "[DEFAULT]\nstatus_listen = 127.0.0.1:{port}\n[database]\nmax_deleted_servers = {kept}\n"
FULL_AFTER_S = 450.0
"""The rows of a purged server stay for five minutes, and a round of purging begins each minute: before this time the
database must grow."""
STEPS = "▁▂▃▄▅▆▇█"
COUNTED = ("instances", "actions", "action_events", "placements", "addresses", "notifications")


@dataclass(frozen=True, slots=True)
class Measure:
    """`most` is the growth in the second half that does not count: a part of the mean, or, with `absolute`, an
    amount in the unit itself."""

    name: str
    unit: str
    most: float
    absolute: bool = False


MEMORY = (Measure("pss", "MiB", 0.02), Measure("rss", "MiB", 0.02))
COUNTS = tuple(Measure(name, "", 0.5, absolute=True) for name in ("descriptors", "threads", "tasks"))
DATABASE = (Measure("database", "MiB", 0.02), Measure("rows", "", 0.02))
MEASURES = (*MEMORY, *COUNTS, *DATABASE)

Sample = Mapping[str, float]
"""The value of each measure by its name, with `pairs`, how many servers were created and deleted before, and `at_s`."""


class Soak:
    """A box under load, with the samples so far."""

    def __init__(self, directory: Path, kept: int = KEPT) -> None:
        self._status = free_port()
        self.box = Box(directory, config=CONFIG.format(port=self._status, kept=kept))
        self.samples: list[Sample] = []
        self._begun = time.monotonic()
        self._image = ""

    def batch(self, count: int) -> None:
        """Create and delete so many servers, and take a sample.  Raises CannotMeasure, also when one failed."""
        if not self._image:
            self._image = self.box.small_image()
        done = run_load(
            self.box,
            self._image,
            "create,delete",
            limit_s=BATCH_LIMIT_S,
            count=count,
            concurrency=CLIENTS,
            timeout=BATCH_LIMIT_S / 2,
        )
        all_active(done["create"], count)
        self.sample(count)

    def sample(self, more: int = 0) -> Sample:
        """What the process uses after `more` further pairs."""
        before = self.samples[-1]["pairs"] if self.samples else 0
        taken = {"pairs": before + more, "at_s": time.monotonic() - self._begun, **self._usage()}
        self.samples.append(taken)
        return taken

    def _usage(self) -> dict[str, float]:
        pid = self.box.process.pid
        files = [self.box.state / name for name in ("kilonova.db", "kilonova.db-wal")]
        return {
            "pss": processes.pss_mib(pid),
            "rss": _status_of(pid, "VmRSS") / 1024,
            "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
            "threads": _status_of(pid, "Threads"),
            "tasks": self._metric("kilonova_tasks"),
            "database": sum(file.stat().st_size for file in files if file.exists()) / (1 << 20),
            "rows": sum(self.rows().values()),
        }

    def rows(self) -> dict[str, int]:
        """The rows of the tables that each server changes."""
        with closing(sqlite3.connect(f"file:{self.box.state / 'kilonova.db'}?mode=ro", uri=True, timeout=30)) as db:
            return {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in COUNTED}  # noqa: S608

    def _metric(self, name: str) -> float:
        answer = Web(self._status).expect(200, "GET", "/metrics")
        for line in answer.data.decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise CannotMeasure(f"The box has no metric {name}.")


def _status_of(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return float(line.split()[1])
    raise CannotMeasure(f"/proc/{pid}/status has no {field}.")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The line through the samples of the second half.  `growth` is what it gains from its first to its last sample,
    `error` the standard error of that; `allowed` does not count as growth."""

    measure: Measure
    first: float
    last: float
    growth: float
    error: float
    allowed: float

    @property
    def grows(self) -> bool:
        """Whether the growth is more than what is allowed, also at the lower end of its 95 % interval."""
        return self.growth - 2 * self.error > self.allowed


def verdict(samples: Sequence[Sample], measure: Measure) -> Verdict:
    """A least-squares line through the second half.  Raises CannotMeasure with fewer than six samples."""
    half = samples[len(samples) // 2 :]
    if len(half) < 3:
        raise CannotMeasure("There are too few samples for a line.")
    x, y = [one["pairs"] for one in half], [one[measure.name] for one in half]
    line = linear_regression(x, y)
    rest = sum((value - line.intercept - line.slope * at) ** 2 for at, value in zip(x, y, strict=True))
    middle, span = fmean(x), x[-1] - x[0]
    error = math.sqrt(rest / (len(half) - 2) / sum((at - middle) ** 2 for at in x))
    allowed = measure.most if measure.absolute else measure.most * fmean(y)
    return Verdict(measure, samples[0][measure.name], y[-1], line.slope * span, error * span, allowed)


def judged(samples: Sequence[Sample]) -> list[Verdict]:
    """The verdicts.  The database is judged only when its second half began after the first purged rows went."""
    full = samples[len(samples) // 2]["at_s"] > FULL_AFTER_S
    return [verdict(samples, measure) for measure in MEASURES if full or measure not in DATABASE]


def curve(values: Sequence[float], width: int = 30) -> str:
    """The values as a small curve of `width` characters, from the lowest to the highest."""
    low, high = min(values), max(values)
    shown = [values[at * len(values) // width] for at in range(width)] if len(values) > width else list(values)
    return "".join(STEPS[int((one - low) / ((high - low) or 1) * (len(STEPS) - 1))] for one in shown)


def table(samples: Sequence[Sample]) -> str:
    """A table in Markdown: one line for each measure."""
    verdicts = {one.measure: one for one in judged(samples)}
    head = "| what | first | last | over the run | growth in the second half | allowed | verdict |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for measure in MEASURES:
        values = [one[measure.name] for one in samples]
        found = verdicts.get(measure)
        ends = [f"{measure.name}{f', {measure.unit}' if measure.unit else ''}", f"{values[0]:.4g}", f"{values[-1]:.4g}"]
        if found is None:
            judgement = ["", "", "not judged: too short"]
        else:
            growth = f"{found.growth:+.3g} ± {2 * found.error:.2g}"
            judgement = [growth, f"{found.allowed:.3g}", "GROWS" if found.grows else "flat"]
        lines.append(f"| {' | '.join([*ends, curve(values), *judgement])} |")
    return "\n".join(lines)


def soak(bench: Bench, pairs: int, batch: int) -> list[Sample]:
    """The samples of a whole run, which are also kept in RESULT after each batch.  Raises CannotMeasure."""
    run = Soak(bench.directory())
    with run.box:
        while not run.samples or run.samples[-1]["pairs"] < pairs:
            run.batch(batch)
            last = run.samples[-1]
            bench.say(f"{last['pairs']:6.0f} pairs  " + "  ".join(f"{m.name} {last[m.name]:.4g}" for m in MEASURES))
            RESULT.write_text(json.dumps(run.samples, indent=1))
    return run.samples


def record(samples: Sequence[Sample], page: Path = PAGE) -> None:
    """Write the table of a run into its place in the page."""
    head, begin, rest = page.read_text().partition(BEGIN)
    _, end, tail = rest.partition(END)
    seconds = samples[-1]["at_s"]
    rate = samples[-1]["pairs"] / seconds
    words = f"{samples[-1]['pairs']:,.0f} creates and deletes in {seconds / 60:.0f} minutes ({rate:.0f} in a second), "
    words += f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f} at the end."
    page.write_text(f"{head}{begin}\n{words}\n\n{table(samples)}\n\n{end}{tail}")


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="make soak", description="Create and delete servers; nothing may grow.")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PAIRS} servers instead of {PAIRS}")
    parser.add_argument("--pairs", type=int, help="so many servers")
    parser.add_argument("--show", action="store_true", help=f"only judge the samples in {RESULT.name}")
    arguments = parser.parse_args()
    batch = QUICK_BATCH if arguments.quick else BATCH
    pairs = arguments.pairs or (QUICK_PAIRS if arguments.quick else PAIRS)
    scratch = Path(tempfile.mkdtemp(prefix="kb", dir="/tmp"))
    scratch.chmod(0o711)
    try:
        samples = json.loads(RESULT.read_text()) if arguments.show else soak(Bench(scratch, True), pairs, batch)
        print(table(samples))
        if samples[-1]["pairs"] >= PAIRS:
            record(samples)
        grows = [one.measure.name for one in judged(samples) if one.grows]
    except (CannotMeasure, OSError) as exc:
        print(f"soak: {exc}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"Grows: {', '.join(grows)}." if grows else "Nothing that was judged grows.")
    return 1 if grows else 0


if __name__ == "__main__":
    sys.exit(main())
