# SPDX-License-Identifier: Apache-2.0
"""A guest's serial console as a stream of bytes in both directions, and who opens one.

The API sees only `Consoles`.  In the one box that is the driver of this process; a fleet can bring the bytes from
another host by whatever way, behind the same two protocols.
"""

from typing import Protocol

from kilonova.objects.ids import HostName, InstanceId


class ConsoleStream(Protocol):
    """One session on one guest's serial console.  At most one reader and one writer at a time."""

    @property
    def ended(self) -> str:
        """Why the session is over, in one sentence; empty while it goes on."""
        ...

    async def read(self) -> bytes:
        """What the guest has said since the last read, at least one byte; b"" once the session is over.

        A guest never waits for its reader: of one that is too slow, what it has not read in time is dropped, and what
        it reads next begins with a line that says so.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Type into the guest.  Raises HypervisorError once the session is over, HypervisorUnavailable."""
        ...

    async def close(self) -> None:
        """End the session; the guest runs on.  More than once is fine."""
        ...


class Consoles(Protocol):
    """Opens consoles of guests, wherever these are."""

    async def open(self, host: HostName, instance_id: InstanceId) -> ConsoleStream:
        """Raises InvalidState (the guest is off, or not there), HypervisorError (no console, or too many are open),
        HypervisorUnavailable."""
        ...
