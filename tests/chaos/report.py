# SPDX-License-Identifier: Apache-2.0
"""What a run prints and keeps: requests by verb and outcome, faults by kind, and the story of each server concerned."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

from tests.chaos.checks import Seen, verdict
from tests.chaos.schedule import Fault
from tests.simulation.explore.history import Exchange
from tests.simulation.explore.journal import Change

SERVER = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
READS = ("show",)
NEAR_S, MOST_LINES, MOST_STORIES = 5.0, 40, 5
ENDS = ("done", "failed", "superseded", "cancelled", "abandoned")


@dataclass(frozen=True)
class Report:
    """`broken` are the breaches; `longest_s`: the longest time without an accepted request, `rest_s`: the time from the
    last fault until nothing was open, `guests`: how many guests have lived on real hosts."""

    seed: int
    seconds: float
    seen: Seen
    broken: Sequence[str] = ()
    rest_s: float = 0.0
    guests: int = 0
    logs: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """Those of all clients."""
        return self.seen.truth.exchanges

    @property
    def accepted(self) -> int:
        """How many requests that change something were accepted."""
        return sum(one.accepted for one in self.exchanges if one.verb not in READS)

    @property
    def longest_s(self) -> float:
        """The longest time without an accepted request while clients sent some."""
        times = sorted(one.answered_s for one in self.exchanges if one.accepted and one.verb not in READS)
        return max((after - before for before, after in pairwise(times)), default=0.0)

    def text(self) -> str:
        """The whole report."""
        counted = verdict(self.broken)
        numbers = ", ".join(f"{counted[kind]} {kind}" for kind in ("lost", "doubled", "stuck", "wrong"))
        kinds = Counter(fault.kind for fault in self.seen.faults)
        return "\n".join([
            requests(self.exchanges, {row["request_id"]: row["state"] for row in self.seen.truth.actions}),
            "",
            "Faults:  " + (", ".join(f"{kind} {count}" for kind, count in kinds.most_common()) or "none"),
            f"Longest time without an accepted request: {self.longest_s:.1f} s.  "
            f"From the last fault to rest: {self.rest_s:.1f} s.",
            f"{self.accepted} accepted requests ({self.guests} real guests): {numbers}.",
        ])  # fmt: skip

    def stories(self) -> list[str]:
        """What each breach was, with all that is known of its server."""
        return [story(sentence, self) for sentence in self.broken[:MOST_STORIES]]

    def keep(self, directory: Path) -> None:
        """Write everything into the directory."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "report.txt").write_text("\n\n".join([self.text(), *map(str, self.broken)]) + "\n")
        (directory / "stories.txt").write_text("\n\n".join(story(one, self) for one in self.broken) + "\n")
        _lines(directory / "requests.jsonl", (asdict(one) for one in self.exchanges))
        _lines(directory / "faults.jsonl", (asdict(one) for one in self.seen.faults))
        _lines(directory / "changes.jsonl", (asdict(one) for one in self.seen.truth.changes))
        _lines(directory / "actions.jsonl", self.seen.truth.actions)
        for name, text in self.logs.items():
            (directory / f"{name}.log").write_text(text)


def _lines(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))


def outcome(one: Exchange, states: Mapping[str, str]) -> str:
    """The column of a request in the table."""
    if one.code is None:
        return "no answer"
    if one.accepted:
        state = states.get(one.request_id, "done")
        return state if state in ENDS[:2] else "other end"
    return "later" if one.code in (429, 503, 504) else "refused"


def requests(exchanges: Iterable[Exchange], states: Mapping[str, str]) -> str:
    """A table of the requests."""
    columns = ("done", "failed", "other end", "refused", "later", "no answer")
    counted: dict[str, Counter[str]] = {}
    for one in exchanges:
        counted.setdefault(one.verb, Counter())[outcome(one, states)] += 1
    counted["all"] = sum(counted.values(), Counter[str]())
    lines = [f"{'request':22}" + "".join(f"{name:>11}" for name in columns)]
    for verb, row in sorted(counted.items(), key=lambda item: (item[0] == "all", item[0])):
        lines.append(f"{verb:22}" + "".join(f"{row[name]:>11}" for name in columns))
    return "\n".join(lines)


def story(sentence: str, report: Report) -> str:
    """A breach: the history of its server, the faults near it, and the lines of logs about it."""
    found = SERVER.search(sentence)
    if found is None:
        return f"BROKEN: {sentence}"
    server = found.group()
    mine = [one for one in report.exchanges if one.server == server]
    begin_s = min((one.invoked_s for one in mine), default=0.0) - NEAR_S
    end_s = max((one.answered_s for one in mine), default=report.seconds) + NEAR_S
    near = [fault for fault in report.seen.faults if fault.at_s <= end_s and fault.end_s >= begin_s]
    changes = [change for change in report.seen.truth.changes if change.instance == server]
    ids = {server, *(one.request_id for one in mine if one.request_id)}
    return "\n".join([
        f"BROKEN: {sentence}",
        "  What clients saw, and faults:",
        *_told(mine, near),
        "  What the database recorded, in order:",
        *map(_recorded, changes),
        "  What the logs have:",
        *_of_logs(report.logs, ids),
    ])  # fmt: skip


def _told(exchanges: Iterable[Exchange], faults: Iterable[Fault]) -> list[str]:
    told = [(one.invoked_s, f"{one} {one.request_id}") for one in exchanges] + [(one.at_s, str(one)) for one in faults]
    return [f"    {text}" for _, text in sorted(told)]


def _recorded(one: Change) -> str:
    what = f"{one.kind} {one.verb}" if one.verb else one.kind
    return f"    {what}: {one.before} -> {one.state}/{one.task or ''} on {one.host}"


def _of_logs(logs: Mapping[str, str], ids: Iterable[str]) -> list[str]:
    wanted = tuple(ids)
    lines = [
        f"    {name}: {line[:300]}"
        for name, text in logs.items()
        for line in text.splitlines()
        if any(one in line for one in wanted)
    ]
    return lines[-MOST_LINES:]
