# SPDX-License-Identifier: Apache-2.0
"""Other disks for guests that exist: the rescue disk, and a new root disk (see RescueDisks and DiskReplacement)."""

from functools import partial

from kilonova.base.errors import HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.virt.base_image import BaseImage
from kilonova.virt.driver import changes_guests
from kilonova.virt.libvirt.connection.guest_calls import GuestCalls
from kilonova.virt.libvirt.disks.disks import Disks
from kilonova.virt.libvirt.disks.guest_disks import GuestDisks
from kilonova.virt.libvirt.disks.local_disks import LocalDiskFiles
from kilonova.virt.libvirt.domain import memory


class LibvirtRescueDisks:
    """See RescueDisks."""

    def __init__(self, guest_disks: GuestDisks, disks: Disks, *, read_only: bool) -> None:
        self._guest_disks, self._disks, self.read_only = guest_disks, disks, read_only

    @changes_guests
    async def make_disk(self, instance: Instance, base: BaseImage) -> None:
        await self._guest_disks.active_root(instance.id)
        await self._disks.make_overlay(instance.id, self._disks.rescue_disk(instance.id), base)

    @changes_guests
    async def remove_disk(self, instance_id: InstanceId) -> None:
        await self._disks.remove_file(instance_id, self._disks.rescue_disk(instance_id))


class LibvirtDiskReplacement:
    """See DiskReplacement."""

    def __init__(self, calls: GuestCalls, guest_disks: GuestDisks, disks: Disks, local: LocalDiskFiles) -> None:
        self._calls, self._guest_disks, self._disks, self._local = calls, guest_disks, disks, local
        self.read_only = calls.read_only

    @changes_guests
    async def replace_root_disk(self, instance: Instance, base: BaseImage) -> None:
        if await self._calls.read(instance.id, partial(memory.holds_disk, instance_id=instance.id)):
            raise HypervisorError(f"Guest {instance.id} is not off: its disk is kept.")
        root = self._disks.root_disk(instance.id)
        await self._disks.make_overlay(instance.id, root, base, instance.flavor.disk_gib)
        await self._local.replace(instance)
        await self._guest_disks.forget_moved_root(instance.id)
