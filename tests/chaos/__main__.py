# SPDX-License-Identifier: Apache-2.0
"""`make chaos MINUTES=n [SEED=k]`: clients use a fleet of real processes while faults come and go at random.

Exit status 0 when every accepted request has its outcome and everything agrees; 1 otherwise, with the stories.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import SystemRandom

from lab import power
from lab.common import TOP, LabError
from lab.progress import Terminal
from tests.chaos.cloud import Shape
from tests.chaos.run import Options, Run
from tests.chaos.schedule import schedule

RAW = TOP / ".build/chaos"
IN_A_NAMESPACE = ("unshare", "--mount", "--propagation", "private")
APART = "KILONOVA_CHAOS_APART"
LINE_EACH_S = 15.0
MOST_SEED = 1_000_000


class Progress:
    """One line that changes on a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        self.terminal, self.begun, self._last = Terminal(), time.monotonic(), 0.0

    def say(self, text: str) -> None:
        """How far it is."""
        self.terminal.spin(text, self.begun)
        if not self.terminal.fancy and time.monotonic() - self._last > LINE_EACH_S:
            self._last = time.monotonic()
            self.terminal.line(f"[{self._last - self.begun:5.0f} s] {text}")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="make chaos", description="Break a fleet of real processes at random.")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long clients send requests")
    parser.add_argument("--seed", type=int, default=None, help="the seed of the schedule and of the clients")
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two requests of a client, on average")
    parser.add_argument("--fault-pause", type=float, default=3.0, help="seconds between two faults, on average")
    parser.add_argument("--hosts", type=int, default=3, help="hosts with the fake driver")
    parser.add_argument("--real", type=int, nargs="?", const=2, default=0, help="hosts with libvirt and QEMU")
    parser.add_argument("--control", type=int, default=2, help="API processes, and conductors")
    parser.add_argument("--schedule", action="store_true", help="print the faults of the seed, and do nothing else")
    parser.add_argument("--results", type=Path, default=RAW, help="the directory of the results")
    words = parser.parse_args()
    if os.geteuid() == 0 and not words.schedule and APART not in os.environ:
        _go_apart()
    can = not power.missing() if words.schedule else os.environ.get(APART) == "yes"
    shape = Shape(words.control, words.control, words.hosts, words.real, disks=can)
    seed = SystemRandom().randrange(MOST_SEED) if words.seed is None else words.seed
    faults = schedule(seed, words.minutes * 60, shape, words.fault_pause)
    if words.schedule:
        print("\n".join(map(str, faults)))
        return 0
    pauses = (words.pause, words.fault_pause)
    return _run(Options(seed, words.minutes * 60, shape, words.clients, *pauses, faults=faults), words.results)


def _go_apart() -> None:
    """Run again in a mount namespace, where small file systems can be mounted; without, if that cannot be had."""
    can = not power.missing()
    os.environ[APART] = "yes" if can else "no"
    argv = [*(IN_A_NAMESPACE if can else ()), sys.executable, "-m", "tests.chaos", *sys.argv[1:]]
    os.execvp(argv[0], argv)


def _run(options: Options, results: Path) -> int:
    progress = Progress()
    line, shape = progress.terminal.line, options.shape
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    line(
        f"Seed {options.seed}: {options.seconds / 60:g} minutes, {options.clients} clients, {shape.apis} APIs, "
        f"{shape.conductors} conductors, {shape.hosts} fake hosts, {shape.real} hosts with QEMU, "
        f"{len(options.faults)} faults."
    )
    if not shape.disks:
        line(f"No machine with files is switched off and no disk is filled: {power.missing()}.")
    results.mkdir(parents=True, exist_ok=True)
    (results / "schedule.txt").write_text("\n".join(map(str, options.faults)) + "\n")
    # Short, because of sockets; not in the clone, because QEMU's user may have no access there.
    directory = Path(tempfile.mkdtemp(prefix="kn-", dir="/tmp"))
    directory.chmod(0o711)
    run = Run(options, directory, progress.say)
    try:
        report = run.run()
    except (AssertionError, LabError) as error:
        line(f"The run could not be made: {str(error)[-2000:]}")
        return 1
    except KeyboardInterrupt:
        line("Interrupted: everything is stopped and removed.")
        return 130
    finally:
        run.cloud.close()
        shutil.rmtree(directory, ignore_errors=True)
    report.keep(results)
    line(report.text())
    for story in report.stories():
        line(f"\n{story}")
    line(f"Everything is in {results}.  Again: {_again(options)}")
    return 1 if report.broken else 0


def _again(options: Options) -> str:
    """The command for the same schedule and the same clients."""
    shape = options.shape
    sizes = {"clients": options.clients, "pause": options.pause_s, "fault-pause": options.fault_pause_s}
    sizes |= {"hosts": shape.hosts, "real": shape.real, "control": shape.apis}
    words = " ".join(f"--{name} {value:g}" for name, value in sizes.items())
    return f'make chaos MINUTES={options.seconds / 60:g} SEED={options.seed} ARGS="{words}"'


if __name__ == "__main__":
    sys.exit(main())
