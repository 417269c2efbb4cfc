# SPDX-License-Identifier: Apache-2.0
"""Hardware that images choose, as libvirt and QEMU take it."""

from dataclasses import replace

from kilonova.objects.hardware import conflicts
from kilonova.objects.image_properties import refusals
from kilonova.objects.instance import Instance
from kilonova.objects.states import PowerState
from tests.contract.drivers import Bench, Case

SCSI = ("lsilogic", "lsisas1068", "lsisas1078", "virtio-scsi")
NICS = ("e1000", "e1000e", "ne2k_pci", "pcnet", "rtl8139", "vmxnet3")
WISHES: list[dict[str, str]] = [
    *({"hw_disk_bus": bus} for bus in ("sata", "scsi", "usb")),
    {"hw_machine_type": "pc", "hw_disk_bus": "ide", "hw_cdrom_bus": "ide"},
    *({"hw_disk_bus": "scsi", "hw_scsi_model": model} for model in SCSI),
    *({"hw_cdrom_bus": bus} for bus in ("sata", "scsi", "usb", "virtio")),
    *({"hw_vif_model": model} for model in NICS),
    *({"hw_video_model": model} for model in ("bochs", "cirrus", "vga", "virtio")),
    {"hw_watchdog_action": "pause", "hw_boot_menu": "yes", "hw_time_hpet": "no", "hw_qemu_guest_agent": "no"},
    {"os_type": "windows"},
]
STARTED: list[dict[str, str]] = [
    {"hw_machine_type": "pc", "hw_disk_bus": "ide", "hw_vif_model": "rtl8139", "hw_video_model": "vga"},
    {"hw_disk_bus": "scsi", "hw_scsi_model": "virtio-scsi", "hw_cdrom_bus": "sata", "hw_cpu_cores": "2",
     "hw_watchdog_action": "reset", "hw_vif_model": "e1000"},
]  # fmt: skip


def wishing(b: Bench, properties: dict[str, str]) -> Instance:
    plain = b.instance()
    flavor = replace(plain.flavor, vcpus=2)
    assert refusals(properties) == conflicts(flavor, properties) == []
    return replace(plain, flavor=flavor, image=replace(plain.image, properties=properties))


def test_every_wish_is_one_that_can_be_defined(case: Case) -> None:
    async def test(b: Bench) -> None:
        for properties in WISHES:
            guest = wishing(b, properties)
            await b.build(guest)
            await b.tear_down(guest)

    case.run(test)


def test_guests_with_wishes_run(case: Case) -> None:
    async def test(b: Bench) -> None:
        for properties in STARTED:
            guest = wishing(b, properties)
            await b.build(guest)
            await b.driver.power_on(guest.id, "m")
            assert await b.power(guest.id) is PowerState.RUNNING
            await b.tear_down(guest)

    case.run(test)
