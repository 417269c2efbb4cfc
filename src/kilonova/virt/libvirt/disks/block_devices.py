# SPDX-License-Identifier: Apache-2.0
"""Which disks a guest has, in which order and under which names.

Source: Nova's order: root disk, ephemeral disk, swap, config drive; while a server is rescued: rescue disk, root disk,
config drive.
"""

from collections import Counter
from pathlib import Path

from kilonova.objects.hardware import Hardware, disk_prefix
from kilonova.objects.instance import Instance
from kilonova.virt.libvirt.disks.disks import Disks
from kilonova.virt.libvirt.disks.local_disks import path_of
from kilonova.virt.libvirt.xml.domain import Disk
from kilonova.virt.local_disks import local_disks_of

LETTERS = "abcdefgh"


def devices(disks: Disks, instance: Instance, hardware: Hardware) -> tuple[Disk, ...]:
    """The guest's disks in their order; it boots from the first.  Blocks."""
    files: list[tuple[Path, str]] = [(disks.root_disk(instance.id), "qcow2")]
    if instance.rescue_image is not None:
        files.insert(0, (disks.rescue_disk(instance.id), "qcow2"))
    else:
        files += [(path_of(disks, instance.id, disk.kind), "raw") for disk in local_disks_of(instance.flavor)]
    prefix = disk_prefix(hardware.disk_bus)
    found = [
        Disk(str(path), f"{prefix}{letter}", kind, bus=hardware.disk_bus)
        for (path, kind), letter in zip(files, LETTERS, strict=False)
    ]
    drive = disks.config_drive(instance.id)
    return (*found, _drive(drive, hardware, found)) if drive.exists() else tuple(found)


def is_swap_or_ephemeral(disk: Disk) -> bool:
    """Whether a disk of `devices` is swap or ephemeral: the others are overlays, and the config drive."""
    return disk.format == "raw" and not disk.read_only


def _drive(path: Path, hardware: Hardware, before: list[Disk]) -> Disk:
    """The config drive, under the next free name of its bus."""
    bus = hardware.cdrom_bus or hardware.disk_bus
    taken = Counter(disk.target[:2] for disk in before)
    target = f"{disk_prefix(bus)}{LETTERS[taken[disk_prefix(bus)]]}"
    is_disc = bus != "virtio"  # virtio has no optical drives, and SATA and IDE have no read-only disks
    return Disk(str(path), target, "raw", read_only=True, bus=bus, device="cdrom" if is_disc else "disk")
