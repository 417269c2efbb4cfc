# SPDX-License-Identifier: Apache-2.0
"""What the services that run as processes of their own share: configuration, state, saying how far they are."""

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
"""What takes no longer than this is not worth a word."""
DRAIN_S = 10.0
STOP_S = 30
"""From a signal to stop to the process's end, whatever hangs."""


def configure(program: str, description: str, argv: Sequence[str] | None) -> Settings:
    """Read the command line and the configuration, set up logging, and name the options that are not ours.

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
    """The configuration as it is now, for a process that runs already.  Raises ConfigError."""
    return _load(_words(program, "", argv))


def _words(program: str, description: str, argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--config-file", action="append", default=[], metavar="F", help="may be given again")
    parser.add_argument("--config-dir", action="append", default=[], metavar="D", help="directory of *.conf files")
    parser.add_argument("--debug", action="store_true", help="log debug lines")
    parser.add_argument("--version", action="version", version=__version__)
    return parser.parse_args(argv)


def _load(given: argparse.Namespace) -> Settings:
    return load(given.config_file, given.config_dir, {("DEFAULT", "debug"): True} if given.debug else None)


def unknown_options(files: Sequence[str], dirs: Sequence[str]) -> tuple[str, ...]:
    """`group.option` of each option in these files (which `load` has accepted) that we do not have, sorted."""
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
    """Run a service to its end, holding its state directory.  Raises StateError."""
    try:
        held = prepare_state(state_path, role)
    except BaseException:
        serve.close()
        raise
    with held:
        import uvloop

        logging.guard_streams()

        uvloop.run(serve)


async def announce(program: str, ready: Callable[[], tuple[bool, str]], clock: Clock) -> None:
    """Print that the service is ready, once, as soon as it is; log what it waits for until then, when that changes."""
    began, said = clock.monotonic(), ""
    while not (state := ready())[0]:
        if state[1] != said and clock.monotonic() - began > PATIENCE_S:
            said = state[1]
            log.info("not ready yet", service=program, reason=said)
        await clock.sleep(LOOK_S)
    print(f"{program} ready", flush=True)


def begin_to_stop(program: str) -> None:
    """Say that the service stops, and have the system end it if it has not by itself after STOP_S seconds."""
    signal.alarm(STOP_S)
    print(f"{program} stopping: finishing what is in hand ...", flush=True)
