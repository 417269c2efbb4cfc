# SPDX-License-Identifier: Apache-2.0
"""A guest's console as a stream of bytes in both directions, the ticket for one session, and the port that opens it.

The API uses only `Consoles`.  In the one box the host is the same process; in a fleet the API process connects to the
host's console listener.
"""

from dataclasses import dataclass, field
from typing import Protocol

from kilonova.base.open_enum import OpenStrEnum
from kilonova.objects.ids import HostName, InstanceId


class ConsoleKind(OpenStrEnum):
    """SERIAL: the text of the serial line.  VNC: the guest's screen, by the RFB protocol."""

    SERIAL = "serial"
    VNC = "vnc"


@dataclass(frozen=True, slots=True)
class ConsoleTicket:
    """Opens one session on one guest's console: on its host only, once, within a minute.

    `address` and `port` are those of the host's console listener, `certificate` is the listener's, in PEM; empty and 0
    where the host is this process.
    """

    host: HostName
    instance_id: InstanceId
    kind: ConsoleKind
    secret: str = field(repr=False)
    address: str = ""
    port: int = 0
    certificate: str = field(default="", repr=False)


class ConsoleStream(Protocol):
    """One session on one guest's console.  At most one reader and one writer at a time."""

    @property
    def ended(self) -> str:
        """The reason why the session ended, in one sentence; empty while it is open."""
        ...

    async def read(self) -> bytes:
        """The guest's output since the last read, at least one byte; b"" after the end of the session.

        A guest never waits for its reader.  Output of a serial console that a slow reader does not read in time is
        dropped, and the next read begins with a line that reports the loss.  The output of a screen is never dropped:
        its server sends less to a slow reader.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Send input to the guest.  Raises HypervisorError after the end of the session, HypervisorUnavailable."""
        ...

    async def close(self) -> None:
        """End the session; the guest continues to run.  A repeat is allowed."""
        ...


class Consoles(Protocol):
    """Opens consoles of guests on any host."""

    async def open(self, ticket: ConsoleTicket) -> ConsoleStream:
        """Open a console.  Raises InvalidState (the guest is off, or does not exist), HypervisorError (no console, or
        too many are open), HypervisorUnavailable (also when the host does not answer, or another process answers),
        Unauthorized (the ticket was used, or its time is over)."""
        ...
