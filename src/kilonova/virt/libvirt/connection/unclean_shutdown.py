# SPDX-License-Identifier: Apache-2.0
"""Whether an earlier process of this host may have left calls behind.

A call that lies in the socket of a frozen daemon is done when that thaws, though the process that made it is dead by
then.  So a driver leaves a file where it works, and takes it away when it ends with every outcome known: who finds the
file at his start inherits calls that may yet happen (see `settle`).
"""

import contextlib
from pathlib import Path

NAME = "libvirt.unsettled"


class Inheritance:
    """The file in `state_path`.  Methods block."""

    def __init__(self, state_path: Path) -> None:
        self._path = state_path / NAME

    def begin(self) -> bool:
        """Whether calls of an earlier process may yet happen; from now on ours may.  Where it cannot be known, they
        may; where there is no `state_path`, no service has ever worked."""
        try:
            inherited = self._path.exists()
            self._path.touch()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return inherited

    def settle(self) -> None:
        """All outcomes are known."""
        with contextlib.suppress(OSError):  # it stays, and the next process waits for nothing
            self._path.unlink()
