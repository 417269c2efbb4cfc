# SPDX-License-Identifier: Apache-2.0
"""Which disks a guest has, under which names and on which buses."""

from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.base.threads import InlineWorkers
from kilonova.objects.hardware import Hardware
from kilonova.virt.libvirt.disks.block_devices import devices
from kilonova.virt.libvirt.disks.disks import Disks
from tests import make

ALL = replace(make.flavor(), ephemeral_gib=1, swap_mib=64)


def given(tmp_path: Path, hardware: Hardware, *, rescued: bool = False) -> list[tuple[str, str, str, str]]:
    disks = Disks(tmp_path, "qemu:///system", InlineWorkers(), tmp_path / "chains")
    instance = make.instance(flavor=ALL, rescue_image=make.image_ref() if rescued else None)
    drive = disks.config_drive(instance.id)
    drive.parent.mkdir(exist_ok=True)
    drive.touch()
    made = devices(disks, instance, hardware)
    assert [disk.read_only for disk in made] == [False] * (len(made) - 1) + [True]
    return [(Path(disk.path).name, disk.target, disk.bus, disk.device) for disk in made]


@pytest.mark.parametrize(
    ("hardware", "prefix", "bus", "drive"),
    [
        (Hardware(), "vd", "virtio", ("vdd", "virtio", "disk")),
        (Hardware(disk_bus="scsi"), "sd", "scsi", ("sdd", "scsi", "cdrom")),
        (Hardware(disk_bus="sata"), "sd", "sata", ("sdd", "sata", "cdrom")),
        (Hardware(disk_bus="ide", machine="pc"), "hd", "ide", ("hdd", "ide", "cdrom")),
        (Hardware(disk_bus="usb", cdrom_bus="sata"), "sd", "usb", ("sdd", "sata", "cdrom")),
        (Hardware(cdrom_bus="sata"), "vd", "virtio", ("sda", "sata", "cdrom")),
        (Hardware(disk_bus="sata", cdrom_bus="virtio"), "sd", "sata", ("vda", "virtio", "disk")),
    ],
)
def test_names_and_buses(
    tmp_path: Path, hardware: Hardware, prefix: str, bus: str, drive: tuple[str, str, str]
) -> None:
    assert given(tmp_path, hardware) == [
        ("disk", f"{prefix}a", bus, "disk"),
        ("disk.eph0", f"{prefix}b", bus, "disk"),
        ("disk.swap", f"{prefix}c", bus, "disk"),
        ("disk.config", *drive),
    ]


def test_one_that_is_rescued(tmp_path: Path) -> None:
    found = given(tmp_path, Hardware(disk_bus="sata"), rescued=True)
    assert [name[:2] for name in found] == [("disk.rescue", "sda"), ("disk", "sdb"), ("disk.config", "sdc")]
