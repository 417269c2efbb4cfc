# SPDX-License-Identifier: Apache-2.0
"""A stream for log lines that never raises and never blocks for long.  It drops and counts lines it cannot write.

All code writes to the log.  If the log raised on a full disk or a closed pipe, or waited for a blocked reader, its
failure would become a failure of requests and finally of the service.
"""

import io
import os
import select
from collections.abc import Callable

from kilonova.base.threads import Lock

PATIENCE_S = 0.05
"""How long a line waits for a slow reader.  After a dropped line, no line waits until one is written again."""
LOCK_S = 1.0
"""The limit of waiting for another writer (a finalizer may even make a writer wait for itself)."""


class Sink(io.TextIOBase):
    """Writes to a file descriptor immediately and without a buffer.  `notice(count, reason)` is the text that is
    written before the next line after lines were dropped."""

    def __init__(self, descriptor: int, notice: Callable[[int, str], str] | None = None) -> None:
        super().__init__()
        self._descriptor, self._notice = descriptor, notice
        self._lock = Lock()
        self._untold, self._reason, self._cut = 0, "", False
        self.dropped = 0
        """The number of dropped lines since the start."""

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
            self._drop("another writer is blocked")
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
        """Write how many lines were dropped, if writing is possible now.  Never raises."""
        if self._untold and self._lock.acquire(blocking=False):
            try:
                self._tell()
            except OSError as exc:
                self._reason = exc.strerror or type(exc).__name__
            finally:
                self._lock.release()

    def note_lost(self, reason: str) -> None:
        """Count a line that was lost before it reached the sink."""
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
        """Write the line.  Raises OSError when it was not written completely."""
        data = text.encode("utf-8", errors="backslashreplace")
        if self._cut:  # the previous line is incomplete
            data = b"\n" + data
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        at = 0
        try:
            while at < len(data):
                if not poll.poll(patience_s * 1000):
                    raise BlockingIOError(0, "nobody reads")
                # A piece of this size does not block once there is space.
                at += os.write(self._descriptor, data[at : at + select.PIPE_BUF])
        finally:
            self._cut = (self._cut and at == 0) or (0 < at < len(data))
