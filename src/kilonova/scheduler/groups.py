# SPDX-License-Identifier: Apache-2.0
"""Server groups: the strict policies are filters.  The soft policies are a weigher (kilonova.scheduler.weighers)."""

from kilonova.objects.server_group import GroupPolicy
from kilonova.objects.service import ComputeNode
from kilonova.scheduler.request import PlacementRequest


def affinity(request: PlacementRequest, node: ComputeNode) -> str | None:
    """Only the host of the group passes; any host, for the first member.  No host passes for a policy of a newer
    version."""
    group = request.group
    if group is not None and not group.policy.is_known:
        return f"this version does not have the policy {group.policy}"
    if group is None or group.policy is not GroupPolicy.AFFINITY or not group.members:
        return None
    return None if node.service.host in group.members else f"the group is on {', '.join(sorted(group.members))}"


def anti_affinity(request: PlacementRequest, node: ComputeNode) -> str | None:
    """A host passes if it has fewer members of the group than the policy allows."""
    group = request.group
    if group is None or group.policy is not GroupPolicy.ANTI_AFFINITY:
        return None
    there = group.members.get(node.service.host, 0)
    return None if there < group.most_per_host else f"has {there} of the group, at most {group.most_per_host} may be"
