# SPDX-License-Identifier: Apache-2.0
"""`make fleet`: starts a fleet on this machine, tells its story, and stops everything."""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from lab.cloud import Client
from lab.common import BUILD, LabError
from lab.demo import end_everything
from lab.fleet.fleet import Fleet, Plan
from lab.fleet.story import Story
from lab.progress import Terminal

LOG = BUILD / "fleet.log"
PREFIX = "kn-f-"


def _interrupted(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def keep_logs(fleet: Fleet) -> None:
    """Copy the logs of all processes behind the story's own log."""
    with LOG.open("ab") as out:
        for path in [*sorted(fleet.logs.glob("*.log")), fleet.postgres.log]:
            with contextlib.suppress(OSError):
                _ = out.write(f"\n== {path.name}\n".encode() + path.read_bytes())


def run(terminal: Terminal, plan: Plan, guests: int) -> int:
    """Run the story; the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        _ = signal.signal(number, _interrupted)
    # Short, because of sockets; not in the clone, because QEMU's user may have no access there.
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))
    fleet = Fleet(directory, plan)
    status = 0
    try:
        Story(fleet, Client(fleet.clouds, LOG), terminal, guests).run()
    except LabError as error:
        terminal.line(terminal.style("31", error.sentence))
        terminal.line(f"All messages of all processes are in {LOG}.")
        if error.cure:
            terminal.line(f"Cure: {error.cure}")
        status = 1
    except KeyboardInterrupt:
        terminal.line("Interrupted: stopping and removing everything.")
        status = 130
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            _ = signal.signal(number, signal.SIG_IGN)
        started = terminal.begin("stop everything")
        left = fleet.close()
        keep_logs(fleet)
        left += end_everything(directory)
        shutil.rmtree(directory, ignore_errors=True)
        terminal.end("stop everything", started, "; ".join(left) if left else "nothing is left")
    return status or (1 if left else 0)


def main() -> int:
    """Exit status 0 when the story came true and nothing is left, 1 with a sentence, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog="make fleet", description="A fleet of Kilonova on one machine.")
    _ = parser.add_argument("--guests", type=int, default=6, help="how many guests boot first")
    arguments = parser.parse_args()
    terminal = Terminal(sys.stdout)
    if os.geteuid() != 0:
        terminal.line("make fleet needs root: each libvirtd has a host name of its own. Try: sudo make fleet")
        return 1
    BUILD.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    LOG.touch(mode=0o600)
    begun = time.monotonic()
    terminal.line(
        terminal.style("1", "A fleet of Kilonova on one machine")
        + ": two APIs, two conductors, three hosts, NATS and PostgreSQL; boot guests, then break each part."
    )
    terminal.line(f"About 3 minutes; log in {LOG}.")
    status = run(terminal, Plan(), arguments.guests)
    if status == 0:
        terminal.line(terminal.style("1;32", f"Done in {time.monotonic() - begun:.1f} s."))
    return status


if __name__ == "__main__":
    sys.exit(main())
