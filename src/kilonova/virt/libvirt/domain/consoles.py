# SPDX-License-Identifier: Apache-2.0
"""The open serial consoles of this host's guests (see SerialConsoles)."""

import asyncio

from kilonova.base.clock import Clock
from kilonova.base.errors import HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.virt.driver import changes_guests
from kilonova.virt.libvirt.connection.guest_calls import GuestCalls
from kilonova.virt.libvirt.domain.console import LibvirtConsole

MAX_CONSOLES = 16
"""Each console uses a connection and a thread."""


class LibvirtConsoles:
    """See SerialConsoles."""

    def __init__(self, calls: GuestCalls, clock: Clock) -> None:
        self._control, self._clock, self.read_only = calls.connection.control, clock, calls.read_only
        self._open: dict[InstanceId, LibvirtConsole] = {}

    @changes_guests
    async def open(self, instance_id: InstanceId) -> LibvirtConsole:
        await self._control.alive()
        self._open = {one: console for one, console in self._open.items() if not console.ended}
        older = self._open.get(instance_id)
        if older is None and len(self._open) >= MAX_CONSOLES:
            raise HypervisorError(f"{MAX_CONSOLES} consoles are open on this host: close one.")
        console = LibvirtConsole(instance_id, self._control.options, self._clock)
        self._open[instance_id] = console
        if older is not None:
            older.end("Another session has taken over this console.")
        try:
            await console.open()
        except BaseException as exc:
            console.end(f"The console was not opened: {exc}")
            raise
        return console

    async def close_all(self) -> None:
        """End every session, within seconds."""
        async with asyncio.TaskGroup() as group:
            for console in self._open.values():
                group.create_task(console.close())
