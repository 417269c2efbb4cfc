# SPDX-License-Identifier: Apache-2.0
"""Whether an earlier process of this host may have left calls in doubt.

A frozen daemon that continues executes the calls in its sockets, although the process that made them is dead by then.
Therefore a driver creates a file while it works, and removes it when it ends with every outcome known.  A process that
finds the file at its start must expect calls of its predecessor (see `in_doubt`).
"""

import contextlib
from pathlib import Path

NAME = "libvirt.unsettled"


class UncleanShutdownMarker:
    """The file in `state_path`.  Methods block."""

    def __init__(self, state_path: Path) -> None:
        self._path = state_path / NAME

    def set(self) -> bool:
        """Create the file.  Returns whether calls of an earlier process may still happen: yes where that cannot be
        known; no where there is no `state_path`, since no service has ever run there."""
        try:
            found = self._path.exists()
            self._path.touch()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return found

    def clear(self) -> None:
        """All outcomes are known: remove the file."""
        with contextlib.suppress(OSError):  # the file stays, and the next process waits although it need not
            self._path.unlink()
