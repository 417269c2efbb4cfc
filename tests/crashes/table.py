# SPDX-License-Identifier: Apache-2.0
"""The results of a matrix as tables: one row for each kind of failpoint, or for each failpoint."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from tests.crashes.lane import DONE, MISSED, REFUSED, REPEATED, Result

KINDS = {
    "http": "a request has arrived, or its reply leaves",
    "call": "a message is sent, or its reply has arrived",
    "reply": "a message was handled, and its reply leaves",
    "write": "a transaction begins, or is committed",
    "leg": "a host begins a leg, or has ended it",
    "compute": "a step begins, or is done",
    "undo": "a step is undone",
}
OUTCOMES = (DONE, REPEATED, REFUSED, MISSED)


def kind_of(point: str) -> str:
    """The kind of a failpoint."""
    kind = point.partition(".")[0]
    verb = point.split(".")[1]
    return "undo" if kind == "compute" and ".remove-" in point and verb not in ("delete", "shelveOffload") else kind


def never_fired(results: Sequence[Result]) -> set[tuple[str, str]]:
    """Role and name of each failpoint that was armed, and that no crash has reached."""
    fired = {(one.role, one.point): False for one in results}
    for one in results:
        fired[one.role, one.point] |= one.outcome != MISSED
    return {point for point, has_fired in fired.items() if not has_fired}


def by_kind(results: Iterable[Result]) -> str:
    """One row for each role and kind of failpoint."""
    return _table(results, lambda one: (one.role, kind_of(one.point)), ("role", "kind"))


def by_point(results: Iterable[Result]) -> str:
    """One row for each role and failpoint."""
    return _table(results, lambda one: (one.role, one.point), ("role", "failpoint"))


def _table(results: Iterable[Result], key: Callable[[Result], tuple[str, str]], names: Sequence[str]) -> str:
    rows: dict[tuple[str, str], list[Result]] = {}
    for one in results:
        rows.setdefault(key(one), []).append(one)
    lines = [[*names, "failpoints", "crashes", *OUTCOMES, "wrong"]]
    lines += [[*of, *_figures(ones)] for of, ones in sorted(rows.items())]
    lines.append(["all", "", *_figures([one for ones in rows.values() for one in ones])])
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines)


def _figures(ones: Sequence[Result]) -> list[str]:
    counts = Counter(one.outcome for one in ones)
    points = len({(one.role, one.point) for one in ones})
    wrong = sum(one.is_wrong for one in ones)
    return [str(points), str(len(ones)), *(str(counts[outcome]) for outcome in OUTCOMES), str(wrong)]
