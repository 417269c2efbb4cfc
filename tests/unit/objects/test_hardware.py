# SPDX-License-Identifier: Apache-2.0
"""What a flavor and an image together say of a server's hardware."""

from dataclasses import replace
from typing import Any

import pytest

from kilonova.objects.cpu_topology import Topology, limits_of, topology_of
from kilonova.objects.hardware import VERSION, Hardware, Need, Rng, Tpm, conflicts, hardware_of, needs, root_device
from kilonova.objects.image_properties import refusals
from tests import make

PLAIN = make.flavor(vcpus=4)


def flavor(**specs: str) -> Any:
    return replace(PLAIN, extra_specs={name.replace("__", ":"): value for name, value in specs.items()})


def test_who_asks_for_nothing_gets_what_every_guest_gets() -> None:
    assert hardware_of(PLAIN, {"colour": "red"}) == Hardware()
    assert needs(PLAIN, {"colour": "red", "hw_machine_type": "q35", "hw_disk_bus": "virtio"}) == ()
    assert conflicts(PLAIN, {}) == []


@pytest.mark.parametrize(
    ("properties", "field", "value"),
    [
        ({"hw_firmware_type": "uefi"}, "uefi", True),
        ({"hw_firmware_type": "uefi", "os_secure_boot": "required"}, "secure_boot", "required"),
        ({"os_secure_boot": "optional"}, "secure_boot", "disabled"),
        ({"hw_machine_type": "pc"}, "machine", "pc"),
        ({"hw_disk_bus": "sata"}, "disk_bus", "sata"),
        ({"vmware_adaptertype": "lsiLogicsas"}, "scsi_model", "lsisas1068"),
        ({"hw_cdrom_bus": "usb"}, "cdrom_bus", "usb"),
        ({"hw_vif_model": "VirtualE1000"}, "vif_model", "e1000"),
        ({"hw_video_model": "none"}, "video_model", "none"),
        ({"hw_video_model": "vga"}, "video_model", "vga"),
        ({"hw_watchdog_action": "reset"}, "watchdog", "reset"),
        ({"hw_boot_menu": "On"}, "boot_menu", True),
        ({"hw_qemu_guest_agent": "no"}, "guest_agent", False),
        ({"os_type": "Windows"}, "windows", True),
        ({"hw_time_hpet": "true"}, "hpet", True),
        ({"hw_tpm_version": "2.0"}, "tpm", Tpm("2.0", "tpm-tis")),
        ({"hw_cpu_cores": "2"}, "topology", Topology(2, 2, 1)),
    ],
)
def test_each_property_is_given(properties: dict[str, str], field: str, value: object) -> None:
    assert refusals(properties) == []
    assert conflicts(PLAIN, properties) == []
    assert getattr(hardware_of(PLAIN, properties), field) == value


@pytest.mark.parametrize(
    ("specs", "field", "value"),
    [
        ({"hw__boot_menu": "true"}, "boot_menu", True),
        ({"hw__watchdog_action": "pause"}, "watchdog", "pause"),
        ({"hw__tpm_version": "2.0", "hw__tpm_model": "tpm-crb"}, "tpm", Tpm("2.0", "tpm-crb")),
        ({"hw_rng__allowed": "False"}, "rng", None),
        ({"hw_rng__rate_bytes": "9", "hw_rng__rate_period": "8"}, "rng", Rng(9, 8)),
        ({"hw__cpu_max_sockets": "1"}, "topology", Topology(1, 4, 1)),
    ],
)
def test_each_extra_spec_is_given(specs: dict[str, str], field: str, value: object) -> None:
    assert getattr(hardware_of(flavor(**specs), {}), field) == value


def test_who_wins_where_flavor_and_image_both_say_it() -> None:
    both = flavor(hw__boot_menu="false", hw__watchdog_action="pause")
    won = hardware_of(both, {"hw_boot_menu": "true", "hw_watchdog_action": "reset"})
    assert (won.boot_menu, won.watchdog) == (False, "reset")


@pytest.mark.parametrize(
    ("specs", "properties", "name"),
    [
        ({}, {"hw_disk_bus": "ide"}, "hw_disk_bus=ide needs hw_machine_type=pc"),
        ({}, {"hw_cdrom_bus": "ide", "hw_machine_type": "pc-q35-7.2"}, "hw_cdrom_bus=ide"),
        ({}, {"os_secure_boot": "required"}, "needs hw_firmware_type=uefi"),
        (
            {},
            {"os_secure_boot": "required", "hw_firmware_type": "uefi", "hw_machine_type": "pc"},
            "needs hw_machine_type=q35",
        ),
        ({"os__secure_boot": "required"}, {"os_secure_boot": "disabled"}, "contradicts os:secure_boot=required"),
        ({"hw__tpm_version": "2.0"}, {"hw_tpm_version": "1.2"}, "contradicts"),
        ({}, {"hw_tpm_model": "tpm-crb"}, "hw_tpm_model needs hw_tpm_version"),
        ({}, {"hw_tpm_model": "tpm-crb", "hw_tpm_version": "1.2"}, "needs hw_tpm_version=2.0"),
        ({"hw__cpu_max_sockets": "1", "hw__cpu_max_cores": "1", "hw__cpu_max_threads": "1"}, {}, "vCPUs cannot be"),
    ],
)
def test_what_cannot_be_together_is_told(specs: dict[str, str], properties: dict[str, str], name: str) -> None:
    said = conflicts(flavor(**specs), properties)
    assert any(name in why for why in said)


def test_what_not_every_host_can_give_is_named_as_it_was_asked_for() -> None:
    image = {
        "architecture": "amd64",
        "img_hv_type": "KVM",
        "img_hv_requested_version": ">=6.0",
        "hw_machine_type": "pc",
        "hw_disk_bus": "scsi",
        "hw_video_model": "qxl",
        "hw_firmware_type": "uefi",
    }
    assert set(needs(PLAIN, image)) == {
        Need("hw_architecture", "x86_64", "architectures"),
        Need("img_hv_type", "kvm", "hypervisor_types"),
        Need("img_hv_requested_version", ">=6.0", VERSION),
        Need("hw_machine_type", "pc", "machines"),
        Need("hw_disk_bus", "scsi", "disk_buses"),
        Need("hw_video_model", "qxl", "video_models"),
        Need("hw_firmware_type", "uefi", "firmwares"),
    }
    secure = flavor(os__secure_boot="required", hw__tpm_version="2.0")
    assert {need.name for need in needs(secure, {"hw_firmware_type": "uefi"})} == {
        "hw_firmware_type", "os:secure_boot", "hw:tpm_version", "hw:tpm_model"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("specs", "image", "best"),
    [
        ({"hw:cpu_max_sockets": "2"}, {}, (2, 4, 1)),
        ({}, {"hw_cpu_cores": "4"}, (2, 4, 1)),
        ({}, {"hw_cpu_threads": "2"}, (4, 1, 2)),
        ({"hw:cpu_sockets": "2"}, {"hw_cpu_threads": "2"}, (4, 1, 2)),
        ({"hw:cpu_max_threads": "1"}, {"hw_cpu_threads": "2"}, (8, 1, 1)),
        ({"hw:cpu_max_sockets": "4"}, {"hw_cpu_max_sockets": "1"}, (1, 8, 1)),
        ({}, {"hw_cpu_sockets": "3"}, (8, 1, 1)),
        ({}, {"hw_cpu_sockets": "1", "hw_cpu_cores": "4", "hw_cpu_threads": "2"}, (1, 4, 2)),
    ],
)
def test_eight_processors_are_arranged(
    specs: dict[str, str], image: dict[str, str], best: tuple[int, int, int]
) -> None:
    assert topology_of(8, limits_of(specs, image)) == Topology(*best)


def test_no_arrangement() -> None:
    assert topology_of(8, None) is None
    assert (
        topology_of(7, limits_of({"hw:cpu_max_sockets": "2", "hw:cpu_max_cores": "3"}, {"hw_cpu_max_threads": "2"}))
        is None
    )


def test_the_root_disks_name_follows_its_bus() -> None:
    names = {bus: root_device({"hw_disk_bus": bus}) for bus in ("virtio", "ide", "scsi", "sata", "usb")}
    assert names == {"virtio": "vda", "ide": "hda", "scsi": "sda", "sata": "sda", "usb": "sda"}
    assert root_device({}) == "vda"
