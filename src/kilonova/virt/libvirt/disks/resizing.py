# SPDX-License-Identifier: Apache-2.0
"""Resizing guests' disks (see Resizing and LocalDisks): larger disks, and the way back."""

from kilonova.base.errors import HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import PowerState
from kilonova.virt.driver import changes_guests
from kilonova.virt.libvirt.disks.disks import GIB
from kilonova.virt.libvirt.disks.guest_disks import GuestDisks
from kilonova.virt.libvirt.disks.kept_disks import KeptDisks
from kilonova.virt.libvirt.disks.local_disks import LocalDiskFiles
from kilonova.virt.libvirt.domain.guests import Guests


class LibvirtResizing:
    """See Resizing.  Copies, grows and puts back the disk that this service made: a disk that other tools have
    moved is refused (DiskMoved)."""

    def __init__(
        self, guests: Guests, guest_disks: GuestDisks, kept: KeptDisks, local: LocalDiskFiles, *, read_only: bool
    ) -> None:
        self._guests, self._guest_disks, self._kept, self._local = guests, guest_disks, kept, local
        self.read_only = read_only

    @changes_guests
    async def keep_disk(self, instance_id: InstanceId, tag: str) -> None:
        if not await self._kept.is_kept(instance_id, tag):
            await require_off(self._guests, instance_id)
            await self._guest_disks.own_root(instance_id)
            await self._kept.keep(instance_id, tag)

    @changes_guests
    async def grow_disk(self, instance_id: InstanceId, disk_gib: int) -> None:
        disk = await self._guest_disks.own_root(instance_id)
        if await self._kept.size(instance_id, disk) < disk_gib * GIB:
            await require_off(self._guests, instance_id)
            await self._kept.grow(disk, disk_gib * GIB)

    @changes_guests
    async def restore_disk(self, instance_id: InstanceId, tag: str) -> None:
        if await self._kept.is_kept(instance_id, tag):
            await require_off(self._guests, instance_id)
            await self._guest_disks.require_own_root(instance_id)
            await self._kept.restore(instance_id, tag)

    @changes_guests
    async def drop_kept_disk(self, instance_id: InstanceId) -> None:
        await self._kept.drop(instance_id)
        await self._local.drop(instance_id)


class LibvirtLocalDisks:
    """See LocalDisks."""

    def __init__(self, guests: Guests, kept: KeptDisks, local: LocalDiskFiles, *, read_only: bool) -> None:
        self._guests, self._kept, self._local, self.read_only = guests, kept, local, read_only

    @changes_guests
    async def keep(self, instance_id: InstanceId, tag: str) -> None:
        if await self._kept.is_kept(instance_id, tag):
            return
        if await self._local.is_to_be_kept(instance_id, tag):
            await require_off(self._guests, instance_id)
            await self._local.keep(instance_id, tag, self._kept.check_room)

    @changes_guests
    async def fit(self, instance: Instance) -> None:
        if await self._local.misfits(instance):
            await require_off(self._guests, instance.id)
            await self._local.fit(instance)

    @changes_guests
    async def restore(self, instance: Instance, tag: str) -> None:
        if await self._local.is_kept(instance.id, tag):
            await require_off(self._guests, instance.id)
            await self._local.restore(instance.id, tag)
        await self.fit(instance)


async def require_off(guests: Guests, instance_id: InstanceId) -> None:
    """Raises HypervisorError unless the guest is off: a file that it has open must not be copied, and a file that is
    renamed under it would be lost."""
    state = await guests.state(instance_id)
    if state is not None and state.power not in (PowerState.SHUTDOWN, PowerState.CRASHED):
        raise HypervisorError(f"Guest {instance_id} is not off: its disk is left as it is.")
