# SPDX-License-Identifier: Apache-2.0
"""Weighers: each gives a host a number, which the operator's multiplier of [filter_scheduler] scales.

The weight of a host is the sum over its free resources and its work.  The priority comes first: hosts are compared by
weight only if their priorities are equal, so that a little more free memory does not override the policy of a group, or
send servers to a host on which builds fail.
"""

from kilonova.objects.server_group import GroupPolicy
from kilonova.objects.service import ComputeNode
from kilonova.scheduler.request import PlacementRequest

MOST_IO_OPS = 8
"""So much work with disks in progress is the worst."""


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


def io_ops(node: ComputeNode) -> float:
    """The work with disks in progress, from 0 (none) to 1."""
    return min(node.io_ops, MOST_IO_OPS) / MOST_IO_OPS


def weight(request: PlacementRequest, node: ComputeNode) -> float:
    """The sum of the weighers."""
    rules = request.rules
    return (
        rules.ram_weight_multiplier * ram(node)
        + rules.cpu_weight_multiplier * core(node)
        + rules.disk_weight_multiplier * disk(node)
        + rules.io_ops_weight_multiplier * io_ops(node)
    )


def priority(request: PlacementRequest, node: ComputeNode) -> float:
    """The members of a soft group, for or against the host, and the builds that failed on it lately."""
    rules, group = request.rules, request.group
    failures = rules.build_failure_weight_multiplier * node.failed_builds
    if group is None:
        return -failures
    signs = {
        GroupPolicy.SOFT_AFFINITY: rules.soft_affinity_weight_multiplier,
        GroupPolicy.SOFT_ANTI_AFFINITY: -rules.soft_anti_affinity_weight_multiplier,
    }
    return signs.get(group.policy, 0.0) * group.members.get(node.service.host, 0) - failures
