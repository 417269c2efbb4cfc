# SPDX-License-Identifier: Apache-2.0
"""A row of the fault table, and its output."""

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field


def p(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least this share of all is not above."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Check:
    """One bound: the measured value against the required value."""

    what: str
    found: str
    wanted: str
    met: bool


@dataclass(frozen=True, slots=True)
class Samples:
    """A series as it was measured."""

    what: str
    unit: str
    values: Sequence[float]

    def line(self) -> str:
        """n, median, p99, max."""
        if not self.values:
            return f"{self.what}: n 0"
        middle, high = p(self.values, 0.5), p(self.values, 0.99)
        found = f"p50 {middle:.4g}, p99 {high:.4g}, max {max(self.values):.4g} {self.unit}".rstrip()
        return f"{self.what}: n {len(self.values)}, {found}"

    def markdown(self) -> str:
        """The same as a line of a table."""
        if not self.values:
            return f"| {self.what} | 0 | | | | {self.unit} |"
        cells = (p(self.values, 0.5), p(self.values, 0.99), max(self.values))
        return f"| {self.what} | {len(self.values)} | {' | '.join(f'{cell:.4g}' for cell in cells)} | {self.unit} |"


@dataclass(slots=True)
class Row:
    """The result of one fault.  `load` are the machine's load averages before and after: others may have used it."""

    fault: str
    how: str
    checks: list[Check] = field(default_factory=list[Check])
    series: list[Samples] = field(default_factory=list[Samples])
    missing: str | None = None
    load: tuple[float, float] = (0.0, 0.0)

    @property
    def met(self) -> bool:
        return self.missing is None and bool(self.checks) and all(check.met for check in self.checks)

    def most(self, what: str, found: float, bound: float, unit: str) -> None:
        """A bound that must not be passed."""
        self.checks.append(Check(what, f"{found:.4g} {unit}", f"<= {bound:.4g} {unit}", found <= bound))

    def none(self, what: str, found: int) -> None:
        """A count that must be zero."""
        self.checks.append(Check(what, str(found), "0", found == 0))

    def true(self, what: str, found: bool, detail: str = "") -> None:
        """A condition that must hold."""
        verdict = "yes" if found else "no"
        self.checks.append(Check(what, f"{verdict}: {detail}" if detail else verdict, "yes", found))

    def ratio(self, what: str, during: Sequence[float], control: Sequence[float], bound: float) -> None:
        """A p99 against that of the control run."""
        high, usual = p(during, 0.99), p(control, 0.99)
        found = f"{high / usual:.2f} ({high:.3g} over {usual:.3g} ms, n {len(during)} over {len(control)})"
        self.checks.append(Check(what, found, f"<= {bound:g}", high <= usual * bound))


def text(rows: Sequence[Row]) -> str:
    """The table for a terminal."""
    lines: list[str] = []
    for row in rows:
        lines.append(f"{'met    ' if row.met else 'NOT MET'}  {row.fault}")
        if row.missing:
            lines.append(f"    MISSING: {row.missing}")
        lines += [f"    {'ok ' if c.met else 'NO '} {c.what}: {c.found} (wanted {c.wanted})" for c in row.checks]
        lines += [f"        {series.line()}" for series in row.series]
    return "\n".join(lines)


def markdown(rows: Sequence[Row]) -> str:
    """docs/faults.md."""
    lines = [
        "<!-- Made by `make faults`; do not edit. -->",
        "# Faults\n",
        "Each fault is made on a private libvirtd, under a box that serves real guests; those of a fleet on a fleet of",
        "real processes. The control run is of the same process, before the fault. `make faults` writes every sample,",
        "in the order of measurement, into a `.samples.json` beside this page (not kept in the repository).\n",
        f"{os.cpu_count()} CPUs, Linux {platform.release()}, Python {platform.python_version()}. Other programs may",
        "have used the machine too: each section has the load average before and after.\n",
        *table(rows),
    ]
    return "\n".join(lines).rstrip() + "\n"


def table(rows: Sequence[Row], first: str = "fault") -> list[str]:
    """The lines of the table of all bounds, and of a section for each row."""
    lines = [f"| {first} | measured | reached | wanted | met |", "|---|---|---|---|---|"]
    for row in rows:
        if row.missing:
            lines.append(f"| {row.fault} | | MISSING: {row.missing} | | no |")
        for check in row.checks:
            met = "yes" if check.met else "**no**"
            lines.append(f"| {row.fault} | {check.what} | {check.found} | {check.wanted} | {met} |")
    for row in rows:
        before, after = row.load
        lines += [f"\n## {row.fault}\n", row.how, f"\nLoad average {before:.2f} before, {after:.2f} after.\n"]
        lines += ["| series | n | p50 | p99 | max | unit |", "|---|---|---|---|---|---|"] if row.series else []
        lines += [series.markdown() for series in row.series]
    return lines


def samples(rows: Sequence[Row]) -> str:
    """Every sample of every series, as JSON by fault and series."""
    raw = {
        row.fault: {series.what: {"unit": series.unit, "values": list(series.values)} for series in row.series}
        for row in rows
    }
    return json.dumps(raw, indent=1) + "\n"
