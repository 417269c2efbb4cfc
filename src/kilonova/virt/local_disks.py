# SPDX-License-Identifier: Apache-2.0
"""The disks that a flavor adds to the root disk: swap, and an empty disk for temporary data."""

from dataclasses import dataclass

from kilonova.objects.flavor import Flavor

EPHEMERAL, SWAP = "ephemeral", "swap"


@dataclass(frozen=True, slots=True)
class LocalDisk:
    """`kind` is EPHEMERAL or SWAP; `size` is in bytes."""

    kind: str
    size: int


def local_disks_of(flavor: Flavor) -> tuple[LocalDisk, ...]:
    """The disks in Nova's order after the root disk."""
    disks = (LocalDisk(EPHEMERAL, flavor.ephemeral_gib << 30), LocalDisk(SWAP, flavor.swap_mib << 20))
    return tuple(disk for disk in disks if disk.size)
