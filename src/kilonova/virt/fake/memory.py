# SPDX-License-Identifier: Apache-2.0
"""The fake driver's saved memory: a power state."""

from kilonova.base.errors import HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import SAVED, PowerState
from kilonova.virt.fake.calls import LIVE, FakeCalls


class FakeMemory:
    """See GuestMemory."""

    def __init__(self, calls: FakeCalls) -> None:
        self._calls = calls

    async def suspend(self, instance_id: InstanceId) -> None:
        def work() -> None:
            guest = self._calls.defined(instance_id)
            if guest is None or not guest.saved:
                self._calls.live(instance_id)
                self._calls.hypervisor.move(instance_id, PowerState.SUSPENDED, SAVED)

        await self._calls.change("suspend", instance_id, work)

    async def resume(self, instance_id: InstanceId) -> None:
        def work() -> None:
            guest = self._calls.defined(instance_id)
            if guest is None or not (guest.saved or guest.power in LIVE):
                raise HypervisorError(f"Guest {instance_id} has no saved memory to resume from.")
            self._calls.hypervisor.move(instance_id, PowerState.RUNNING, "restored")

        await self._calls.change("resume", instance_id, work)
