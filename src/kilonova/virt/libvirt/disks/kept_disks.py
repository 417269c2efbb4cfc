# SPDX-License-Identifier: Apache-2.0
"""Root disks and the copies of them that a resize keeps until it is confirmed or reverted.

A complete copy, not an overlay: it can be dropped under a running guest by removing a file, and put back by a rename.
Where the file system can share blocks between files, the copy costs nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kilonova.base.errors import HypervisorError
from kilonova.base.files import make_file, remove_files, rename_file
from kilonova.base.tools import Files, run_limited
from kilonova.objects.ids import InstanceId
from kilonova.virt.libvirt.disks import chains
from kilonova.virt.libvirt.disks.disks import GIB, QEMU_IMG_LIMIT_S, Disks
from kilonova.virt.libvirt.xml.domain import Disk

COPY_LIMIT_S = 3000
"""The time limit of a copy; less than the deadline of a resize."""

KEPT = "disk.kept-"
UNFINISHED = ".unfinished"


class KeptDisks:
    """`watermark` says how many bytes must stay free of a file system with so many bytes."""

    def __init__(self, disks: Disks, watermark: Callable[[int], int]) -> None:
        self._disks, self._watermark = disks, watermark

    def _path(self, instance_id: InstanceId, tag: str) -> Path:
        return self._disks.directory(instance_id) / f"{KEPT}{tag}"

    async def is_kept(self, instance_id: InstanceId, tag: str) -> bool:
        return await self._disks.blocking(instance_id, self._path(instance_id, tag).exists)

    async def keep(self, instance_id: InstanceId, tag: str) -> None:
        """The copy gets its name when it is complete and on stable storage."""
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
        """Raises HypervisorError when there is not enough space for a copy of the file.  Blocks."""
        total, free = self._disks.room()
        needed = disk.stat().st_blocks * 512
        if free - needed < self._watermark(total):
            raise HypervisorError(
                f"There is not enough space to keep the old disk: it takes {needed / GIB:.1f} GiB, and "
                f"{free / GIB:.1f} GiB are free."
            )

    async def size(self, instance_id: InstanceId, disk: Disk) -> int:
        """The virtual size in bytes; the guest may run."""
        return await self._disks.blocking(instance_id, chains.virtual_size, disk)

    async def grow(self, disk: Disk, size: int) -> None:
        """Grow the disk to `size` bytes. The guest is off: a running guest holds a lock on its disk."""
        argv = ["qemu-img", "resize", "-q", chains.options(disk), str(size)]
        files = Files([layer.path for layer in disk.backing], [disk.path])
        await run_limited(argv, limit_s=QEMU_IMG_LIMIT_S, files=files)

    async def restore(self, instance_id: InstanceId, tag: str) -> None:
        """Put the copy back, in one rename."""
        await self._disks.blocking(instance_id, self._restore, instance_id, tag)

    def _restore(self, instance_id: InstanceId, tag: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            rename_file(self._path(instance_id, tag), self._disks.root_disk(instance_id))

    async def drop(self, instance_id: InstanceId) -> None:
        """Complete and incomplete copies."""
        await self._disks.blocking(instance_id, self._drop, instance_id)

    def _drop(self, instance_id: InstanceId) -> None:
        remove_files(self._disks.directory(instance_id).glob(f"{KEPT}*"))
