# SPDX-License-Identifier: Apache-2.0
"""`python -m bench`: measure, and print one JSON object on stdout, an entry per figure.  Progress goes to stderr.

A whole run is kept in docs/figures.md.

Exit status 0 when every requested figure was measured, 1 when one is missing, 130 when interrupted.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench import page
from bench.figures import TARGETS, CannotMeasure, entry, missing
from bench.registry import GROUPS
from bench.run import Bench, Group
from lab.common import end_processes, processes_naming


def measure(bench: Bench, groups: Iterable[Group], wanted: Sequence[str]) -> dict[str, Any]:
    """An entry for each wanted figure, in the order of the table of targets."""
    entries: dict[str, Any] = {}
    for group in groups:
        keys = [key for key in group.keys if key in wanted]
        if not keys:
            continue
        bench.say(", ".join(keys))
        reason = "it was not reported"
        try:
            for figure in group.measure(bench):
                entries[figure.key] = entry(figure)
                bench.say(_line(figure.key, entries[figure.key]))
        except CannotMeasure as exc:
            reason = str(exc)
        except Exception as exc:  # one broken group must not end the others
            traceback.print_exc()
            reason = f"{type(exc).__name__}: {exc}"
        for key in keys:
            if key not in entries:
                entries[key] = missing(key, reason)
                bench.say(f"  {key} MISSING: {reason}")
    return {key: entries[key] for key in TARGETS if key in wanted and key in entries}


def _line(key: str, shown: dict[str, Any]) -> str:
    verdict = {None: "", True: "  (met)", False: "  NOT MET"}[shown["met_first"]]
    control = shown["control"]
    return (
        f"  {key} = {shown['value']:g} {shown['unit']}, n {shown['n']}, wanted {shown['target_first']}, then "
        f"{shown['target_then']}{verdict}; control {control['value']:g} {control['unit']}"
    )


def wanted_keys(only: str) -> list[str]:
    """The keys of a comma-separated list; all keys for an empty list. Raises SystemExit for an unknown key."""
    keys = [key.strip() for key in only.split(",") if key.strip()]
    for key in keys:
        if key not in TARGETS:
            raise SystemExit(f"There is no figure {key}; there are: {', '.join(TARGETS)}")
    return keys or list(TARGETS)


def _interrupted(_number: int, _frame: object) -> None:
    # Once: a second Ctrl-C while things are being stopped would only leave some of them behind.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _clear(scratch: Path) -> None:
    """End each process that still names the directory, and remove it."""

    def ours(pid: int) -> bool:
        return pid in processes_naming(f"{scratch}/")

    ended = end_processes(processes_naming(f"{scratch}/"), ours=ours, grace=5.0)
    if ended:
        print(f"left behind, and ended now: processes {ended}", file=sys.stderr)
    shutil.rmtree(scratch, ignore_errors=True)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure, and print one JSON object.")
    parser.add_argument("--only", default="", metavar="KEY,...", help="only these figures")
    parser.add_argument("--quick", action="store_true", help="fewer samples, shorter periods, a smaller database")
    arguments = parser.parse_args()
    wanted = wanted_keys(arguments.only)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    # Short: libvirt makes sockets far below it, and the kernel takes 107 characters.
    scratch = Path(tempfile.mkdtemp(prefix="kb", dir="/tmp"))
    scratch.chmod(0o711)
    bench = Bench(scratch, arguments.quick)
    cpus, load = os.cpu_count(), os.getloadavg()[0]
    bench.say(f"{cpus} CPUs, load {load:.2f}, Linux {platform.release()}, Python {platform.python_version()}")
    try:
        entries = measure(bench, GROUPS, wanted)
    except KeyboardInterrupt:
        bench.say("interrupted")
        return 130
    finally:
        _clear(scratch)
    print(json.dumps(entries, indent=1))
    if not arguments.quick and not arguments.only:
        page.write(entries, load)
    return 1 if any(shown["value"] is None for shown in entries.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
