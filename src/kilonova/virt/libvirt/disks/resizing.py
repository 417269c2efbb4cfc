# SPDX-License-Identifier: Apache-2.0
"""A guest's root disk made larger, with a copy of the old one kept aside until nobody needs it any more.

A whole copy, and no overlay: it can be given up under a running guest by removing a file, and put back by a rename.
Where the file system can share blocks between files it costs nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kilonova.base.errors import HypervisorError
from kilonova.base.files import fsync_directory, make_file
from kilonova.base.tools import Files, run_limited
from kilonova.config.default import watermark_bytes
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.libvirt.disks import chains
from kilonova.virt.libvirt.disks.disks import GIB, QEMU_IMG_LIMIT_S, Disks
from kilonova.virt.libvirt.disks.guest_disks import GuestDisks
from kilonova.virt.libvirt.xml.domain import Disk

COPY_LIMIT_S = 3000
"""For a copy; below the deadline of a resize."""

KEPT = "disk.kept-"
UNFINISHED = ".unfinished"


class KeptDisks:
    """Root disks and their copies.  `reserve` is what must stay free of a file system of so many bytes."""

    def __init__(self, disks: Disks, reserve: Callable[[int], int]) -> None:
        self._disks, self._reserve = disks, reserve

    def _path(self, instance_id: InstanceId, tag: str) -> Path:
        return self._disks.directory(instance_id) / f"{KEPT}{tag}"

    async def is_kept(self, instance_id: InstanceId, tag: str) -> bool:
        return await self._disks.blocking(instance_id, self._path(instance_id, tag).exists)

    async def keep(self, instance_id: InstanceId, tag: str) -> None:
        """The copy appears under its name when it is whole and on stable storage."""
        await self.drop(instance_id)
        path = self._path(instance_id, tag)
        unfinished = path.with_name(path.name + UNFINISHED)
        try:
            await self._copy(instance_id, unfinished)
        except (HypervisorError, asyncio.CancelledError):
            await self.drop(instance_id)
            raise
        await self._disks.blocking(instance_id, self._disks.publish, unfinished, path)

    async def _copy(self, instance_id: InstanceId, to: Path) -> None:
        disk = self._disks.root_disk(instance_id)
        files = Files([str(disk)], [str(to)])
        copy = partial(run_limited, limit_s=COPY_LIMIT_S, cpu_s=COPY_LIMIT_S, files=files)
        await self._disks.blocking(instance_id, make_file, to)
        try:
            await copy(["cp", "--reflink=always", "--", str(disk), str(to)])
        except HypervisorError:  # this file system copies block by block
            await self._disks.blocking(instance_id, self.check_room, disk)
            await copy(["cp", "--reflink=never", "--sparse=always", "--", str(disk), str(to)])

    def check_room(self, disk: Path) -> None:
        """Raises HypervisorError when there is none for a copy of the file.  Blocks."""
        total, free = self._disks.room()
        needed = disk.stat().st_blocks * 512
        if free - needed < self._reserve(total):
            raise HypervisorError(
                f"There is no room to keep the old disk: it takes {needed / GIB:.1f} GiB, and {free / GIB:.1f} GiB are "
                "free."
            )

    async def size(self, instance_id: InstanceId, disk: Disk) -> int:
        """As its guest, which may run, sees it; in bytes."""
        return await self._disks.blocking(instance_id, chains.virtual_size, disk)

    async def grow(self, disk: Disk, size: int) -> None:
        """To `size` bytes; a guest that runs holds a lock on its disk."""
        argv = ["qemu-img", "resize", "-q", chains.options(disk), str(size)]
        files = Files([layer.path for layer in disk.backing], [disk.path])
        await run_limited(argv, limit_s=QEMU_IMG_LIMIT_S, files=files)

    async def restore(self, instance_id: InstanceId, tag: str) -> None:
        """In one rename."""
        await self._disks.blocking(instance_id, self._restore, instance_id, tag)

    def _restore(self, instance_id: InstanceId, tag: str) -> None:
        directory = self._disks.directory(instance_id)
        with contextlib.suppress(FileNotFoundError):
            self._path(instance_id, tag).rename(self._disks.root_disk(instance_id))
            fsync_directory(directory)

    async def drop(self, instance_id: InstanceId) -> None:
        """Whole copies and parts of such."""
        await self._disks.blocking(instance_id, self._drop, instance_id)

    def _drop(self, instance_id: InstanceId) -> None:
        for path in self._disks.directory(instance_id).glob(f"{KEPT}*"):
            path.unlink(missing_ok=True)


class LibvirtResizing(GuestDisks):
    """The libvirt driver's part in a resize.  See kilonova.virt.driver.Resizing.  What is copied, made larger or put
    back is the disk that we made: one that other tools have moved is refused (DiskMoved)."""

    @property
    def _kept(self) -> KeptDisks:
        return KeptDisks(self._disks, partial(watermark_bytes, self.settings.default))

    async def keep_disk(self, instance_id: InstanceId, tag: str) -> None:
        self.refuse_if_read_only("keep_disk")
        if not await self._kept.is_kept(instance_id, tag):
            await self._require_off(instance_id)
            await self.own_root(instance_id)
            await self._kept.keep(instance_id, tag)

    async def grow_disk(self, instance_id: InstanceId, disk_gib: int) -> None:
        self.refuse_if_read_only("grow_disk")
        disk = await self.own_root(instance_id)
        if await self._kept.size(instance_id, disk) < disk_gib * GIB:
            await self._require_off(instance_id)
            await self._kept.grow(disk, disk_gib * GIB)

    async def restore_disk(self, instance_id: InstanceId, tag: str) -> None:
        self.refuse_if_read_only("restore_disk")
        if await self._kept.is_kept(instance_id, tag):
            await self._require_off(instance_id)
            await self.require_own_root(instance_id)
            await self._kept.restore(instance_id, tag)

    async def drop_kept_disk(self, instance_id: InstanceId) -> None:
        self.refuse_if_read_only("drop_kept_disk")
        await self._kept.drop(instance_id)

    async def _require_off(self, instance_id: InstanceId) -> None:
        """What a guest has open must not be copied, and what is renamed under it would be lost."""
        state = await self.guest_state(instance_id)
        if state is not None and state.power not in (PowerState.SHUTDOWN, PowerState.CRASHED):
            raise HypervisorError(f"Guest {instance_id} is not off: its disk is left as it is.")
