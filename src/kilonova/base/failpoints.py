# SPDX-License-Identifier: Apache-2.0
"""Named places where a test may break the process.

A failpoint does nothing in normal running: one dictionary look-up.  Tests arm them through the environment of a real
process (`KILONOVA_FAILPOINTS="compute.step.disks.done=kill"`) or, in a simulation, through the constructor.
"""

import os
import signal
from collections.abc import Callable, Mapping

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

    def hit(self, name: str) -> None:
        """The place `name` has been reached."""
        action = self._armed.pop(name, None)
        if action is not None:
            action()


def from_environment(environ: Mapping[str, str]) -> Failpoints:
    """`KILONOVA_FAILPOINTS` is `name=action,...`; an action that we do not know is a KeyError (a test's mistake)."""
    text = environ.get("KILONOVA_FAILPOINTS", "")
    pairs = (item.split("=", 1) for item in text.split(",") if item)
    return Failpoints({name: ACTIONS[action] for name, action in pairs})
