# SPDX-License-Identifier: Apache-2.0
"""Named places where a test may break the process.

A failpoint does nothing in normal operation: one dictionary look-up.  Tests arm failpoints through the environment of a
real process, or, in a simulation, through the constructor.  `KILONOVA_FAILPOINTS` is

    compute.create.disks.done=kill,...    these failpoints, from the start
    @FILE                                 those of the file, which may change while the process runs (see FromFile)

A process that starts with an unknown name or action stops with ConfigError.  docs/reliability.md lists the kinds of
failpoints; `known_names` in kilonova.wiring.failpoints has the names of each kind of process.
"""

import os
import signal
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from kilonova.base.errors import ConfigError

Action = Callable[[], None]


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fail() -> None:
    raise RuntimeError("failpoint")


def _stop() -> None:
    """The process waits until it receives SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


ACTIONS: Mapping[str, Action] = {"kill": _kill, "fail": _fail, "stop": _stop}


class Failpoints:
    """The armed failpoints of one process.  Each fires once."""

    def __init__(self, armed: Mapping[str, Action] | None = None) -> None:
        self._armed = dict(armed or {})

    @property
    def is_active(self) -> bool:
        """Whether any failpoint may fire.  Otherwise the process needs no layers that have nothing but failpoints."""
        return bool(self._armed)

    def check(self, known: Collection[str]) -> None:
        """Check the armed failpoints.  Raises ConfigError for a name that this process never reaches."""
        unknown = sorted(self._armed.keys() - set(known))
        if unknown:
            raise ConfigError(f"KILONOVA_FAILPOINTS: unknown failpoints: {', '.join(unknown)}.")

    def hit(self, name: str) -> None:
        """The process has reached the failpoint `name`."""
        action = self._armed.pop(name, None)
        if action is not None:
            action()


class FromFile(Failpoints):
    """The failpoints that a file arms, in the form `name=action,...`.  The file is read again at each failpoint, so
    that a test decides while the process runs; each failpoint fires once for each contents of the file.

    The names of the failpoints that the process reaches are appended to `FILE.hits`, a line each, before they fire.  A
    name that is not known is written with a question mark.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file, self._hits, self._text = file, file.with_name(f"{file.name}.hits"), ""
        self._known: frozenset[str] = frozenset()

    @property
    def is_active(self) -> bool:
        """The file may arm any failpoint at any time."""
        return True

    def check(self, known: Collection[str]) -> None:
        """Read the file for the first time.  Raises ConfigError."""
        self._known = frozenset(known)
        self._read()
        super().check(known)

    def hit(self, name: str) -> None:
        """The process has reached the failpoint `name`."""
        with self._hits.open("a") as hits:
            hits.write(f"{name}\n" if name in self._known else f"?{name}\n")
        self._read()
        super().hit(name)

    def _read(self) -> None:
        text = self._file.read_text() if self._file.exists() else ""
        if text != self._text:
            self._text, self._armed = text, _parsed(text)


def from_environment(environ: Mapping[str, str]) -> Failpoints:
    """The failpoints of `KILONOVA_FAILPOINTS`.  Raises ConfigError for an unknown action."""
    text = environ.get("KILONOVA_FAILPOINTS", "")
    return FromFile(Path(text[1:])) if text.startswith("@") else Failpoints(_parsed(text))


def _parsed(text: str) -> dict[str, Action]:
    armed: dict[str, Action] = {}
    for item in filter(None, text.strip().split(",")):
        name, _, action = item.partition("=")
        if action not in ACTIONS:
            raise ConfigError(f"KILONOVA_FAILPOINTS: {item}: the action is one of {', '.join(ACTIONS)}.")
        armed[name] = ACTIONS[action]
    return armed
