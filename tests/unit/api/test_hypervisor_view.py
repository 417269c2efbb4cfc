# SPDX-License-Identifier: Apache-2.0
"""A hypervisor at the microversions that change its form."""

from dataclasses import dataclass
from typing import Any

from kilonova.api.compute.admin.hypervisors import HYPERVISOR, Hypervisor
from kilonova.api.http.microversion import Microversion, v2
from tests.unit.scheduler.test_choose import node

RESOURCES = {
    "current_workload", "cpu_info", "vcpus", "vcpus_used", "free_disk_gb", "local_gb", "local_gb_used",
    "disk_available_least", "free_ram_mb", "memory_mb", "memory_mb_used", "running_vms",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who sees the hypervisor."""

    version: Microversion
    is_admin: bool = True


def detail(minor: int, uptime: str | None) -> dict[str, Any]:
    return HYPERVISOR.show(Hypervisor(node("h"), uptime), Administrator(v2(minor)))


def test_from_2_88_there_is_an_uptime_and_there_are_no_resources() -> None:
    before = detail(87, None)
    after = detail(88, " 16:10:41 up 21:16")
    assert before.keys() - after.keys() == RESOURCES
    assert after.keys() - before.keys() == {"uptime"}
    assert after["uptime"] == " 16:10:41 up 21:16"
    assert detail(88, None)["uptime"] is None
