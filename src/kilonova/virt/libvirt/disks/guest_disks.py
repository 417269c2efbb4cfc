# SPDX-License-Identifier: Apache-2.0
"""The disks of a guest: read from libvirt, compared with the record, and checked before any change (docs/adr/0015)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from kilonova.base.errors import HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.virt.libvirt.connection.guest_calls import GuestCalls
from kilonova.virt.libvirt.disks import bases
from kilonova.virt.libvirt.disks.block_devices import is_swap_or_ephemeral
from kilonova.virt.libvirt.disks.disks import Disks
from kilonova.virt.libvirt.domain import active, guest
from kilonova.virt.libvirt.domain.active import Definition
from kilonova.virt.libvirt.domain.guests import Guests
from kilonova.virt.libvirt.xml.domain import Disk, Domain

DEFINE_TRIES = 3
"""The number of reads of a domain that other tools change meanwhile."""


class GuestDisks:
    """Disks of domains that exist, or are about to be defined."""

    def __init__(self, calls: GuestCalls, guests: Guests, disks: Disks) -> None:
        self._calls, self._guests, self._disks = calls, guests, disks

    async def definition(self, instance_id: InstanceId) -> Definition | None:
        """One fresh read of libvirt's definition; None when there is no domain."""
        return await self._calls.read(instance_id, partial(guest.definition, instance_id=instance_id))

    async def active_root(self, instance_id: InstanceId) -> Disk:
        """The root disk with its chain, each file checked.  Raises DiskMoved, DiskUnusable."""
        found = await self.definition(instance_id)
        root = Disk(str(self._disks.root_disk(instance_id)), "", "qcow2")
        followed = partial(self._disks.chains.followed, instance_id, [root], found)
        (disk,) = await self._disks.blocking(instance_id, followed)
        return disk

    async def own_root(self, instance_id: InstanceId) -> Disk:
        """The same for a root disk at its original place. Raises DiskMoved, DiskUnusable."""
        await self.require_own_root(instance_id)
        return await self.active_root(instance_id)

    async def require_own_root(self, instance_id: InstanceId) -> None:
        """See DiskChecks."""
        path = str(self._disks.root_disk(instance_id))
        found = await self.definition(instance_id)
        await self._disks.blocking(instance_id, active.require_own, instance_id, found, path)

    async def define(self, wanted: Domain) -> None:
        """The domain has the wanted definition, with the name and the disks that libvirt has.  Raises DiskMoved,
        DiskUnusable."""
        instance_id = InstanceId(wanted.uuid)
        for _ in range(DEFINE_TRIES):
            seen = await self.definition(instance_id)
            followed = partial(self._disks.chains.followed, instance_id, wanted.disks, seen)
            disks = await self._disks.blocking(instance_id, followed)
            domain = replace(wanted, disks=disks, name=wanted.name if seen is None else seen.name)
            define = partial(guest.define, instance_id=instance_id, render=partial(_render, domain), seen=seen)
            if (owner := await self._calls.change("define", instance_id, define)) is not None:
                self._guests.defined(instance_id, owner)
                return
        raise HypervisorError(f"The disks of guest {instance_id} are being changed by other tools.")

    async def forget_moved_root(self, instance_id: InstanceId) -> None:
        """Undefine a domain whose root disk other tools have moved, with its snapshots, because the disk is replaced.
        Files above the old disk in the guest's directory are removed with it."""
        path = self._disks.root_disk(instance_id)
        found = await self.definition(instance_id)
        if found is None:
            return
        above = found.above(str(path))
        if above == ():
            return
        await self._guests.undefine(instance_id)
        for layer in above or ():
            if Path(layer.path).parent == path.parent:
                await self._disks.remove_file(instance_id, Path(layer.path))


class LibvirtDiskChecks:
    """See DiskChecks.  `wanted` names the disks of an instance."""

    def __init__(
        self, guest_disks: GuestDisks, disks: Disks, wanted: Callable[[Instance], Awaitable[tuple[Disk, ...]]]
    ) -> None:
        self._guest_disks, self._disks, self._wanted = guest_disks, disks, wanted

    async def check(self, instance: Instance) -> None:
        wanted = await self._wanted(instance)
        found = await self._guest_disks.definition(instance.id)
        # A server that is older than swap and ephemeral disks gets them with its next start.
        attached = {one.path for one in wanted if found is not None and found.above(one.path) is not None}
        to_check = [one for one in wanted if one.path in attached or not is_swap_or_ephemeral(one)]
        await self._disks.blocking(instance.id, self._disks.chains.followed, instance.id, to_check, found)

    async def require_own_root(self, instance_id: InstanceId) -> None:
        await self._guest_disks.require_own_root(instance_id)


class LibvirtBaseImageUse:
    """See BaseImageUse."""

    def __init__(self, calls: GuestCalls, disks: Disks) -> None:
        self._calls, self._disks = calls, disks

    async def bases_in_use(self) -> frozenset[str]:
        named = await self._calls.connection.host.run(bases.in_definitions)
        return named | await self._disks.bases_in_use()


def _render(domain: Domain, start_token: str | None) -> str:
    return replace(domain, metadata=replace(domain.metadata, start_token=start_token)).xml()
