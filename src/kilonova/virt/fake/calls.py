# SPDX-License-Identifier: Apache-2.0
"""The calls of a fake driver to its hypervisor: each may be slow, fail, or be executed late, as tests decide."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from kilonova.base.errors import HypervisorError, HypervisorUnavailable
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.driver import refuse_if_read_only
from kilonova.virt.fake.machine import CutOff, FakeGuest, FakeHypervisor

CALL_S = 30.0
"""How long a call waits for an earlier call of its guest, as with libvirt ([libvirt] call_timeout)."""
LIVE = (PowerState.RUNNING, PowerState.PAUSED)


class FakeCalls:
    """Everything that the parts of one driver have in common.  `host` is for messages."""

    def __init__(self, hypervisor: FakeHypervisor, host: str, *, read_only: bool) -> None:
        self.hypervisor, self.host, self.read_only = hypervisor, host, read_only

    async def _enter(self, name: str, instance_id: InstanceId | None, *, changes: bool) -> Exception | None:
        """The beginning of every call. Returns the error with which the call fails after its work."""
        if changes:
            refuse_if_read_only(self, name)
        hook = self.hypervisor.before_call
        fail_after = await hook(name, instance_id) if hook is not None else None
        if instance_id is not None and instance_id in self.hypervisor.late:
            await self._until_executed(instance_id)
        if self.hypervisor.away is not None:
            raise HypervisorUnavailable(
                f"The hypervisor of {self.host} is not available: {self.hypervisor.away}", host=self.host
            )
        return fail_after

    async def _until_executed(self, instance_id: InstanceId) -> None:
        """Wait for the guest's cut-off calls."""
        try:
            async with asyncio.timeout(CALL_S):
                while (pending := self.hypervisor.late.get(instance_id)) is not None:
                    await asyncio.shield(pending)
        except TimeoutError:
            problem = f"An earlier call of guest {instance_id} has not returned within {CALL_S:g} s."
            raise HypervisorUnavailable(problem, host=self.host) from None

    @asynccontextmanager
    async def call(
        self, name: str, instance_id: InstanceId | None = None, *, changes: bool
    ) -> AsyncGenerator[None, None]:
        """A call whose work is the block."""
        fail_after = await self._enter(name, instance_id, changes=changes)
        try:
            yield
        finally:
            if changes and instance_id is not None:
                self.hypervisor.changed(instance_id)
        if fail_after is not None:
            raise fail_after

    async def change(self, name: str, instance_id: InstanceId, work: Callable[[], None]) -> None:
        """A call that changes a domain: a real hypervisor may execute it late."""
        fail_after = await self._enter(name, instance_id, changes=True)
        if isinstance(fail_after, CutOff):
            self.hypervisor.do_later(instance_id, fail_after.late_s, work)
        else:
            work()
            self.hypervisor.changed(instance_id)
        if fail_after is not None:
            raise fail_after

    # -- guests ------------------------------------------------------------------------------------------------------

    def guest(self, instance_id: InstanceId) -> FakeGuest:
        """The guest, made if it does not exist."""
        return self.hypervisor.guests.setdefault(instance_id, FakeGuest())

    def found(self, instance_id: InstanceId) -> FakeGuest | None:
        """The guest, if it exists."""
        return self.hypervisor.guests.get(instance_id)

    def defined(self, instance_id: InstanceId) -> FakeGuest | None:
        """The guest, if the hypervisor knows it."""
        guest = self.found(instance_id)
        return guest if guest is not None and guest.definition is not None else None

    def live(self, instance_id: InstanceId) -> FakeGuest:
        """The guest, which runs or is paused.  Raises HypervisorError."""
        guest = self.defined(instance_id)
        if guest is None or guest.power not in LIVE:
            raise HypervisorError(f"Guest {instance_id} does not run.")
        return guest

    def with_disk(self, instance_id: InstanceId) -> FakeGuest:
        """The guest, which has a root disk.  Raises HypervisorError."""
        guest = self.found(instance_id)
        if guest is None or guest.base is None:
            raise HypervisorError(f"Guest {instance_id} has no disk.")
        return guest

    def forget_if_empty(self, instance_id: InstanceId) -> None:
        """Remove a guest that has no part left."""
        guest = self.found(instance_id)
        if guest is not None and guest.empty:
            del self.hypervisor.guests[instance_id]
