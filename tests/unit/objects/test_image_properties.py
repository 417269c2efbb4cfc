# SPDX-License-Identifier: Apache-2.0
"""Image properties: what there is, and what guests get."""

import re

import pytest

from kilonova.objects.image_properties import OLD_NAMES, PROPERTIES, kept, present, refusals

LABELS = [
    ("colour", "red"),
    ("os_distro", "debian"),
    ("os_version", "12"),
    ("os_admin_user", "debian"),
    ("image_type", "snapshot"),
    ("owner_specified.openstack.md5", ""),
    ("os_glance_importing_to_stores", ""),
    ("img_signature", "x" * 400),
]
GIVEN = [
    ("hw_firmware_type", "bios"),
    ("hw_qemu_guest_agent", "YES"),
    ("hw_cpu_policy", "shared"),
    ("hw_mem_page_size", "any"),
    ("hw_boot_menu", "False"),
    ("vm_mode", "HVM"),
    ("os_type", "Linux"),
    ("img_config_drive", "mandatory"),
    ("img_block_device_mapping", "[]"),
]
NOT_GIVEN = [
    ("hw_cpu_policy", "dedicated"),
    ("hw_mem_page_size", "1GB"),
    ("hw_numa_nodes", "9"),
    ("hw_numa_cpus.0", "0-1"),
    ("hw_disk_bus", "fdc"),
    ("hw_video_model", "gop"),
    ("hw_vif_model", "VirtualVmxnet"),
    ("vm_mode", "xen"),
    ("block_device_mapping", '[{"volume_id": "x"}]'),
    ("cinder_encryption_key_id", "00000000-0000-4000-8000-000000000000"),
    ("trait:HW_CPU_X86_SGX", "required"),
    ("kernel_id", "5f0e3b2a-7d0c-4f57-9f3b-0a2f6f1d9c11"),
    ("hw_machine_type", "virt"),
    ("hw_scsi_model", "paravirtual"),
    ("hw_serial_port_count", "2"),
]
NOT_VALID = [
    ("hw_disk_bus", "floppybus"),
    ("architecture", "nonsense"),
    ("hw_boot_menu", "maybe"),
    ("hw_cpu_sockets", "0"),
    ("hw_firmware_type", "efi"),
    ("os_shutdown_timeout", "abc"),
    ("os_type", "amiga"),
    ("hw_vif_model", "e999"),
    ("img_hv_requested_version", "new"),
    ("img_hv_type", "bochs"),
]
UNKNOWN = [("hw_firmwear_type", "uefi"), ("os_secureboot", "required"), ("hw:cpu_policy", "dedicated")]


@pytest.mark.parametrize(("name", "value"), LABELS + GIVEN)
def test_what_asks_for_nothing_and_what_guests_get_is_taken(name: str, value: str) -> None:
    assert refusals({name: value}) == []


@pytest.mark.parametrize(("name", "value"), NOT_GIVEN + NOT_VALID + UNKNOWN)
def test_all_else_is_refused_by_name(name: str, value: str) -> None:
    [why] = refusals({name: value, "colour": "red"})
    assert OLD_NAMES.get(name, name) in why


@pytest.mark.parametrize(("name", "value"), NOT_VALID)
def test_of_a_value_that_there_is_not_the_refusal_says_which_there_are(name: str, value: str) -> None:
    [why] = refusals({name: value})
    assert "allowed is" in why
    assert value in why


def test_every_refusal_is_told() -> None:
    assert len(refusals(dict(NOT_GIVEN))) == len(NOT_GIVEN)


def test_old_names_are_read_and_the_present_one_wins() -> None:
    assert present({"architecture": "AMD64"}) == {"hw_architecture": "x86_64"}
    assert present({"hw_architecture": "x86_64", "architecture": "ppc64"}) == {"hw_architecture": "x86_64"}
    assert present({"vmware_adaptertype": "ide"})["hw_disk_bus"] == "ide"
    assert present({"vmware_adaptertype": "lsiLogic"}) == {
        "hw_disk_bus": "scsi",
        "hw_scsi_model": "lsilogic",
        "vmware_adaptertype": "lsiLogic",
    }


def test_what_is_given_is_among_the_values() -> None:
    for one in PROPERTIES:
        for value in (one.given or "").split("|"):
            if value and value != one.values and re.fullmatch(r"[\w.-]+", value):
                assert re.fullmatch(one.values, value), one.name


def test_what_a_server_keeps_of_a_value_is_cut_at_a_whole_letter() -> None:
    assert kept({"a": "ä" * 200, "b": "x"}) == {"a": "ä" * 127, "b": "x"}
