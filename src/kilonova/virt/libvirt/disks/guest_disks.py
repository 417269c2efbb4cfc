# SPDX-License-Identifier: Apache-2.0
"""The libvirt driver's part in what a guest's disks are: read from libvirt, compared with the record, and looked at
before anything is changed (docs/adr/0015)."""

from abc import abstractmethod
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from kilonova.base.errors import HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.virt.driver import ComputeDriver
from kilonova.virt.libvirt.connection.pool import Hop, HypervisorConnection
from kilonova.virt.libvirt.disks import bases
from kilonova.virt.libvirt.disks.disks import Disks
from kilonova.virt.libvirt.domain import active, guest
from kilonova.virt.libvirt.domain.active import Definition
from kilonova.virt.libvirt.domain.guest import Ownership
from kilonova.virt.libvirt.xml.domain import Disk, Domain

T = TypeVar("T")

DEFINE_TRIES = 3
"""How often a domain is looked at again that other tools change meanwhile."""


class GuestDisks(ComputeDriver):
    """A part of the driver.  See kilonova.virt.capabilities.DiskChecks."""

    connection: HypervisorConnection
    _disks: Disks

    @abstractmethod
    async def _change(
        self, name: str, instance_id: InstanceId, fn: Hop[T], *, deadline_s: float | None = None
    ) -> T: ...

    async def definition(self, instance_id: InstanceId) -> Definition | None:
        """One fresh read of what libvirt has; None when there is no domain."""
        return await self.connection.control.run(partial(guest.definition, instance_id=instance_id))

    async def active_root(self, instance_id: InstanceId) -> Disk:
        """The root disk with its chain, each file looked at.  Raises DiskMoved, DiskUnusable."""
        found = await self.definition(instance_id)
        root = Disk(str(self._disks.root_disk(instance_id)), "", "qcow2")
        followed = partial(self._disks.chains.followed, instance_id, [root], found)
        (disk,) = await self._disks.blocking(instance_id, followed)
        return disk

    async def own_root(self, instance_id: InstanceId) -> Disk:
        """The same of a root disk that lies where it was made.  Raises DiskMoved, DiskUnusable."""
        await self.require_own_root(instance_id)
        return await self.active_root(instance_id)

    async def require_own_root(self, instance_id: InstanceId) -> None:
        """See DiskChecks."""
        path = str(self._disks.root_disk(instance_id))
        found = await self.definition(instance_id)
        await self._disks.blocking(instance_id, active.require_own, instance_id, found, path)

    async def bases_in_use(self) -> frozenset[str]:
        """See BasesInUse."""
        named = await self.connection.host.run(bases.in_definitions)
        return named | await self._disks.bases_in_use()

    async def define_as_it_is(self, wanted: Domain) -> Ownership:
        """The domain is what is wanted, with the name and the disks that libvirt has.  Raises DiskMoved,
        DiskUnusable."""
        instance_id = InstanceId(wanted.uuid)
        for _ in range(DEFINE_TRIES):
            seen = await self.definition(instance_id)
            followed = partial(self._disks.chains.followed, instance_id, wanted.disks, seen)
            disks = await self._disks.blocking(instance_id, followed)
            domain = replace(wanted, disks=disks, name=wanted.name if seen is None else seen.name)
            define = partial(guest.define, instance_id=instance_id, render=partial(_render, domain), seen=seen)
            if (owner := await self._change("define", instance_id, define)) is not None:
                return owner
        raise HypervisorError(f"The disks of guest {instance_id} are being changed by other tools.")

    async def forget_moved_root(self, instance_id: InstanceId) -> None:
        """A domain whose root disk other tools have moved is undefined, with its snapshots: the disk is replaced.  What
        lies on the old one in the guest's directory goes with it."""
        path = self._disks.root_disk(instance_id)
        found = await self.definition(instance_id)
        if found is None:
            return
        above = found.above(str(path))
        if above == ():
            return
        await self.undefine(instance_id)
        for layer in above or ():
            if Path(layer.path).parent == path.parent:
                await self._disks.remove_file(instance_id, Path(layer.path))


def _render(domain: Domain, mark: str | None) -> str:
    return replace(domain, metadata=replace(domain.metadata, mark=mark)).xml()
