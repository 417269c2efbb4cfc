# SPDX-License-Identifier: Apache-2.0
"""Output of the findings: a table for people, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TextIO

from kilonova.doctor.finding import Finding, Level

SIGNS = {Level.OK: "ok", Level.NOTE: "note", Level.WARNING: "WARN", Level.ERROR: "ERROR"}
COLOURS = {Level.OK: "green", Level.NOTE: "cyan", Level.WARNING: "yellow", Level.ERROR: "bold red"}
PLAIN_WIDTH = 120


def as_json(findings: Sequence[Finding]) -> str:
    """A JSON list of objects with check, level, found, cure and facts."""
    return json.dumps([asdict(finding) for finding in findings], indent=1, default=str)


def exit_status(findings: Sequence[Finding]) -> int:
    """1 when any finding is an error, else 0.  Warnings do not stop a script."""
    return 1 if any(finding.level is Level.ERROR for finding in findings) else 0


ROOTS = ("configuration", "programs", "libvirt-socket", "kvm-capability-cache", "state-directory", "database")
"""Checks to correct first, because other errors follow from them."""
FOLLOWING = ("libvirt", "service")
"""Checks whose errors may follow from others; they come first only when there is no other error."""


def first_thing(findings: Sequence[Finding]) -> str:
    """The last line of the report: the first correction."""
    worst = [finding for finding in findings if finding.level in (Level.ERROR, Level.WARNING)]
    if not worst:
        is_host = any(finding.check == "guest-processes" for finding in findings)
        return "Nothing to do: this host is ready to run guests." if is_host else "Nothing to do."
    order = [*ROOTS, "", *FOLLOWING]
    first = min(worst, key=lambda f: (-f.level.weight, order.index(f.check if f.check in order else "")))
    return f"First: {first.check}: {first.cure}"


def summary(findings: Sequence[Finding]) -> str:
    """The number of findings of each level."""
    count = {level: sum(finding.level is level for finding in findings) for level in Level}
    named = ((Level.ERROR, "error"), (Level.WARNING, "warning"), (Level.NOTE, "note"))
    message = [f"{count[level]} {name}{'' if count[level] == 1 else 's'}" for level, name in named]
    return f"{len(findings)} checks: {', '.join(message)}, {count[Level.OK]} ok"


def show(findings: Sequence[Finding], out: TextIO = sys.stdout) -> None:
    """Print the table, in colour on a terminal only."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = out.isatty()
    console = Console(
        file=out,
        no_color=not terminal,
        force_terminal=terminal,
        width=None if terminal else PLAIN_WIDTH,
        highlight=False,
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("finding and correction", overflow="fold")
    for finding in findings:
        message = Text(finding.found)
        if finding.cure and finding.level is not Level.OK:
            message.append(f"\n-> {finding.cure}", style="bold" if finding.level is not Level.NOTE else "dim")
        table.add_row(finding.check, Text(SIGNS[finding.level], style=COLOURS[finding.level]), message)
    console.print(table)
    console.print(Text(summary(findings)))
    console.print(Text(first_thing(findings), style="bold"), soft_wrap=True)
