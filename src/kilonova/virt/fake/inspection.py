# SPDX-License-Identifier: Apache-2.0
"""The fake driver's diagnostics, liveness probe and consoles."""

from kilonova.base.errors import InvalidState
from kilonova.objects.diagnostics import CpuFigures, DiskFigures, GuestDiagnostics, NicFigures
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.fake.calls import FakeCalls
from kilonova.virt.fake.machine import FakeConsole


class FakeDiagnostics:
    """See Diagnostics. The values are constants, because nothing runs."""

    def __init__(self, calls: FakeCalls) -> None:
        self._calls = calls

    async def read(self, instance_id: InstanceId) -> GuestDiagnostics:
        async with self._calls.call("diagnostics", instance_id, changes=False):
            guest = self._calls.defined(instance_id)
            if guest is None or guest.definition is None or guest.state.power is not PowerState.RUNNING:
                raise InvalidState(f"Guest {instance_id} is not running: there is nothing to measure.")
            record = guest.definition
            return GuestDiagnostics(
                state="running",
                driver="libvirt",  # the reference lists the drivers, and clients know no other value
                hypervisor="fake",
                memory_maximum_kib=record.flavor.memory_mib * 1024,
                cpus=tuple(CpuFigures(0) for _ in range(record.flavor.vcpus)),
                nics=tuple(NicFigures(f"nic{at}", address.mac) for at, address in enumerate(record.addresses)),
                disks=(DiskFigures("vda"),),
            )


class FakeLiveness:
    """See GuestLivenessProbe."""

    async def probe_guest(self, instance_id: InstanceId) -> None:
        """Does nothing: a frozen guest is known at once."""


class FakeConsoles:
    """See SerialConsoles."""

    def __init__(self, calls: FakeCalls) -> None:
        self._calls = calls

    async def open(self, instance_id: InstanceId) -> FakeConsole:
        async with self._calls.call("open_console", instance_id, changes=True):
            guest = self._calls.defined(instance_id)
            if guest is None or guest.power is not PowerState.RUNNING:
                raise InvalidState(f"Guest {instance_id} is not running: its console cannot be opened.")
            return FakeConsole(guest)
