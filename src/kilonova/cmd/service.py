# SPDX-License-Identifier: Apache-2.0
"""Shared code of services that run as separate processes: configuration, state directory, start and stop messages."""

import argparse
import glob
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import structlog
from oslo_config import cfg

from kilonova import __version__
from kilonova.base import logging
from kilonova.base.clock import Clock
from kilonova.cmd.common import prepare_state
from kilonova.config import default, network
from kilonova.config.load import GROUPS, Settings, load

log = structlog.get_logger(__name__)

LOOK_S = 0.01
PATIENCE_S = 0.5
"""A wait that is not longer than this is not logged."""
DRAIN_S = 10.0
STOP_S = 30
"""The limit from the stop signal to the end of the process, even if something hangs."""


def configure(program: str, description: str, argv: Sequence[str] | None) -> Settings:
    """Read the command line and the configuration, set up logging, and log the unknown options.

    Raises ConfigError; ends the process for --help, --version and a malformed command line, as argparse does.
    """
    given = _words(program, description, argv)
    settings = _load(given)
    logging.set_up(debug=settings.default.debug)
    strange = unknown_options(given.config_file, given.config_dir)
    if strange:
        log.warning("ignoring options that Kilonova does not have", options=", ".join(strange))
    return settings


def read(program: str, argv: Sequence[str] | None) -> Settings:
    """Read the configuration again, in a running process.  Raises ConfigError."""
    return _load(_words(program, "", argv))


def _words(program: str, description: str, argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument(
        "--config-file", action="append", default=[], metavar="F", help="configuration file; may be repeated"
    )
    parser.add_argument("--config-dir", action="append", default=[], metavar="D", help="directory of *.conf files")
    parser.add_argument("--debug", action="store_true", help="log debug lines")
    parser.add_argument("--version", action="version", version=__version__)
    return parser.parse_args(argv)


def _load(given: argparse.Namespace) -> Settings:
    return load(given.config_file, given.config_dir, {("DEFAULT", "debug"): True} if given.debug else None)


def unknown_options(files: Sequence[str], dirs: Sequence[str]) -> tuple[str, ...]:
    """`group.option` of each unknown option in these files (which `load` has accepted), sorted."""
    known = {("default", option.dest) for option in default.OPTIONS}
    known |= {(group.GROUP, option.dest) for group in GROUPS for option in group.OPTIONS}
    paths = [os.path.expanduser(path) for path in files]
    for directory in dirs:
        paths += sorted(glob.glob(os.path.join(os.path.expanduser(directory), "*.conf")))
    found: set[str] = set()
    for path in paths:
        sections: dict[str, dict[str, Any]] = {}
        cfg.ConfigParser(path, sections).parse()
        for group, options in sections.items():
            names = {name for name in options if not _is_ours(group.lower(), name.replace("-", "_"), known)}
            found |= {f"{group}.{name}" for name in names}
    return tuple(sorted(found))


def _is_ours(group: str, option: str, known: set[tuple[str, str]]) -> bool:
    if group.startswith(network.group_of("")):
        return option in {one.dest for one in network.BRIDGE_OPTIONS}
    return (group, option) in known


def run(state_path: Path, role: str, serve: Coroutine[Any, Any, None]) -> None:
    """Run a service to its end with its state directory locked.  Raises StateError."""
    try:
        lock = prepare_state(state_path, role)
    except BaseException:
        serve.close()
        raise
    with lock:
        import uvloop

        logging.guard_streams()

        uvloop.run(serve)


async def announce(program: str, ready: Callable[[], tuple[bool, str]], clock: Clock) -> None:
    """Print once that the service is ready.  Until then, log what it waits for, each time that changes."""
    began, reported = clock.monotonic(), ""
    while not (state := ready())[0]:
        if state[1] != reported and clock.monotonic() - began > PATIENCE_S:
            reported = state[1]
            log.info("not ready yet", service=program, reason=reported)
        await clock.sleep(LOOK_S)
    print(f"{program} ready", flush=True)


def begin_to_stop(program: str) -> None:
    """Print that the service stops.  The system ends the process if it still runs after STOP_S seconds."""
    signal.alarm(STOP_S)
    print(f"{program} stopping: waiting for work in progress", flush=True)
