# SPDX-License-Identifier: Apache-2.0
"""Copies of fake guests' disks: valid, empty qcow2 images of the right size."""

import struct
from collections.abc import AsyncIterator

from kilonova.base.errors import DiskUnusable, HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.virt.fake.calls import FakeCalls

_CLUSTER_BITS = 16


def empty_qcow2(virtual_bytes: int) -> bytes:
    """A disk of zeros as a qcow2 of version 2: header, refcount table and block, and an L1 table without entries.

    Source: QEMU, docs/interop/qcow2.rst.
    """
    cluster = 1 << _CLUSTER_BITS
    l1_entries = -(-virtual_bytes // (1 << (2 * _CLUSTER_BITS - 3)))
    l1_clusters = -(-8 * l1_entries // cluster)
    header = struct.pack(
        ">4sIQIIQIIQQIIQ",
        *(b"QFI\xfb", 2, 0, 0, _CLUSTER_BITS, virtual_bytes, 0, l1_entries, 3 * cluster, cluster, 1, 0, 0),
    )
    refcount_table = struct.pack(">Q", 2 * cluster)
    refcounts = struct.pack(">H", 1) * (3 + l1_clusters)
    parts = (header, refcount_table, refcounts, bytes(l1_clusters * cluster))
    return b"".join(part.ljust(cluster, b"\0") for part in parts)


class FakeSnapshots:
    """See DiskSnapshots."""

    def __init__(self, calls: FakeCalls) -> None:
        self._calls = calls

    async def take(self, instance_id: InstanceId, name: str, limit_s: float) -> None:
        async with self._calls.call("take_snapshot", instance_id, changes=True):
            guest = self._calls.found(instance_id)
            if guest is None or guest.base is None:
                raise HypervisorError(f"Guest {instance_id} has no disk.")
            if guest.disk_gone and guest.off:  # a running guest has it open
                raise DiskUnusable(f"The disk of guest {instance_id} cannot be read: No such file or directory.")
            guest.snapshots.setdefault(name, empty_qcow2(guest.disk_bytes))

    async def read(self, instance_id: InstanceId, name: str) -> AsyncIterator[bytes]:
        async with self._calls.call("read_snapshot", instance_id, changes=False):
            guest = self._calls.found(instance_id)
            if guest is None or name not in guest.snapshots:
                raise HypervisorError(f"Guest {instance_id} has no snapshot {name}.")
            data = guest.snapshots[name]
        yield data

    async def remove(self, instance_id: InstanceId, name: str) -> None:
        async with self._calls.call("remove_snapshot", instance_id, changes=True):
            guest = self._calls.found(instance_id)
            if guest is not None:
                guest.snapshots.pop(name, None)
