# SPDX-License-Identifier: Apache-2.0
"""Copies of guests' root disks: a separate qcow2 beside the guest, consistent for one moment, made while the guest
continues. A copy is made under a temporary name and gets its final name when it is complete and on stable storage.
qemu-img converts a disk that no process writes to; the QEMU of a running guest copies its disk (see snapshot_job).
"""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import DiskUnusable, HypervisorError
from kilonova.base.files import make_file, open_plain, publish, remove_files
from kilonova.base.threads import Opening, Workers
from kilonova.base.tools import Files, run_limited
from kilonova.objects.ids import InstanceId
from kilonova.virt.libvirt.connection.guest_calls import GuestCalls
from kilonova.virt.libvirt.disks import chains, snapshot_job
from kilonova.virt.libvirt.disks.disks import QEMU_IMG_LIMIT_S, Disks
from kilonova.virt.libvirt.disks.guest_disks import GuestDisks
from kilonova.virt.libvirt.disks.snapshot_job import Job

log = structlog.get_logger(__name__)

T = TypeVar("T")

PREFIX = "snapshot-"
CHUNK_BYTES = 1 << 20
POLL_FIRST_S = 0.1
POLL_MOST_S = 2.0
ABORT_LIMIT_S = 30.0
CPU_MOST_S = 3600
"""The limit on the CPU time of qemu-img, for one disk."""


class LibvirtSnapshots:
    """See DiskSnapshots.  `watermark` says how many bytes must stay free of a file system with so many bytes."""

    def __init__(
        self,
        calls: GuestCalls,
        guest_disks: GuestDisks,
        disks: Disks,
        files: Workers,
        clock: Clock,
        watermark: Callable[[int], int],
    ) -> None:
        self._calls, self._guest_disks, self._watermark = calls, guest_disks, watermark
        self._disks, self._files, self._clock = disks, files, clock

    async def take(self, instance_id: InstanceId, name: str, limit_s: float) -> None:
        if await self._files.run(self._path(instance_id, name).exists):
            return
        end = self._clock.monotonic() + limit_s
        path = self._path(instance_id, name)
        unfinished = _unfinished(path)
        job = await self._job(instance_id, unfinished)
        if job is Job.ANOTHER:
            raise HypervisorError(f"The disk of guest {instance_id} is being copied by another job.")
        if job is not Job.OURS:  # one at a time: files of an earlier job are left over
            await self._disks.blocking(instance_id, _clear, path.parent)
            await self._check_room(instance_id, runs=job is not Job.OFF)
        if not await self._copied_by_qemu(instance_id, unfinished, job, end):
            await self._disks.blocking(instance_id, make_file, unfinished)
            await self._convert(instance_id, unfinished, end - self._clock.monotonic())
        await self._disks.blocking(instance_id, publish, unfinished, path)

    async def read(self, instance_id: InstanceId, name: str) -> AsyncIterator[bytes]:
        opening = Opening(partial(open_plain, self._path(instance_id, name)))
        try:
            file = await self._disks.blocking(instance_id, opening.open)
            while chunk := await self._disks.blocking(instance_id, file.read, CHUNK_BYTES):
                yield chunk
        finally:
            await self._files.run(opening.close)

    async def remove(self, instance_id: InstanceId, name: str) -> None:
        path = self._path(instance_id, name)
        await self._stop(instance_id, _unfinished(path))
        await self._disks.blocking(instance_id, remove_files, (_unfinished(path), path))

    async def _call(self, fn: Callable[..., T], instance_id: InstanceId, **words: str) -> T:
        return await self._calls.change_disk("snapshot", instance_id, partial(fn, instance_id=instance_id, **words))

    def _path(self, instance_id: InstanceId, name: str) -> Path:
        return self._disks.directory(instance_id) / f"{PREFIX}{name}"

    async def _job(self, instance_id: InstanceId, unfinished: Path) -> Job:
        return await self._call(snapshot_job.look, instance_id, path=str(unfinished))

    async def _copied_by_qemu(self, instance_id: InstanceId, unfinished: Path, job: Job, end: float) -> bool:
        """False when the guest is off.  A job that an earlier process started is continued."""
        if job is Job.OFF:
            return False
        begun: snapshot_job.Begun | None = snapshot_job.Begun(thawed=False)
        if job is not Job.OURS:
            root = str(self._disks.root_disk(instance_id))
            begun = await self._call(snapshot_job.begin, instance_id, root=root, path=str(unfinished))
        if begun is None:
            return False
        if not begun.thawed:  # the previous process died before it could thaw, or the agent was slow
            await self._call(snapshot_job.thaw, instance_id)
        how = await self._ended(instance_id, end)
        if how is None:
            await self._stop(instance_id, unfinished)
            raise HypervisorError(f"The disk of guest {instance_id} was not copied in time.")
        if how.succeeded:
            return True
        if await self._job(instance_id, unfinished) is Job.OFF:
            return False
        raise HypervisorError(f"The disk of guest {instance_id} was not copied: {how.reason}.")

    async def _ended(self, instance_id: InstanceId, end: float) -> snapshot_job.Ended | None:
        """How the job ended; None when it still runs at `end`.  Polls; between two reads other calls can reach the
        guest."""
        pause = POLL_FIRST_S
        while (how := await self._call(snapshot_job.ended, instance_id)) is None and self._clock.monotonic() < end:
            await self._clock.sleep(pause)
            pause = min(pause * 1.5, POLL_MOST_S)
        return how

    async def _stop(self, instance_id: InstanceId, unfinished: Path) -> None:
        if await self._job(instance_id, unfinished) is Job.OURS:
            await self._call(snapshot_job.abort, instance_id)
            await self._ended(instance_id, self._clock.monotonic() + ABORT_LIMIT_S)

    async def _convert(self, instance_id: InstanceId, unfinished: Path, limit_s: float) -> None:
        """Convert the disk. The tool receives every file of the disk with its format: the disk's own header is not
        followed."""
        disk = await self._guest_disks.active_root(instance_id)
        argv = ["qemu-img", "convert", "-O", "qcow2", chains.options(disk), str(unfinished)]
        files = Files(chains.files(disk), [str(unfinished)])
        await run_limited(argv, limit_s=max(limit_s, 0), cpu_s=CPU_MOST_S, files=files)

    async def _check_room(self, instance_id: InstanceId, *, runs: bool) -> None:
        """Refuse a copy that would fill the file system of all guests of this host: the copy, and the image, which
        may lie on the same file system.  A disk that cannot be measured, and that the guest's QEMU copies, is copied in
        any case: the file that QEMU has open may be the last copy."""
        try:
            disk = await self._guest_disks.active_root(instance_id)
        except DiskUnusable as exc:
            if not runs:
                raise
            log.warning("a disk that cannot be measured is copied", instance=instance_id, error=exc.message)
            return
        argv = ["qemu-img", "measure", "-U", "--output", "json", "-O", "qcow2", chains.options(disk)]
        output = await run_limited(argv, limit_s=QEMU_IMG_LIMIT_S, files=Files(chains.files(disk)))
        needed = 2 * int(json.loads(output)["required"])
        total, free = await self._disks.space()
        if free - needed < self._watermark(total):
            log.warning(
                "there is not enough space for an image", guest=instance_id, needed_bytes=needed, free_bytes=free
            )
            raise HypervisorError(f"There is not enough space for an image of guest {instance_id} on its host.")


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{path.name}.unfinished")


def _clear(directory: Path) -> None:
    remove_files(directory.glob(f"{PREFIX}*"))
