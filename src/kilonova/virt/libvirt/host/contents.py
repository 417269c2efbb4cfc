# SPDX-License-Identifier: Apache-2.0
"""What exists on this host: domains, directories and records of guests, and networks."""

from collections.abc import Mapping

from kilonova.base.errors import DiskMoved, DiskUnusable
from kilonova.objects.guest import GuestState
from kilonova.objects.host_contents import GuestContents, NetworkContents
from kilonova.objects.ids import InstanceId
from kilonova.virt.driver import changes_guests
from kilonova.virt.libvirt.disks.disks import Contents, Disks
from kilonova.virt.libvirt.disks.guest_disks import GuestDisks
from kilonova.virt.libvirt.domain.guests import Guests
from kilonova.virt.libvirt.network.guest_networks import GuestNetworks

_NOTHING = Contents(None, has_record=False)


class LibvirtContents:
    """See HostContents."""

    def __init__(
        self, guests: Guests, guest_disks: GuestDisks, disks: Disks, networks: GuestNetworks, *, read_only: bool
    ) -> None:
        self._guests, self._guest_disks, self._disks, self._networks = guests, guest_disks, disks, networks
        self.read_only = read_only

    async def guests(self) -> Mapping[InstanceId, GuestContents]:
        files = await self._disks.contents()
        states = await self._guests.states()
        return {id_: _contents(id_, states.get(id_), files.get(id_, _NOTHING)) for id_ in files.keys() | states.keys()}

    async def disk_trouble(self, instance_id: InstanceId) -> str:
        try:
            await self._guest_disks.active_root(instance_id)
        except DiskMoved:
            return ""
        except DiskUnusable as exc:
            return exc.message
        return ""

    async def networks(self) -> NetworkContents:
        return await self._networks.contents()

    @changes_guests
    async def remove_left_over(self, instance_id: InstanceId, name: str) -> None:
        assert name in GuestContents(instance_id, files=(name,)).left_over, name
        await self._disks.remove_file(instance_id, self._disks.directory(instance_id) / name)

    @changes_guests
    async def forget_record(self, instance_id: InstanceId) -> None:
        await self._disks.forget(instance_id)

    @changes_guests
    async def mend_networks(self) -> None:
        self._networks.forget()
        await self._networks.found()


def _contents(instance_id: InstanceId, state: GuestState | None, found: Contents) -> GuestContents:
    power = None if state is None else state.power
    return GuestContents(instance_id, power, found.names, found.has_record)
