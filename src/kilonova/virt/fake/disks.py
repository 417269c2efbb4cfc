# SPDX-License-Identifier: Apache-2.0
"""The fake driver's root disks. Only the sizes of a disk and of its copies are kept."""

from kilonova.base.errors import DiskMoved, DiskUnusable, HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import PowerState
from kilonova.virt.base_image import BaseImage
from kilonova.virt.fake.calls import FakeCalls
from kilonova.virt.fake.local_disks import make_all
from kilonova.virt.fake.machine import FakeGuest


class FakeBaseImageUse:
    """See BaseImageUse."""

    def __init__(self, calls: FakeCalls) -> None:
        self._calls = calls

    async def bases_in_use(self) -> frozenset[str]:
        used = (base for guest in self._calls.hypervisor.guests.values() for base in (guest.base, guest.rescue))
        return frozenset(str(base.path) for base in used if base is not None)


class FakeResizing:
    """See Resizing."""

    def __init__(self, calls: FakeCalls) -> None:
        self._calls = calls

    async def keep_disk(self, instance_id: InstanceId, tag: str) -> None:
        async with self._calls.call("keep_disk", instance_id, changes=True):
            guest = self._calls.with_disk(instance_id)
            if guest.kept_disk is None or guest.kept_disk[0] != tag:
                _require_off(instance_id, guest)
                _require_own(instance_id, guest)
                guest.kept_disk = (tag, guest.disk_bytes)

    async def grow_disk(self, instance_id: InstanceId, disk_gib: int) -> None:
        async with self._calls.call("grow_disk", instance_id, changes=True):
            guest = self._calls.with_disk(instance_id)
            _require_own(instance_id, guest)
            if guest.disk_bytes < disk_gib << 30:
                _require_off(instance_id, guest)
                guest.disk_bytes = disk_gib << 30

    async def restore_disk(self, instance_id: InstanceId, tag: str) -> None:
        async with self._calls.call("restore_disk", instance_id, changes=True):
            guest = self._calls.found(instance_id)
            if guest is not None and guest.kept_disk is not None and guest.kept_disk[0] == tag:
                _require_off(instance_id, guest)
                _require_own(instance_id, guest)
                guest.disk_bytes, guest.kept_disk, guest.disk_gone = guest.kept_disk[1], None, False

    async def drop_kept_disk(self, instance_id: InstanceId) -> None:
        async with self._calls.call("drop_kept_disk", instance_id, changes=True):
            if (guest := self._calls.found(instance_id)) is not None:
                guest.kept_disk = None
                guest.kept_ephemeral.clear()


class FakeDiskChecks:
    """See DiskChecks."""

    def __init__(self, calls: FakeCalls) -> None:
        self._calls = calls

    async def check(self, instance: Instance) -> None:
        async with self._calls.call("check_disks", instance.id, changes=False):
            if self._calls.with_disk(instance.id).disk_gone:
                raise DiskUnusable(f"The disk of guest {instance.id} cannot be read: No such file or directory.")

    async def require_own_root(self, instance_id: InstanceId) -> None:
        async with self._calls.call("require_own_root", instance_id, changes=False):
            if (guest := self._calls.found(instance_id)) is not None:
                _require_own(instance_id, guest)


class FakeRescueDisks:
    """See RescueDisks."""

    def __init__(self, calls: FakeCalls) -> None:
        self._calls = calls

    async def make_disk(self, instance: Instance, base: BaseImage) -> None:
        async with self._calls.call("make_rescue_disk", instance.id, changes=True):
            guest = self._calls.guest(instance.id)
            if guest.base is None or guest.disk_gone:
                self._calls.forget_if_empty(instance.id)
                raise HypervisorError(f"Guest {instance.id} has no disk of its own to be rescued.")
            guest.rescue = base

    async def remove_disk(self, instance_id: InstanceId) -> None:
        async with self._calls.call("remove_rescue_disk", instance_id, changes=True):
            if (guest := self._calls.found(instance_id)) is not None:
                guest.rescue = None


class FakeDiskReplacement:
    """See DiskReplacement."""

    def __init__(self, calls: FakeCalls) -> None:
        self._calls = calls

    async def replace_root_disk(self, instance: Instance, base: BaseImage) -> None:
        async with self._calls.call("replace_root_disk", instance.id, changes=True):
            guest = self._calls.guest(instance.id)
            if guest.saved or not guest.off:
                raise HypervisorError(f"Guest {instance.id} is not off: its disk is kept.")
            guest.base, guest.disk_bytes = base, max(instance.flavor.disk_gib << 30, base.virtual_size)
            guest.disk_gone, guest.disk_moved = False, ""
            make_all(guest, instance)


def _require_own(instance_id: InstanceId, guest: FakeGuest) -> None:
    if guest.disk_moved:
        raise DiskMoved(
            f"Guest {instance_id} writes to {guest.disk_moved}, a snapshot by other tools: it must be merged first."
        )


def _require_off(instance_id: InstanceId, guest: FakeGuest) -> None:
    if guest.power not in (PowerState.SHUTDOWN, PowerState.CRASHED):
        raise HypervisorError(f"Guest {instance_id} is not off: its disk is left as it is.")
