# SPDX-License-Identifier: Apache-2.0
"""What the libvirt driver can do beyond the core with guests' memory, disks and figures: see kilonova.virt.power."""

from functools import partial

from kilonova.base.errors import HypervisorError, InvalidState
from kilonova.objects.diagnostics import GuestDiagnostics
from kilonova.objects.guest import NOT_RESPONDING
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import PowerState
from kilonova.virt.driver import BaseImage
from kilonova.virt.libvirt import diagnostics, memory
from kilonova.virt.libvirt.connection import Hop
from kilonova.virt.libvirt.disks import Disks
from kilonova.virt.libvirt.domain_xml import Disk
from kilonova.virt.libvirt.guest_disks import GuestDisks
from kilonova.virt.libvirt.settle import Settling

MEMORY_LIMIT_S = 3600.0
"""For a guest's whole memory to be written or read; the action's own deadline is no longer."""

POLL_S = 0.5
"""Between two looks at a guest whose memory another call is writing or reading."""

DIAGNOSTICS_LIMIT_S = 8.0


class MemoryDisksFigures(GuestDisks):
    """A part of the driver.  What lasts goes through the *jobs* lane, under keys of its own: pulling the plug is the
    cure for all of it, and does not wait behind it."""

    _settling: Settling

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
        wanted = await self._disks.blocking(instance.id, devices, self._disks, instance)
        found = await self.definition(instance.id)
        await self._disks.blocking(instance.id, self._disks.chains.followed, instance.id, wanted, found)

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


def devices(disks: Disks, instance: Instance) -> tuple[Disk, ...]:
    """The guest's disks in their order; it boots from the first.  Blocks."""
    files = [(disks.root_disk(instance.id), "qcow2")]
    if instance.rescue_image is not None:
        files.insert(0, (disks.rescue_disk(instance.id), "qcow2"))
    if disks.config_drive(instance.id).exists():
        files.append((disks.config_drive(instance.id), "raw"))
    return tuple(
        Disk(str(path), target, kind, read_only=kind == "raw")
        for (path, kind), target in zip(files, ("vda", "vdb", "vdc"), strict=False)
    )
