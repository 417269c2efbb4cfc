# SPDX-License-Identifier: Apache-2.0
"""The settings of one run of the bench: a directory, the thoroughness, and the output of progress."""

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import Figure


@dataclass(slots=True)
class Bench:
    """`scratch` is short (sockets go below it) and is removed at the end; `quick` reduces the samples."""

    scratch: Path
    quick: bool
    begun: float = field(default_factory=time.monotonic)
    _serial: Iterator[int] = field(default_factory=itertools.count)

    def directory(self) -> Path:
        """A fresh directory that the hypervisor's user can pass through."""
        path = self.scratch / format(next(self._serial), "x")
        path.mkdir(mode=0o711)
        return path

    def say(self, text: str) -> None:
        """A line of progress."""
        print(f"{time.monotonic() - self.begun:7.1f} s  {text}", file=sys.stderr, flush=True)

    def n(self, thorough: int, quick: int) -> int:
        """How many samples to take."""
        return quick if self.quick else thorough


@dataclass(frozen=True, slots=True)
class Group:
    """Figures that are measured together.  `measure` yields them one by one, so that figures measured before a failure
    are kept; it raises CannotMeasure for the rest."""

    keys: Sequence[str]
    measure: Callable[[Bench], Iterator[Figure]]
