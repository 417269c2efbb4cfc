# SPDX-License-Identifier: Apache-2.0
"""The disks that a flavor gives beside the root disk: swap, and an empty one for whatever need not last."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance

EPHEMERAL, SWAP = "ephemeral", "swap"


@dataclass(frozen=True, slots=True)
class LocalDisk:
    """`kind` is EPHEMERAL or SWAP; `size` in bytes."""

    kind: str
    size: int


def wanted(flavor: Flavor) -> tuple[LocalDisk, ...]:
    """In the order in which a guest has them behind its root disk (Nova's)."""
    disks = (LocalDisk(EPHEMERAL, flavor.ephemeral_gib << 30), LocalDisk(SWAP, flavor.swap_mib << 20))
    return tuple(disk for disk in disks if disk.size)


@runtime_checkable
class LocalDisks(Protocol):
    """A driver whose guests have them: `ensure_disks` makes those that are missing, `replace_root_disk` makes all of
    them anew, `define` gives them to the guest (not while it is rescued), `remove_disks` and `drop_kept_disk` remove
    them and their copies.

    Where there is something to be done the guest must be off (HypervisorError)."""

    async def keep_local_disks(self, instance_id: InstanceId, tag: str) -> None:
        """A copy of the ephemeral disk, if there is one, is kept under `tag`, and those under other tags go.  To be
        called before `keep_disk`: once the root disk is kept under that tag, nothing is done, since what lies there may
        be the next flavor's already.  Swap holds nothing that a guest which is off needs."""
        ...

    async def fit_local_disks(self, instance: Instance) -> None:
        """They are as the instance's flavor says: an ephemeral disk has grown and holds what it held, swap of another
        size is made anew, and what the flavor has not is gone."""
        ...

    async def restore_local_disks(self, instance: Instance, tag: str) -> None:
        """What was kept under `tag` is there again, and the rest as the instance's flavor says."""
        ...
