# SPDX-License-Identifier: Apache-2.0
"""A guest's serial console as a stream of bytes in both directions, and the port that opens it.

The API uses only `Consoles`.  In the one box the driver of this process implements it; a fleet can transport the bytes
from another host in any way, behind the same two protocols.
"""

from typing import Protocol

from kilonova.objects.ids import HostName, InstanceId


class ConsoleStream(Protocol):
    """One session on one guest's serial console.  At most one reader and one writer at a time."""

    @property
    def ended(self) -> str:
        """The reason why the session ended, in one sentence; empty while it is open."""
        ...

    async def read(self) -> bytes:
        """The guest's output since the last read, at least one byte; b"" after the end of the session.

        A guest never waits for its reader.  Output that a slow reader does not read in time is dropped, and the next
        read begins with a line that reports the loss.
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

    async def open(self, host: HostName, instance_id: InstanceId) -> ConsoleStream:
        """Open a console.  Raises InvalidState (the guest is off, or does not exist), HypervisorError (no console, or
        too many are open), HypervisorUnavailable."""
        ...
