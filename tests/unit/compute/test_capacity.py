# SPDX-License-Identifier: Apache-2.0
"""What of a host's resources guests may claim."""

from dataclasses import replace

from kilonova.compute.capacity import inventory_of
from kilonova.config.load import load
from kilonova.virt.driver import HostResources

HOST = HostResources("n", "QEMU", 1, vcpus=3, memory_mib=4000, disk_gib=100)


def capacity(host: HostResources = HOST, **changed: float) -> tuple[int, int, int]:
    """Processors, MiB of memory and GiB of disk that guests may claim."""
    values = {
        "cpu_allocation_ratio": 1.0,
        "ram_allocation_ratio": 1.0,
        "disk_allocation_ratio": 1.0,
        "reserved_host_memory_mb": 0,
        "reserved_host_disk_mb": 0,
        **changed,
    }
    found = inventory_of(host, replace(load().default, **values))  # type: ignore[arg-type]
    return found.vcpus_capacity, found.memory_mib_capacity, found.disk_gib_capacity


def test_ratios_and_reserves() -> None:
    assert capacity() == (3, 4000, 100)
    assert capacity(cpu_allocation_ratio=1.5) == (4, 4000, 100)
    assert capacity(reserved_host_memory_mb=512, ram_allocation_ratio=1.5) == (3, 5232, 100)
    assert capacity(reserved_host_disk_mb=512, disk_allocation_ratio=2.0) == (3, 4000, 199)


def test_memory_of_foreign_guests_is_reserved() -> None:
    assert capacity(replace(HOST, foreign_memory_mib=32), reserved_host_memory_mb=512)[1] == 4000 - 512 - 32


def test_a_reserve_larger_than_the_host_leaves_nothing() -> None:
    assert capacity(reserved_host_memory_mb=5000, reserved_host_disk_mb=200 * 1024) == (3, 0, 0)


def test_what_is_physical_is_told_as_it_is() -> None:
    host = replace(HOST, disk_short="full", arch="aarch64", disk_available_gib=7, cpu_info={"model": "m"})
    found = inventory_of(host, load().default)
    assert (found.vcpus, found.memory_mib, found.disk_gib) == (3, 4000, 100)
    assert (found.disk_short, found.arch, found.disk_available_gib, found.cpu_info) == (
        "full",
        "aarch64",
        7,
        {"model": "m"},
    )
