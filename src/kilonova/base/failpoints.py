# SPDX-License-Identifier: Apache-2.0
"""Named places where a test may break the process.

A failpoint does nothing in normal operation: one dictionary look-up.  Tests arm failpoints through the environment of a
real process (`KILONOVA_FAILPOINTS="compute.create.disks.done=kill"`) or, in a simulation, through the constructor.  A
process that starts with an unknown name or action stops with ConfigError.  The names are in kilonova.compute.failpoints
(derived from the operations' steps) and kilonova.conductor.failpoints.
"""

import os
import signal
from collections.abc import Callable, Collection, Mapping

from kilonova.base.errors import ConfigError

Action = Callable[[], None]


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fail() -> None:
    raise RuntimeError("failpoint")


ACTIONS: Mapping[str, Action] = {"kill": _kill, "fail": _fail}


class Failpoints:
    """The armed failpoints of one process.  Each fires once."""

    def __init__(self, armed: Mapping[str, Action] | None = None) -> None:
        self._armed = dict(armed or {})

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


def from_environment(environ: Mapping[str, str]) -> Failpoints:
    """`KILONOVA_FAILPOINTS` is `name=action,...`.  Raises ConfigError for an unknown action."""
    armed: dict[str, Action] = {}
    for item in filter(None, environ.get("KILONOVA_FAILPOINTS", "").split(",")):
        name, _, action = item.partition("=")
        if action not in ACTIONS:
            raise ConfigError(f"KILONOVA_FAILPOINTS: {item}: the action is one of {', '.join(ACTIONS)}.")
        armed[name] = ACTIONS[action]
    return Failpoints(armed)
