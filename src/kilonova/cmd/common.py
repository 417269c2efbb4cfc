# SPDX-License-Identifier: Apache-2.0
"""Helpers that several commands use."""

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

ConfigFiles = Annotated[list[str] | None, typer.Option(help="Configuration file; may be repeated.")]
StatePath = Annotated[str | None, typer.Option(help="State directory (the default depends on the user).")]


HOST_LOST = 150
"""The exit status of a process whose host name belongs to another process.  systemd must not restart it before an
operator acts (RestartPreventExitStatus in the units).  The number is from the range that LSB reserves for
applications."""


@contextmanager
def ending_in_one_sentence() -> Generator[None]:
    """End the process with status 1 (or HOST_LOST) and one sentence on standard error for each KilonovaError.

    Any other exception is a defect and keeps its traceback.
    """
    error: BaseException | None = None
    try:
        yield
    except* KilonovaError as group:
        error = _first(group)
    if error is not None:  # outside of except*, which would put SystemExit into a group with a traceback
        with contextlib.suppress(OSError):  # the exit status also reports the error
            print(f"kilonova: {error}", file=sys.stderr)
        sys.exit(HOST_LOST if isinstance(error, HostSuperseded | HostTaken) else 1)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def read_settings(files: list[str] | None, state_path: str | None) -> "Settings":
    """The settings for a command that works on a state directory.  Raises ConfigError."""
    from kilonova.config.load import load

    return load(files or (), (), {} if state_path is None else {("DEFAULT", "state_path"): state_path})


def stop_on_signals() -> asyncio.Event:
    """An event of the running loop that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


SYSTEMS = frozenset(map(Path, ("/", "/dev", "/etc", "/home", "/opt", "/srv", "/tmp", "/usr", "/var", "/var/lib")))
SOMETHING_ELSE = {".git": "a checkout", ".profile": "a home directory", ".bashrc": "a home directory"}
"""Kinds of other directories, by a file in them.  (The home of the user that `kilonova install` creates is the state
directory.)"""


def prepare_state(path: Path, role: str | None = None) -> ExitStack:
    """Create the state directory and lock it for this process until the result is closed.

    Without a `role` the lock is exclusive (the one box); with a role, processes of other roles may share the directory.
    Other users may pass through it (QEMU runs as another user) but not list it.  Raises StateError, also for a
    directory with another purpose: permissions are changed in it, and removing Kilonova removes it.
    """
    try:
        make_directory(path)
        _refuse_if_anothers(path)
        if path.stat().st_uid == os.geteuid():
            path.chmod(PASSABLE)
        with ExitStack() as locks:
            _lock(locks, path / "lock", fcntl.LOCK_EX if role is None else fcntl.LOCK_SH)
            if role is not None:
                _lock(locks, path / f"{role}.lock", fcntl.LOCK_EX)
            return locks.pop_all()
    except BlockingIOError as exc:
        hint = "stop it, or use another state path for this one"
        raise StateError(f"Another kilonova runs on {path}; {hint}.") from exc
    except OSError as exc:
        hint = "run as root, or use a state path that you own"
        raise StateError(f"The state directory {path} cannot be used: {exc.strerror}; {hint}.") from exc


def _refuse_if_anothers(path: Path) -> None:
    kinds = ["a system directory"] if path.resolve() in SYSTEMS else []
    kinds += [kind for name, kind in SOMETHING_ELSE.items() if (path / name).exists()]
    if kinds:
        raise StateError(f"{path} is {kinds[0]}: use a directory for Kilonova alone as the state path.")


def _lock(locks: ExitStack, path: Path, kind: int) -> None:
    file = locks.enter_context(path.open("w"))
    fcntl.flock(file, kind | fcntl.LOCK_NB)
    if os.geteuid() == 0:  # root restores files for the service of another user
        owner = path.parent.stat()
        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
