# SPDX-License-Identifier: Apache-2.0
"""The fake driver's part in a resize, and in what may become of disks: a disk is its size, and so is a copy of it."""

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager

from kilonova.base.errors import DiskMoved, DiskUnusable, HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import PowerState
from kilonova.virt.driver import ComputeDriver
from kilonova.virt.fake.machine import FakeGuest, FakeHypervisor


class FakeDisks(ComputeDriver):
    """See kilonova.virt.driver.Resizing and kilonova.virt.capabilities.DiskChecks."""

    hypervisor: FakeHypervisor

    @abstractmethod
    def _call(
        self, name: str, instance_id: InstanceId | None = None, *, changes: bool
    ) -> AbstractAsyncContextManager[None]: ...

    async def bases_in_use(self) -> frozenset[str]:
        """See BasesInUse."""
        used = (base for guest in self.hypervisor.guests.values() for base in (guest.base, guest.rescue))
        return frozenset(str(base.path) for base in used if base is not None)

    async def keep_disk(self, instance_id: InstanceId, tag: str) -> None:
        async with self._call("keep_disk", instance_id, changes=True):
            guest = self._with_disk(instance_id)
            if guest.kept_disk is None or guest.kept_disk[0] != tag:
                _require_off(instance_id, guest)
                _require_own(instance_id, guest)
                guest.kept_disk = (tag, guest.disk_bytes)

    async def grow_disk(self, instance_id: InstanceId, disk_gib: int) -> None:
        async with self._call("grow_disk", instance_id, changes=True):
            guest = self._with_disk(instance_id)
            _require_own(instance_id, guest)
            if guest.disk_bytes < disk_gib << 30:
                _require_off(instance_id, guest)
                guest.disk_bytes = disk_gib << 30

    async def restore_disk(self, instance_id: InstanceId, tag: str) -> None:
        async with self._call("restore_disk", instance_id, changes=True):
            guest = self.hypervisor.guests.get(instance_id)
            if guest is not None and guest.kept_disk is not None and guest.kept_disk[0] == tag:
                _require_off(instance_id, guest)
                _require_own(instance_id, guest)
                guest.disk_bytes, guest.kept_disk, guest.disk_gone = guest.kept_disk[1], None, False

    async def drop_kept_disk(self, instance_id: InstanceId) -> None:
        async with self._call("drop_kept_disk", instance_id, changes=True):
            if (guest := self.hypervisor.guests.get(instance_id)) is not None:
                guest.kept_disk = None
                guest.kept_ephemeral.clear()

    async def check_disks(self, instance: Instance) -> None:
        """See DiskChecks."""
        async with self._call("check_disks", instance.id, changes=False):
            if self._with_disk(instance.id).disk_gone:
                raise DiskUnusable(f"The disk of guest {instance.id} cannot be read: No such file or directory.")

    async def require_own_root(self, instance_id: InstanceId) -> None:
        """See DiskChecks."""
        async with self._call("require_own_root", instance_id, changes=False):
            if (guest := self.hypervisor.guests.get(instance_id)) is not None:
                _require_own(instance_id, guest)

    def _with_disk(self, instance_id: InstanceId) -> FakeGuest:
        guest = self.hypervisor.guests.get(instance_id)
        if guest is None or guest.base is None:
            raise HypervisorError(f"Guest {instance_id} has no disk.")
        return guest


def _require_own(instance_id: InstanceId, guest: FakeGuest) -> None:
    if guest.disk_moved:
        raise DiskMoved(
            f"Guest {instance_id} writes to {guest.disk_moved}, a snapshot by other tools: it must be merged first."
        )


def _require_off(instance_id: InstanceId, guest: FakeGuest) -> None:
    if guest.power not in (PowerState.SHUTDOWN, PowerState.CRASHED):
        raise HypervisorError(f"Guest {instance_id} is not off: its disk is left as it is.")
