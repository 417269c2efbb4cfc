# SPDX-License-Identifier: Apache-2.0
"""What the libvirt driver can do beyond the core with guests' memory and disks: see kilonova.virt.capabilities."""

from abc import abstractmethod
from functools import partial

from kilonova.base.errors import HypervisorError, InvalidState
from kilonova.objects.diagnostics import GuestDiagnostics
from kilonova.objects.guest import NOT_RESPONDING
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import PowerState
from kilonova.virt.driver import BaseImage
from kilonova.virt.libvirt import definition
from kilonova.virt.libvirt.connection.in_doubt import Settling
from kilonova.virt.libvirt.connection.pool import Hop
from kilonova.virt.libvirt.disks.block_devices import is_swap_or_ephemeral
from kilonova.virt.libvirt.disks.local_disks import LibvirtLocalDisks
from kilonova.virt.libvirt.domain import diagnostics, memory

MEMORY_LIMIT_S = 3600.0
"""For a guest's whole memory to be written or read; the action's own deadline is no longer."""

POLL_S = 0.5
"""Between two looks at a guest whose memory another call is writing or reading."""

DIAGNOSTICS_LIMIT_S = 8.0


class MemoryDisksFigures(LibvirtLocalDisks):
    """A part of the driver.  What lasts goes through the *jobs* lane, under keys of its own: pulling the plug is the
    cure for all of it, and does not wait behind it."""

    _settling: Settling

    @abstractmethod
    async def _kind(self) -> str:
        """libvirt's type of guests."""

    def _refuse_if_read_only(self, name: str) -> None:
        if self.read_only:
            raise HypervisorError(f"The driver is read-only: {name} is refused.")

    # -- memory ------------------------------------------------------------------------------------------------------

    async def suspend(self, instance_id: InstanceId) -> None:
        """See Suspension."""
        self._refuse_if_read_only("suspend")
        try:
            await self._move_memory(instance_id, partial(memory.save, instance_id=instance_id))
        except HypervisorError as exc:
            if "libvirt_code" not in exc.details:
                raise
            state = await self.guest_state(instance_id)
            now = "unknown" if state is None else state.power.name.lower()
            raise HypervisorError(
                f"The memory of guest {instance_id} could not be saved; the guest is {now}. {exc.message}"
            ) from exc

    async def resume(self, instance_id: InstanceId) -> None:
        """See Suspension."""
        self._refuse_if_read_only("resume")
        await self._move_memory(instance_id, partial(memory.restore, instance_id=instance_id))

    async def _move_memory(self, instance_id: InstanceId, move: Hop[bool]) -> None:
        while not await self._settling.run(
            ("memory", instance_id),
            move,
            about=("guest", instance_id),
            deadline_s=MEMORY_LIMIT_S,
            link=self.connection.jobs,
        ):
            await self.virtapi.clock.sleep(POLL_S)

    # -- disks -------------------------------------------------------------------------------------------------------

    async def check_disks(self, instance: Instance) -> None:
        """See DiskChecks."""
        disks = partial(definition.disks_of, instance, await self._kind(), self._disks)
        wanted = await self._disks.blocking(instance.id, disks)
        found = await self.definition(instance.id)
        # A server of a time before there were swap and ephemeral disks gets them with its next start.
        has = {one.path for one in wanted if found is not None and found.above(one.path) is not None}
        looked_at = [one for one in wanted if one.path in has or not is_swap_or_ephemeral(one)]
        await self._disks.blocking(instance.id, self._disks.chains.followed, instance.id, looked_at, found)

    async def make_rescue_disk(self, instance: Instance, base: BaseImage) -> None:
        """See RescueDisk."""
        self._refuse_if_read_only("make_rescue_disk")
        await self.active_root(instance.id)
        await self._disks.make_overlay(instance.id, self._disks.rescue_disk(instance.id), base)

    async def remove_rescue_disk(self, instance_id: InstanceId) -> None:
        """See RescueDisk."""
        self._refuse_if_read_only("remove_rescue_disk")
        await self._disks.remove_file(instance_id, self._disks.rescue_disk(instance_id))

    async def replace_root_disk(self, instance: Instance, base: BaseImage) -> None:
        """See DiskReplacement."""
        self._refuse_if_read_only("replace_root_disk")
        if await self.connection.control.run(partial(memory.holds_disk, instance_id=instance.id)):
            raise HypervisorError(f"Guest {instance.id} is not off: its disk is kept.")
        root = self._disks.root_disk(instance.id)
        await self._disks.make_overlay(instance.id, root, base, instance.flavor.disk_gib)
        await self.local_disks.replace(instance)
        await self.forget_moved_root(instance.id)

    # -- figures -----------------------------------------------------------------------------------------------------

    async def diagnostics(self, instance_id: InstanceId) -> GuestDiagnostics:
        """See Diagnostics."""
        state = await self.guest_state(instance_id)
        if state is not None and state.reason == NOT_RESPONDING:
            raise InvalidState(f"Guest {instance_id} does not respond: it cannot be asked.")
        if state is None or state.power is not PowerState.RUNNING:
            raise diagnostics.not_running(instance_id)
        # By the settling though it changes nothing: one that hangs has the guest's pulse felt.
        return await self._settling.run(
            ("ask", instance_id),
            partial(diagnostics.read, instance_id=instance_id),
            about=("guest", instance_id),
            deadline_s=DIAGNOSTICS_LIMIT_S,
            link=self.connection.jobs,
        )
