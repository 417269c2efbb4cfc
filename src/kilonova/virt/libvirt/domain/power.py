# SPDX-License-Identifier: Apache-2.0
"""Guests' power: on, off, the ACPI request, pause and unpause."""

from functools import partial

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.virt.libvirt.connection.guest_calls import GuestCalls
from kilonova.virt.libvirt.domain import lifecycle
from kilonova.virt.libvirt.domain.guests import Guests
from kilonova.virt.libvirt.domain.saved_memory import LibvirtMemory

log = structlog.get_logger(__name__)

TRANSITION_POLL_S = 0.1
DESTROY_MARGIN_S = 5.0


class GuestPower:
    """See the methods of the same names in ComputeDriver."""

    def __init__(
        self, calls: GuestCalls, guests: Guests, memory: LibvirtMemory, clock: Clock, call_timeout_s: float
    ) -> None:
        self._calls, self._guests, self._memory, self._clock = calls, guests, memory, clock
        self._call_timeout_s = call_timeout_s
        # Longer than libvirt itself waits for its job: its error then says what is wrong.
        self._destroy_limit_s = max(call_timeout_s, lifecycle.JOB_WAIT_S + DESTROY_MARGIN_S)

    async def on(self, instance_id: InstanceId, start_token: str) -> None:
        start = partial(lifecycle.start, instance_id=instance_id, start_token=start_token)
        end = self._clock.monotonic() + self._call_timeout_s
        try:
            while (result := await self._calls.change("power_on", instance_id, start)) is lifecycle.Start.LATER:
                if self._clock.monotonic() > end:
                    raise HypervisorError(f"Guest {instance_id} is on its way up or down and does not get there.")
                await self._clock.sleep(TRANSITION_POLL_S)
            if result is lifecycle.Start.SAVED:
                await self._memory.resume(instance_id)
            log.info("libvirt started a guest", instance=instance_id)
        finally:
            # Its start token may be another one now, whatever the result of the call.
            self._guests.outdate(instance_id)

    async def off(self, instance_id: InstanceId) -> None:
        with self._guests.destroying(instance_id):
            destroy = partial(lifecycle.destroy, instance_id=instance_id)
            await self._calls.destroy(instance_id, destroy, self._destroy_limit_s)
        self._guests.off(instance_id)

    async def shutdown(self, instance_id: InstanceId) -> None:
        await self._calls.request("shutdown", instance_id, partial(lifecycle.shutdown, instance_id=instance_id))

    async def pause(self, instance_id: InstanceId) -> None:
        await self._calls.request("pause", instance_id, partial(lifecycle.pause, instance_id=instance_id))

    async def unpause(self, instance_id: InstanceId) -> None:
        await self._calls.request("unpause", instance_id, partial(lifecycle.unpause, instance_id=instance_id))
