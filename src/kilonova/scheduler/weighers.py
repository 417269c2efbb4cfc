# SPDX-License-Identifier: Apache-2.0
"""Weighers: each gives a host a number from 0 (worst) to 1 (best) among its peers."""

from collections.abc import Callable, Mapping

from kilonova.objects.service import ComputeNode

Weigher = Callable[[ComputeNode], float]


def _free(used: int, capacity: int) -> float:
    return max(capacity - used, 0) / capacity if capacity else 0.0


def ram(node: ComputeNode) -> float:
    """The share of memory that is free."""
    return _free(node.memory_mib_used, node.inventory.memory_mib_capacity)


def core(node: ComputeNode) -> float:
    """The share of virtual CPUs that is free."""
    return _free(node.vcpus_used, node.inventory.vcpus_capacity)


def disk(node: ComputeNode) -> float:
    """The share of disk that is free."""
    return _free(node.disk_gib_used, node.inventory.disk_gib_capacity)


WEIGHERS: Mapping[Weigher, float] = {ram: 1.0, core: 0.5, disk: 0.5}
"""Each weigher with its multiplier."""
