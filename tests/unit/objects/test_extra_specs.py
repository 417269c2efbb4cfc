# SPDX-License-Identifier: Apache-2.0
"""Extra specs: what there is, and what guests get."""

import re

import pytest

from kilonova.objects.extra_specs import SPECS, refusal, unkept

GOOD = [
    ("hw:cpu_policy", "dedicated"),
    ("hw:cpu_realtime", "Yes"),
    ("hw:cpu_realtime_mask", "^0-1,3"),
    ("hw:mem_page_size", "2MB"),
    ("hw:mem_page_size", "1GiB"),
    ("hw:mem_page_size", "2048"),
    ("hw:mem_page_size", "LARGE"),
    ("hw:numa_nodes", "2"),
    ("hw:numa_cpus.0", "0,1"),
    ("hw:numa_mem.1", "512"),
    ("hw:cpu_max_sockets", "4"),
    ("hw_rng:allowed", "true"),
    ("hw_rng:rate_bytes", "100"),
    ("os:secure_boot", "required"),
    ("quota:disk_total_iops_sec_max", "500"),
    ("quota:vif_inbound_average", "1000"),
    ("quota:cpu_quota", "-1"),
    ("pci_passthrough:alias", "gpu:1, nic:2"),
    ("resources:VCPU", "1"),
    ("resources1:CUSTOM_GPU", "1"),
    ("trait:HW_CPU_X86_AVX2", "required"),
    ("trait_group:CUSTOM_X", "forbidden"),
    ("aggregate_instance_extra_specs:disk", "s== ssd"),
    ("capabilities:hypervisor_type", "QEMU"),
    ("group_policy", "isolate"),
    ("colour", "red"),
    ("acme:thing", "anything"),
]
BAD = [
    ("hw:cpu_polcy", "shared"),
    ("hw:cpu_policy", "sharde"),
    ("hw:cpu_policy", ""),
    ("hw:mem_page_size", "huge"),
    ("hw:numa_nodes", "0"),
    ("hw:numa_nodes", "two"),
    ("hw_rng:allowed", "maybe"),
    ("hw_rng:alowed", "true"),
    ("os:secure_boot", "yes"),
    ("quota:disk_iops", "5"),
    ("quota:vif_inbound_peak", "much"),
    ("pci_passthrough:alias", "gpu"),
    ("trait:HW_CPU_X86_AVX2", "wanted"),
    ("resources:vcpu", "1"),
    ("group_policy", "some"),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_what_there_is(name: str, value: str) -> None:
    assert refusal(name, value) is None


@pytest.mark.parametrize(("name", "value"), BAD)
def test_what_there_is_not_is_refused_by_name(name: str, value: str) -> None:
    assert name in (refusal(name, value) or "")
    assert unkept({name: value}) == [f"{name}={value}"]


@pytest.mark.parametrize(
    ("name", "kept", "not_kept"),
    [
        ("hw:cpu_policy", "Shared", "dedicated"),
        ("hw:mem_page_size", "small", "large"),
        ("hw_rng:allowed", "false", ""),
        ("hw:boot_menu", "on", "maybe"),
        ("os:secure_boot", "required", "yes"),
        ("hw:watchdog_action", "reset", "explode"),
        ("aggregate_instance_extra_specs:disk", "ssd", None),
        ("colour", "red", None),
        ("acme:thing", "anything", None),
        ("quota:disk_read_iops_sec", None, "100"),
        ("hw:numa_nodes", None, "1"),
        ("trait:HW_CPU_X86_AVX2", None, "required"),
    ],
)
def test_what_guests_get_and_what_they_do_not(name: str, kept: str | None, not_kept: str | None) -> None:
    if kept is not None:
        assert unkept({name: kept}) == []
    if not_kept is not None:
        assert unkept({"b:c": "x", name: not_kept}) == [f"{name}={not_kept}"]


def test_what_is_kept_is_among_the_values() -> None:
    for spec in SPECS:
        for value in (spec.kept or "").split("|"):
            if value and spec.kept != spec.values:
                assert re.fullmatch(spec.values, value), spec.name
