# SPDX-License-Identifier: Apache-2.0
"""Swap and ephemeral disks: sparse raw files beside the root disk, formatted when they are made.

As in Nova, swap has no label, and an ephemeral disk has the label `ephemeral0`, by which cloud-init finds it.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from kilonova.base.files import make_file, remove_files, rename_file
from kilonova.base.tools import Files, run_limited
from kilonova.objects import image_properties
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.virt.libvirt.disks.disks import Disks
from kilonova.virt.libvirt.disks.kept_disks import COPY_LIMIT_S, UNFINISHED
from kilonova.virt.local_disks import EPHEMERAL, SWAP, LocalDisk, local_disks_of

FILES = {EPHEMERAL: "disk.eph0", SWAP: "disk.swap"}
KEPT = f"{FILES[EPHEMERAL]}.kept-"
LABEL = "ephemeral0"
FORMAT_LIMIT_S = 300.0
FORMATS = {
    "ext4": ("mkfs.ext4", "-q", "-F", "-L", LABEL, "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"),
    "xfs": ("mkfs.xfs", "-q", "-f", "-K", "-L", LABEL),
    "vfat": ("mkfs.vfat", "-n", LABEL),
    "ntfs": ("mkfs.ntfs", "-q", "-f", "-F", "-L", LABEL),
}
"""File systems of ephemeral disks, and the commands that make them."""
MKSWAP = ("mkswap",)
_SBIN = "/usr/sbin:/sbin"
"""The directories of these tools, also for a service whose PATH does not name them."""


def path_of(disks: Disks, instance_id: InstanceId, kind: str) -> Path:
    """The file of a disk of that kind."""
    return disks.directory(instance_id) / FILES[kind]


def file_system_of(instance: Instance, configured: str) -> str:
    """The file system of an ephemeral disk: the configured one, or else a file system that the image's operating system
    can read."""
    os_type = image_properties.present(instance.image.properties).get("os_type")
    return configured or ("ntfs" if os_type == "windows" else "ext4")


class LocalDiskFiles:
    """The files.  `file_system` returns the configured file system of ephemeral disks, empty for the default."""

    def __init__(self, disks: Disks, file_system: Callable[[], str]) -> None:
        self._disks, self._file_system = disks, file_system

    async def ensure(self, instance: Instance) -> None:
        """Make the missing disks; the guest's directory must exist."""
        for disk in local_disks_of(instance.flavor):
            if await self._size(instance.id, disk.kind) is None:
                await self._make(instance, disk)

    async def replace(self, instance: Instance) -> None:
        """Make all disks again; each replaces the old one atomically."""
        for disk in local_disks_of(instance.flavor):
            await self._make(instance, disk)

    async def misfits(self, instance: Instance) -> bool:
        """Whether any disk is missing, has another size, or should not exist."""
        sizes = {kind: await self._size(instance.id, kind) for kind in FILES}
        target = {disk.kind: disk.size for disk in local_disks_of(instance.flavor)}
        return any(sizes[kind] != target.get(kind) for kind in FILES)

    async def fit(self, instance: Instance) -> None:
        """See LocalDisks.fit.  The guest is off."""
        target = {disk.kind: disk for disk in local_disks_of(instance.flavor)}
        for kind in FILES:
            now, disk = await self._size(instance.id, kind), target.get(kind)
            if disk is None:
                await self._disks.remove_file(instance.id, path_of(self._disks, instance.id, kind))
            elif now is None or (kind == SWAP and now != disk.size):
                await self._make(instance, disk)
            elif now < disk.size:
                await self._disks.blocking(instance.id, self._grow, path_of(self._disks, instance.id, kind), disk.size)

    def _grow(self, path: Path, size: int) -> None:
        handle = os.open(path, os.O_RDWR)
        try:
            os.truncate(handle, size)
            os.fsync(handle)
        finally:
            os.close(handle)

    async def _size(self, instance_id: InstanceId, kind: str) -> int | None:
        path = path_of(self._disks, instance_id, kind)
        return await self._disks.blocking(instance_id, _size_of, path)

    async def _make(self, instance: Instance, disk: LocalDisk) -> None:
        path = path_of(self._disks, instance.id, disk.kind)
        unfinished = path.with_name(path.name + UNFINISHED)
        await self._disks.blocking(instance.id, _blank, unfinished, disk.size)
        name, *options = MKSWAP if disk.kind == SWAP else FORMATS[file_system_of(instance, self._file_system())]
        tool = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SBIN}") or name
        argv = [tool, *options, str(unfinished)]
        await run_limited(argv, limit_s=FORMAT_LIMIT_S, files=Files(writes=[str(unfinished)]))
        await self._disks.blocking(instance.id, self._disks.publish, unfinished, path)

    # -- copies that a resize keeps ------------------------------------------------------------------------------------

    def kept_path(self, instance_id: InstanceId, tag: str) -> Path:
        """The path of the copy of the ephemeral disk."""
        return self._disks.directory(instance_id) / f"{KEPT}{tag}"

    async def is_to_be_kept(self, instance_id: InstanceId, tag: str) -> bool:
        """Whether there is an ephemeral disk without a copy."""
        has = await self._size(instance_id, EPHEMERAL) is not None
        return has and not await self.is_kept(instance_id, tag)

    async def is_kept(self, instance_id: InstanceId, tag: str) -> bool:
        return await self._disks.blocking(instance_id, self.kept_path(instance_id, tag).exists)

    async def keep(self, instance_id: InstanceId, tag: str, check_room: Callable[[Path], None]) -> None:
        """The copy gets its name when it is complete and on stable storage."""
        await self.drop(instance_id)
        disk, path = path_of(self._disks, instance_id, EPHEMERAL), self.kept_path(instance_id, tag)
        unfinished = path.with_name(path.name + UNFINISHED)
        argv = ["cp", "--reflink=auto", "--sparse=always", "--", str(disk), str(unfinished)]
        await self._disks.blocking(instance_id, check_room, disk)
        await self._disks.blocking(instance_id, make_file, unfinished)
        files = Files([str(disk)], [str(unfinished)])
        await run_limited(argv, limit_s=COPY_LIMIT_S, cpu_s=COPY_LIMIT_S, files=files)
        await self._disks.blocking(instance_id, self._disks.publish, unfinished, path)

    async def drop(self, instance_id: InstanceId) -> None:
        """Complete and incomplete copies."""
        await self._disks.blocking(instance_id, self._drop, instance_id)

    def _drop(self, instance_id: InstanceId) -> None:
        remove_files(self._disks.directory(instance_id).glob(f"{KEPT}*"))

    async def restore(self, instance_id: InstanceId, tag: str) -> None:
        """Put the copy back, in one rename."""
        await self._disks.blocking(instance_id, self._restore, instance_id, tag)

    def _restore(self, instance_id: InstanceId, tag: str) -> None:
        rename_file(self.kept_path(instance_id, tag), path_of(self._disks, instance_id, EPHEMERAL))


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _blank(path: Path, size: int) -> None:
    make_file(path)
    os.truncate(path, size)
