# SPDX-License-Identifier: Apache-2.0
"""A stream for log lines that never raises and never waits long: what cannot be written is dropped and counted.

A log is written by whatever runs: one that raised on a full disk or a closed pipe, or that waited for a reader that
stands still, would make its failure that of a request, and in the end of the service.
"""

import io
import os
import select
from collections.abc import Callable

from kilonova.base.threads import Lock

PATIENCE_S = 0.05
"""How long a line waits for a reader that is behind.  After one that was dropped, none waits before one was taken."""
LOCK_S = 1.0
"""A writer that stands still keeps others no longer than that (one may even wait for itself, from a finalizer)."""


class Sink(io.TextIOBase):
    """Writes to a file descriptor, at once and without a buffer.  `notice(count, reason)` is the text that is written
    before the next line once lines were dropped."""

    def __init__(self, descriptor: int, notice: Callable[[int, str], str] | None = None) -> None:
        super().__init__()
        self._descriptor, self._notice = descriptor, notice
        self._lock = Lock()
        self._untold, self._reason, self._cut = 0, "", False
        self.dropped = 0
        """Lines, since the start."""

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride] - as io.TextIOWrapper has it
        return "utf-8"

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Never raises; blocks for PATIENCE_S at most."""
        if not self._lock.acquire(timeout=LOCK_S):
            self._drop("another writer stands still")
            return len(text)
        try:
            if not (self._untold and not self._tell()):
                self._put(text)
        except OSError as exc:
            self._drop(exc.strerror or type(exc).__name__)
        finally:
            self._lock.release()
        return len(text)

    def tell_dropped(self) -> None:
        """Say what was dropped, if it can be said now.  Never raises."""
        if self._untold and self._lock.acquire(blocking=False):
            try:
                self._tell()
            except OSError as exc:
                self._reason = exc.strerror or type(exc).__name__
            finally:
                self._lock.release()

    def note_lost(self, reason: str) -> None:
        """One more line was lost, before it came here."""
        self._drop(reason)

    def _tell(self) -> bool:
        count, self._untold = self._untold, 0
        try:
            if self._notice is not None:
                self._put(self._notice(count, self._reason), patience_s=0)
        except OSError:
            self._untold += count
            raise
        return True

    def _drop(self, reason: str) -> None:
        self.dropped += 1
        self._untold += 1
        self._reason = reason

    def _put(self, text: str, patience_s: float = PATIENCE_S) -> None:
        """Raises OSError for what was not written whole."""
        data = text.encode("utf-8", errors="backslashreplace")
        if self._cut:  # the line before has no end
            data = b"\n" + data
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        at = 0
        try:
            while at < len(data):
                if not poll.poll(patience_s * 1000):
                    raise BlockingIOError(0, "nobody reads")
                # So much never waits, once there is room at all.
                at += os.write(self._descriptor, data[at : at + select.PIPE_BUF])
        finally:
            self._cut = (self._cut and at == 0) or (0 < at < len(data))
