# SPDX-License-Identifier: Apache-2.0
"""The fake driver's swap and ephemeral disks. Only their sizes are kept."""

from kilonova.base.errors import HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.virt.fake.calls import FakeCalls
from kilonova.virt.fake.machine import FakeGuest
from kilonova.virt.local_disks import EPHEMERAL, local_disks_of


def make_all(guest: FakeGuest, instance: Instance) -> None:
    """Make all disks that the flavor has."""
    guest.local_disks = {disk.kind: disk.size for disk in local_disks_of(instance.flavor)}


class FakeLocalDisks:
    """See LocalDisks."""

    def __init__(self, calls: FakeCalls) -> None:
        self._calls = calls

    async def keep(self, instance_id: InstanceId, tag: str) -> None:
        async with self._calls.call("keep_local_disks", instance_id, changes=True):
            guest = self._calls.with_disk(instance_id)
            if guest.kept_disk is not None and guest.kept_disk[0] == tag:
                return
            if EPHEMERAL in guest.local_disks and tag not in guest.kept_ephemeral:
                _require_off(instance_id, guest)
                guest.kept_ephemeral = {tag: guest.local_disks[EPHEMERAL]}

    async def fit(self, instance: Instance) -> None:
        async with self._calls.call("fit_local_disks", instance.id, changes=True):
            self._fit(instance)

    async def restore(self, instance: Instance, tag: str) -> None:
        async with self._calls.call("restore_local_disks", instance.id, changes=True):
            guest = self._calls.with_disk(instance.id)
            if tag in guest.kept_ephemeral:
                _require_off(instance.id, guest)
                guest.local_disks[EPHEMERAL] = guest.kept_ephemeral.pop(tag)
            self._fit(instance)

    def _fit(self, instance: Instance) -> None:
        guest = self._calls.with_disk(instance.id)
        fitting = {disk.kind: disk.size for disk in local_disks_of(instance.flavor)}
        if fitting.get(EPHEMERAL) is not None:
            fitting[EPHEMERAL] = max(fitting[EPHEMERAL], guest.local_disks.get(EPHEMERAL, 0))
        if guest.local_disks != fitting:
            _require_off(instance.id, guest)
            guest.local_disks = fitting


def _require_off(instance_id: InstanceId, guest: FakeGuest) -> None:
    if guest.saved or not guest.off:
        raise HypervisorError(f"Guest {instance_id} is not off: its disks are left as they are.")
