# SPDX-License-Identifier: Apache-2.0
"""What commands share."""

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kilonova.base.errors import HostSuperseded, HostTaken, KilonovaError, StateError
from kilonova.base.files import PASSABLE, make_directory

if TYPE_CHECKING:
    from kilonova.config.load import Settings

ConfigFiles = Annotated[list[str] | None, typer.Option(help="Configuration file; may be given again.")]
StatePath = Annotated[str | None, typer.Option(help="Directory of all state (default: by user).")]


HOST_LOST = 150
"""The exit status of a process whose host has another process: it must not be started again before somebody has looked
(RestartPreventExitStatus in the units).  From the range that LSB leaves to applications."""


@contextmanager
def ending_in_one_sentence() -> Generator[None]:
    """Our own errors end the process with status 1 (or HOST_LOST) and one sentence on standard error; anything else is
    a defect and keeps its traceback."""
    error: BaseException | None = None
    try:
        yield
    except* KilonovaError as group:
        error = _first(group)
    if error is not None:  # not within except*, which would make a group, with a traceback, of the exit too
        with contextlib.suppress(OSError):  # the status says it, too
            print(f"kilonova: {error}", file=sys.stderr)
        sys.exit(HOST_LOST if isinstance(error, HostSuperseded | HostTaken) else 1)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def read_settings(files: list[str] | None, state_path: str | None) -> "Settings":
    """What a command is about that works on a state directory.  Raises ConfigError."""
    from kilonova.config.load import load

    return load(files or (), (), {} if state_path is None else {("DEFAULT", "state_path"): state_path})


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set, in the running loop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


SYSTEMS = frozenset(map(Path, ("/", "/dev", "/etc", "/home", "/opt", "/srv", "/tmp", "/usr", "/var", "/var/lib")))
SOMETHING_ELSE = {".git": "a checkout", ".profile": "a home directory", ".bashrc": "a home directory"}
"""By what lies in it.  (The home of the user that `kilonova install` makes is the state directory.)"""


def prepare_state(path: Path, role: str | None = None) -> ExitStack:
    """Make the state directory and hold it for this process, until the result is closed.

    Without a `role` for nobody else (the one box); with one, beside processes of other roles.  Others may pass through
    it (QEMU runs as another user) but not look into it.  Raises StateError, also for a directory that is something
    else: rights are changed in it, and who tidies up removes it.
    """
    try:
        make_directory(path)
        _refuse_if_anothers(path)
        if path.stat().st_uid == os.geteuid():
            path.chmod(PASSABLE)
        with ExitStack() as held:
            _lock(held, path / "lock", fcntl.LOCK_EX if role is None else fcntl.LOCK_SH)
            if role is not None:
                _lock(held, path / f"{role}.lock", fcntl.LOCK_EX)
            return held.pop_all()
    except BlockingIOError as exc:
        hint = "stop it, or give this one a state path of its own"
        raise StateError(f"Another kilonova runs on {path}; {hint}.") from exc
    except OSError as exc:
        hint = "run as root or give it a state path of your own"
        raise StateError(f"The state directory {path} cannot be used: {exc.strerror}; {hint}.") from exc


def _refuse_if_anothers(path: Path) -> None:
    kinds = ["a directory of the system"] if path.resolve() in SYSTEMS else []
    kinds += [kind for name, kind in SOMETHING_ELSE.items() if (path / name).exists()]
    if kinds:
        raise StateError(f"{path} is {kinds[0]}: name a directory of Kilonova's own as the state path.")


def _lock(held: ExitStack, path: Path, kind: int) -> None:
    file = held.enter_context(path.open("w"))
    fcntl.flock(file, kind | fcntl.LOCK_NB)
    if os.geteuid() == 0:  # root restores what another user's service goes on with
        owner = path.parent.stat()
        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
