# SPDX-License-Identifier: Apache-2.0
"""Calls to libvirt about single guests: which pool carries a call, and which calls exclude each other."""

import asyncio
from typing import TypeVar

from kilonova.objects.ids import InstanceId
from kilonova.virt.driver import refuse_if_read_only
from kilonova.virt.libvirt.connection.hypervisor_connection import HypervisorConnection
from kilonova.virt.libvirt.connection.in_doubt import InDoubtCalls
from kilonova.virt.libvirt.connection.pool import LibvirtCall

T = TypeVar("T")


class GuestCalls:
    """Reads go through the *control* pool.  Changes go through it too, at most one at a time per guest, but for those
    that may wait for a QEMU that does not answer; a read-only driver refuses changes (HypervisorError)."""

    def __init__(self, connection: HypervisorConnection, in_doubt: InDoubtCalls, *, read_only: bool) -> None:
        self.connection, self.in_doubt, self.read_only = connection, in_doubt, read_only
        self._ends: dict[InstanceId, asyncio.Event] = {}

    async def read(self, instance_id: InstanceId, fn: LibvirtCall[T]) -> T:
        """A read on which no decision depends.  It waits for the end of a power-off: libvirt would let it wait, too,
        but on a socket that other guests need."""
        while (end := self._ends.get(instance_id)) is not None:
            await end.wait()
        return await self.connection.control.run(fn)

    async def read_resolved(self, instance_id: InstanceId, fn: LibvirtCall[T]) -> T:
        """A read once no call on the guest is in doubt."""
        await self.in_doubt.resolved(("guest", instance_id))
        return await self.read(instance_id, fn)

    async def change(self, name: str, instance_id: InstanceId, fn: LibvirtCall[T]) -> T:
        """A change of the guest; `name` is for the refusal of a read-only driver."""
        refuse_if_read_only(self, name)
        return await self.in_doubt.run(("guest", instance_id), fn)

    async def change_disk(self, name: str, instance_id: InstanceId, fn: LibvirtCall[T]) -> T:
        """The same for a disk that the guest's QEMU has open: the QEMU must answer."""
        refuse_if_read_only(self, name)
        return await self.in_doubt.run(("guest", instance_id), fn, pool=self.connection.requests)

    async def request(self, name: str, instance_id: InstanceId, fn: LibvirtCall[None]) -> None:
        """A change that needs an answer of the guest's QEMU, under a separate key: `destroy` is the remedy for a QEMU
        that does not answer, and must not wait behind this call."""
        refuse_if_read_only(self, name)
        await self.in_doubt.run(("ask", instance_id), fn, about=("guest", instance_id), pool=self.connection.requests)

    async def job(self, kind: str, instance_id: InstanceId, fn: LibvirtCall[T], deadline_s: float) -> T:
        """A call that may last long: on the *jobs* pool, at most one of a `kind` per guest.  `destroy` does not wait
        behind it either."""
        return await self.in_doubt.run(
            (kind, instance_id), fn, about=("guest", instance_id), deadline_s=deadline_s, pool=self.connection.jobs
        )

    async def destroy(self, instance_id: InstanceId, fn: LibvirtCall[None], deadline_s: float) -> None:
        """Power the guest off, also while another call on it waits for its QEMU."""
        refuse_if_read_only(self, "power_off")
        key = ("guest", instance_id)
        end = self._ends.setdefault(instance_id, asyncio.Event())
        try:
            if self.connection.threads.busy(key):
                await self.in_doubt.interrupt(key, fn, deadline_s=deadline_s, pool=self.connection.ends)
            await self.in_doubt.run(key, fn, deadline_s=deadline_s, pool=self.connection.ends)
        finally:
            end.set()
            self._ends.pop(instance_id, None)
