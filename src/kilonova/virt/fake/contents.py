# SPDX-License-Identifier: Apache-2.0
"""What exists on the fake driver's machine."""

from collections.abc import Callable, Mapping, Sequence

from kilonova.objects.host_contents import GuestContents, NetworkContents, Reserved
from kilonova.objects.ids import InstanceId
from kilonova.objects.service import HostNetwork
from kilonova.virt.fake.calls import FakeCalls
from kilonova.virt.fake.machine import FakeGuest


class FakeContents:
    """See HostContents.  The guests of this machine have no unfinished files and no records."""

    def __init__(self, calls: FakeCalls, networks: Callable[[], Sequence[HostNetwork]]) -> None:
        self._calls, self._networks = calls, networks

    async def guests(self) -> Mapping[InstanceId, GuestContents]:
        async with self._calls.call("contents", changes=False):
            return {id_: _contents(id_, guest) for id_, guest in self._calls.hypervisor.guests.items()}

    async def disk_trouble(self, instance_id: InstanceId) -> str:
        async with self._calls.call("disk_trouble", instance_id, changes=False):
            guest = self._calls.found(instance_id)
            return "disk cannot be read: No such file or directory." if guest is not None and guest.disk_gone else ""

    async def networks(self) -> NetworkContents:
        async with self._calls.call("networks", changes=False):
            networks = self._networks()
            own = "".join(network.name for network in networks if network.backend == "nat")
            plugged = [guest.definition for guest in self._calls.hypervisor.guests.values() if guest.network]
            every = (address for one in plugged if one is not None for address in one.addresses)
            reserved = tuple(Reserved(one.mac, one.address) for one in every if one.network == own)
            return NetworkContents(tuple(network.name for network in networks), (), own, reserved)

    async def remove_left_over(self, instance_id: InstanceId, name: str) -> None:
        async with self._calls.call("remove_left_over", instance_id, changes=True):
            """There are no such files."""

    async def forget_record(self, instance_id: InstanceId) -> None:
        async with self._calls.call("forget_record", instance_id, changes=True):
            """There are no records."""

    async def mend_networks(self) -> None:
        async with self._calls.call("mend_networks", changes=True):
            """The networks of this machine need no repair."""


def _contents(instance_id: InstanceId, guest: FakeGuest) -> GuestContents:
    disks = {
        "disk": guest.base is not None and not guest.disk_gone,
        "disk.config": guest.config_drive is not None,
        "disk.rescue": guest.rescue is not None,
        "disk.kept": guest.kept_disk is not None,
    }
    files = tuple(name for name, exists in disks.items() if exists)
    power = None if guest.definition is None else guest.state.power
    return GuestContents(instance_id, power, files or None)
