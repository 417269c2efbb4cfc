# SPDX-License-Identifier: Apache-2.0
"""Suspending guests to the host's disk and resuming them (see GuestMemory)."""

from functools import partial

from kilonova.base.clock import Clock
from kilonova.base.errors import HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.virt.driver import changes_guests
from kilonova.virt.libvirt.connection.guest_calls import GuestCalls
from kilonova.virt.libvirt.connection.pool import LibvirtCall
from kilonova.virt.libvirt.domain import memory
from kilonova.virt.libvirt.domain.guests import Guests

MEMORY_LIMIT_S = 3600.0
"""The time limit for writing or reading a guest's whole memory; the action's own deadline is not longer."""

POLL_S = 0.5
"""Between two reads of a guest whose memory another call writes or reads."""


class LibvirtMemory:
    """See GuestMemory."""

    def __init__(self, calls: GuestCalls, guests: Guests, clock: Clock) -> None:
        self._calls, self._guests, self._clock = calls, guests, clock
        self.read_only = calls.read_only

    @changes_guests
    async def suspend(self, instance_id: InstanceId) -> None:
        try:
            await self._move_memory(instance_id, partial(memory.save, instance_id=instance_id))
        except HypervisorError as exc:
            if "libvirt_code" not in exc.details:
                raise
            state = await self._guests.state(instance_id)
            now = "unknown" if state is None else state.power.name.lower()
            raise HypervisorError(
                f"The memory of guest {instance_id} could not be saved; the guest is {now}. {exc.message}"
            ) from exc

    @changes_guests
    async def resume(self, instance_id: InstanceId) -> None:
        await self._move_memory(instance_id, partial(memory.restore, instance_id=instance_id))

    async def _move_memory(self, instance_id: InstanceId, move: LibvirtCall[bool]) -> None:
        while not await self._calls.job("memory", instance_id, move, MEMORY_LIMIT_S):
            await self._clock.sleep(POLL_S)
