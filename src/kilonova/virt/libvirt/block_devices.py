# SPDX-License-Identifier: Apache-2.0
"""Which disks a guest has, in which order and under which names.

Source: Nova's order: the root disk, the ephemeral one, swap, the config drive; while a server is rescued the rescue
disk, the root disk and the config drive.
"""

from pathlib import Path

from kilonova.objects.instance import Instance
from kilonova.virt.libvirt.disks import Disks
from kilonova.virt.libvirt.domain_xml import Disk
from kilonova.virt.libvirt.local_disks import path_of
from kilonova.virt.local_disks import wanted


def devices(disks: Disks, instance: Instance) -> tuple[Disk, ...]:
    """The guest's disks in their order; it boots from the first.  Blocks."""
    drive = disks.config_drive(instance.id)
    files: list[tuple[Path, str, bool]] = [(disks.root_disk(instance.id), "qcow2", False)]
    if instance.rescue_image is not None:
        files.insert(0, (disks.rescue_disk(instance.id), "qcow2", False))
    else:
        files += [(path_of(disks, instance.id, disk.kind), "raw", False) for disk in wanted(instance.flavor)]
    if drive.exists():
        files.append((drive, "raw", True))
    return tuple(
        Disk(str(path), f"vd{letter}", kind, read_only=read_only)
        for (path, kind, read_only), letter in zip(files, "abcde", strict=False)
    )
