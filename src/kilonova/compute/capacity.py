# SPDX-License-Identifier: Apache-2.0
"""Capacity policy: the part of the host's resources that guests may claim. Pure functions."""

from kilonova.config.default import DefaultSettings
from kilonova.objects.service import Inventory
from kilonova.virt.driver import HostResources


def inventory_of(host: HostResources, settings: DefaultSettings) -> Inventory:
    """The host's resources with allocation ratios and reserves applied.  The memory of foreign guests is reserved,
    too."""
    reserved_mib = settings.reserved_host_memory_mb + host.foreign_memory_mib
    reserved_gib = settings.reserved_host_disk_mb / 1024
    return Inventory(
        node=host.node,
        hypervisor_type=host.hypervisor_type,
        hypervisor_version=host.hypervisor_version,
        vcpus=host.vcpus,
        memory_mib=host.memory_mib,
        disk_gib=host.disk_gib,
        vcpus_capacity=_capacity(host.vcpus, 0, settings.cpu_allocation_ratio),
        memory_mib_capacity=_capacity(host.memory_mib, reserved_mib, settings.ram_allocation_ratio),
        disk_gib_capacity=_capacity(host.disk_gib, reserved_gib, settings.disk_allocation_ratio),
        host_ip=settings.my_ip,
        arch=host.arch,
        disk_available_gib=host.disk_available_gib,
        disk_short=host.disk_short,
        cpu_info=host.cpu_info,
        networks=host.networks,
        offer=host.offer,
    )


def _capacity(physical: int, reserved: float, ratio: float) -> int:
    return max(0, int((physical - reserved) * ratio))
