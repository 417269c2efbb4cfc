# SPDX-License-Identifier: Apache-2.0
"""The programs of Kilonova with their modules loaded once: `python -m tests.crashes.preloaded PROGRAM`.

Loading them takes most of the CPU time of a start.  Each line of the input is a process: a JSON list of its arguments,
its environment and its log.  It is forked for it, has run nothing before, and leads a session of its own; its id is a
line of the output.
"""

import importlib
import json
import os
import pkgutil
import signal
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from tests.live.other_clock import BOOT_FILE, CLOCK_FILE, follow

ROOMS = {
    "compute": ("compute", "virt.fake", "rpc", "rpcapi", "images", "objects"),
    "conductor": ("conductor", "db", "rpc", "rpcapi", "scheduler", "objects"),
    "api": ("api", "db", "rpc", "rpcapi", "images", "identity", "objects"),
    "one_box": ("api", "conductor", "compute", "db", "virt.fake", "rpc", "rpcapi", "images", "identity", "scheduler"),
}
"""What a program imports, as packages.  A compute process must not have a module of the database."""
LEFT_OUT = ("kilonova.db.migrations", "kilonova.db.postgres.transfer", "kilonova.api.ui.doctor")


def load(program: str) -> None:
    """Import the modules of the program, and build the forms of its messages."""
    from kilonova.rpcapi.method import methods_of

    for name in (f"kilonova.cmd.{program}", f"kilonova.wiring.{program}", "kilonova.wiring.failpoints"):
        importlib.import_module(name)
    for room in ROOMS[program]:
        for name in _modules(f"kilonova.{room}"):
            module = importlib.import_module(name)
            if name.startswith("kilonova.rpcapi."):
                for row in methods_of(module).values():
                    _ = row.request_form, row.reply_form


def _modules(package: str) -> Iterable[str]:
    yield package
    path = importlib.import_module(package).__path__
    for found in pkgutil.walk_packages(path, f"{package}."):
        if not found.name.startswith(LEFT_OUT):
            yield found.name


def become(program: str, words: list[str], environment: dict[str, str], log: str) -> None:
    """Run the program in this process."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.update(environment)
    if CLOCK_FILE in environment:
        follow(Path(environment[CLOCK_FILE]))
    if program == "compute" and BOOT_FILE in environment:
        from tests.live.other_boot import follow_boot

        follow_boot(Path(environment[BOOT_FILE]))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    if program == "one_box":
        from kilonova.cmd.main import main

        sys.argv = ["kilonova", *words]
        main()
    else:
        importlib.import_module(f"kilonova.cmd.{program}").main(words)


def main() -> None:
    """Serve until the end of the input."""
    program = sys.argv[1]
    load(program)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead leave at once
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 70
            try:
                become(program, *json.loads(line))
                status = 0
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 1
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
