# SPDX-License-Identifier: Apache-2.0
"""A guest's files on the host: one directory per guest. After a power cut each file is complete or absent.

Functions that touch the file system block; `Disks` runs them in a worker.
"""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from kilonova.base.errors import HypervisorError, HypervisorUnavailable
from kilonova.base.files import fsync_directory, make_directory, make_file, open_plain, publish, remove_files
from kilonova.base.threads import Workers
from kilonova.base.tools import Files, run_limited
from kilonova.objects.ids import InstanceId
from kilonova.virt.base_image import BaseImage
from kilonova.virt.libvirt.disks import bases
from kilonova.virt.libvirt.disks.chains import Chains, Records, check_base
from kilonova.virt.libvirt.xml.layer import Layer

T = TypeVar("T")

QEMU_IMG_LIMIT_S = 60.0

GIB = 1 << 30


LONGEST_SOCKET = 107
"""Bytes of a socket's path that Linux takes (unix(7): 108 with the zero at its end)."""


GUEST = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The name of a guest's directory: its id."""
NAMES_MOST = 50
"""The number of files of one guest that are listed."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The names in a guest's directory (None without a directory), and whether its backing files are recorded."""

    names: tuple[str, ...] | None
    has_record: bool


@dataclass(frozen=True, slots=True)
class Owner:
    """The user that the hypervisor's daemon and its guests run as."""

    uid: int
    gid: int


def owner_of_files(uri: str) -> Owner | None:
    """The required owner of a guest's files; None when the daemon sets it, or runs as our user. A system daemon changes
    owners when it starts a guest. A session daemon cannot; when we are root and the daemon belongs to an unprivileged
    user, the owner of its socket is that user. Raises HypervisorUnavailable when the socket does not exist.
    """
    if os.geteuid() != 0:
        return None
    parts = urlsplit(uri)
    socket = parse_qs(parts.query).get("socket")
    if parts.path != "/session" or not socket:
        return None
    try:
        found = os.stat(socket[0])
    except OSError as exc:
        raise HypervisorUnavailable(
            f"The socket {socket[0]} of the hypervisor cannot be read: {exc.strerror}."
        ) from exc
    return None if found.st_uid == 0 else Owner(found.st_uid, found.st_gid)


class Disks:
    """The directories of guests under `root` (`instances_path`). `records` is a directory that only this service
    writes."""

    def __init__(self, root: Path, uri: str, workers: Workers, records: Path) -> None:
        self.root, self._uri, self._workers = root, uri, workers
        self._records = Records(records)
        self.chains = Chains(self._records, root / "_base")

    def directory(self, instance_id: InstanceId) -> Path:
        return self.root / instance_id

    def root_disk(self, instance_id: InstanceId) -> Path:
        return self.directory(instance_id) / "disk"

    def rescue_disk(self, instance_id: InstanceId) -> Path:
        return self.directory(instance_id) / "disk.rescue"

    def config_drive(self, instance_id: InstanceId) -> Path:
        return self.directory(instance_id) / "disk.config"

    def console_log(self, instance_id: InstanceId) -> Path:
        return self.directory(instance_id) / "console.log"

    def agent_socket(self, instance_id: InstanceId) -> Path | None:
        """The socket of the guest agent's channel; None: libvirt chooses the path. The path of a session daemon lies so
        deep below the user's configuration that with a home directory of more than 15 characters no guest starts. The
        path of a system daemon is short, and its security driver allows it.
        """
        path = self.directory(instance_id) / "agent.sock"
        is_session = urlsplit(self._uri).path == "/session"
        return path if is_session and len(os.fsencode(path)) <= LONGEST_SOCKET else None

    async def bases_in_use(self) -> frozenset[str]:
        """The bases that records and headers name; see kilonova.virt.libvirt.disks.bases."""
        return await self._workers.run(bases.in_files, self.root, self._records.root)

    async def contents(self) -> Mapping[InstanceId, Contents]:
        """What exists of each guest that has a directory or a record.  Raises HypervisorError."""
        try:
            return await self._workers.run(self._contents)
        except OSError as exc:
            raise HypervisorError(f"The files of guests cannot be listed: {exc}") from exc

    def _contents(self) -> Mapping[InstanceId, Contents]:
        recorded = self._records.guests()
        found = {instance_id: Contents(None, has_record=True) for instance_id in recorded}
        for directory in self.root.iterdir() if self.root.is_dir() else ():
            if GUEST.fullmatch(directory.name) and directory.is_dir() and not directory.is_symlink():
                instance_id = InstanceId(directory.name)
                names = _names_in(directory)
                if names is not None:
                    found[instance_id] = Contents(names, has_record=instance_id in recorded)
        return found

    async def forget(self, instance_id: InstanceId) -> None:
        """The guest has no disk: its record is removed, unless it has a directory."""
        await self.blocking(instance_id, self._forget, instance_id)

    def _forget(self, instance_id: InstanceId) -> None:
        if not self.directory(instance_id).exists():
            self._records.forget(instance_id)

    async def blocking(self, instance_id: InstanceId, fn: Callable[..., T], *args: Any) -> T:
        """Run `fn(*args)`, which works on the guest's files, in a worker. Raises HypervisorError for errors of the file
        system."""
        try:
            return await self._workers.run(fn, *args)
        except OSError as exc:
            raise HypervisorError(f"The files of guest {instance_id} cannot be used: {exc}") from exc

    async def ensure_overlay(self, instance_id: InstanceId, base: BaseImage, disk_gib: int) -> None:
        """The root disk is a qcow2 overlay on `base` of at least `disk_gib`.  An existing disk is kept as it is: a disk
        appears under its name only when it is complete and on stable storage."""
        disk = self.root_disk(instance_id)
        if not await self.blocking(instance_id, disk.exists):
            await self.make_overlay(instance_id, disk, base, disk_gib)

    async def make_overlay(self, instance_id: InstanceId, disk: Path, base: BaseImage, disk_gib: int = 0) -> None:
        """`disk` is a fresh overlay on `base` of at least `disk_gib`.  It replaces the former disk in one rename."""
        size = max(disk_gib * GIB, base.virtual_size)
        unfinished, layer = disk.with_name(f"{disk.name}.unfinished"), Layer(str(base.path), base.disk_format)
        await self.blocking(instance_id, self._prepare, instance_id, unfinished, layer)
        await create_overlay(unfinished, base, size)
        await self.blocking(instance_id, self._take_place, instance_id, unfinished, disk, layer)

    def _prepare(self, instance_id: InstanceId, unfinished: Path, base: Layer) -> None:
        check_base(base)
        self.make_directory(instance_id)
        make_file(unfinished)

    def _take_place(self, instance_id: InstanceId, unfinished: Path, disk: Path, base: Layer) -> None:
        """Between the two records the disk is the old one or the new one."""
        old = self._records.bases(instance_id, disk.name) if disk.exists() else ()
        self._records.expect(instance_id, disk.name, [base, *old])
        self.publish(unfinished, disk)
        self._records.expect(instance_id, disk.name, [base])

    def make_directory(self, instance_id: InstanceId) -> Path:
        """Make the guest's directory, which QEMU's user can pass through under any umask. Blocks."""
        owner = owner_of_files(self._uri)
        make_directory(self.root)
        directory = self.directory(instance_id)
        if make_directory(directory) and owner is not None:
            os.chown(directory, owner.uid, owner.gid)  # (its first file puts that on stable storage)
        return directory

    def write_config_drive(self, instance_id: InstanceId, iso: bytes) -> None:
        """The config drive is `iso`.  Blocks."""
        self.make_directory(instance_id)
        path = self.config_drive(instance_id)
        unfinished = path.with_name("disk.config.unfinished")
        make_file(unfinished)
        unfinished.write_bytes(iso)
        self.publish(unfinished, path)

    def publish(self, unfinished: Path, path: Path) -> None:
        """Give a complete file its name: owner, contents on stable storage, rename, directory on stable storage."""
        owner = owner_of_files(self._uri)
        with open_plain(unfinished) as file:
            if owner is not None:
                os.fchown(file.fileno(), owner.uid, owner.gid)
            os.fchmod(file.fileno(), 0o600)
        publish(unfinished, path)

    async def remove_file(self, instance_id: InstanceId, path: Path) -> None:
        """Remove one file of the guest."""
        await self.blocking(instance_id, remove_files, (path,))

    async def remove(self, instance_id: InstanceId) -> None:
        """No file of the guest exists."""
        await self.blocking(instance_id, self._remove, instance_id)

    def _remove(self, instance_id: InstanceId) -> None:
        self._remove_directory(self.directory(instance_id))
        self._records.forget(instance_id)

    def _remove_directory(self, directory: Path) -> None:
        try:
            shutil.rmtree(directory)
        except FileNotFoundError:
            if not directory.exists():
                return
            shutil.rmtree(directory)  # a file disappeared meanwhile (a log that was rotated)
        fsync_directory(self.root)

    async def console_tail(self, instance_id: InstanceId, max_bytes: int) -> bytes:
        """The last bytes of the console log, rotated parts included."""
        return await self.blocking(instance_id, self._console_tail, instance_id, max_bytes)

    def _console_tail(self, instance_id: InstanceId, max_bytes: int) -> bytes:
        log = self.console_log(instance_id)
        found = b""
        for path in (log, *(log.with_name(f"{log.name}.{n}") for n in range(3))):
            wanted = max_bytes - len(found)
            if wanted <= 0:
                break
            try:
                found = _tail(path, wanted) + found
            except FileNotFoundError:
                break
        return found

    async def space(self) -> tuple[int, int]:
        """Bytes in all and bytes free for us of the file system that guests' disks are on."""
        return await self._workers.run(self.room)

    def room(self) -> tuple[int, int]:
        """The same.  Blocks."""
        path = next(p for p in (self.root, *self.root.parents) if p.exists())
        found = os.statvfs(path)
        return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize


def _names_in(directory: Path) -> tuple[str, ...] | None:
    """None when it was removed meanwhile."""
    try:
        return tuple(sorted(os.listdir(directory))[:NAMES_MOST])
    except FileNotFoundError:
        return None


def disk_short(free: int, watermark: int, root: Path) -> str:
    """Why no more disks should come to `root`, in a text that does not change while the shortage lasts; empty while
    there is space. Arguments in bytes."""
    return "" if free >= watermark else f"less than {watermark / GIB:.1f} GiB are free at {root}"


def _tail(path: Path, max_bytes: int) -> bytes:
    with open_plain(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - max_bytes))
        return file.read(max_bytes)


async def create_overlay(path: Path, base: BaseImage, size: int) -> None:
    """`qemu-img create` of an overlay of `size` bytes on `base` in the file `path`, which exists and is empty. The tool
    receives the base's format and does not open the base. Raises HypervisorError with the tool's own message; the file
    may be incomplete then.
    """
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-F", base.disk_format, "-b", str(base.path)]
    argv += [str(path), str(size)]
    await run_limited(argv, limit_s=QEMU_IMG_LIMIT_S, files=Files(writes=[str(path)]))
