# SPDX-License-Identifier: Apache-2.0
"""Server groups: strict policies refuse with a reason, soft ones come before every weight."""

from random import Random
from typing import Any

import pytest

from kilonova.objects.ids import HostName
from kilonova.objects.placement import GroupConstraint
from kilonova.objects.server_group import GroupPolicy
from kilonova.objects.service import ComputeNode
from kilonova.scheduler.choose import choose
from kilonova.scheduler.request import PlacementRequest
from tests.unit.scheduler.test_choose import node

H1, H2, H3 = HostName("h1"), HostName("h2"), HostName("h3")
NODES = [node("h1", used=(8, 4000, 50)), node("h2"), node("h3", used=(1, 1000, 10))]


def wishing(policy: GroupPolicy, members: dict[HostName, int], **more: Any) -> PlacementRequest:
    return PlacementRequest(1, 128, 1, group=GroupConstraint(policy, members, **more))


def hosts(request: PlacementRequest, nodes: list[ComputeNode] = NODES) -> set[tuple[HostName, ...]]:
    return {choose(request, nodes, Random(seed)).hosts for seed in range(50)}


def refusals(request: PlacementRequest) -> set[tuple[str, str, str]]:
    return {(r.host, r.filter, r.reason) for r in choose(request, NODES, Random(1)).refusals}


def test_affinity_refuses_every_host_but_the_groups() -> None:
    request = wishing(GroupPolicy.AFFINITY, {H1: 2})
    assert hosts(request) == {(H1,)}
    reason = "the group is on h1"
    assert refusals(request) == {
        ("h2", "ServerGroupAffinityFilter", reason),
        ("h3", "ServerGroupAffinityFilter", reason),
    }


@pytest.mark.parametrize("policy", list(GroupPolicy))
def test_the_first_of_a_group_may_go_anywhere(policy: GroupPolicy) -> None:
    assert {found[0] for found in hosts(wishing(policy, {}))} == {H1, H2, H3}


def test_anti_affinity_refuses_a_host_that_has_enough_of_the_group() -> None:
    assert {frozenset(found) for found in hosts(wishing(GroupPolicy.ANTI_AFFINITY, {H2: 1}))} == {frozenset({H1, H3})}
    three = wishing(GroupPolicy.ANTI_AFFINITY, {H1: 3, H2: 2}, most_per_host=3)
    assert {frozenset(found) for found in hosts(three)} == {frozenset({H2, H3})}
    assert refusals(three) == {("h1", "ServerGroupAntiAffinityFilter", "has 3 of the group, at most 3 may be")}
    everywhere = wishing(GroupPolicy.ANTI_AFFINITY, {H1: 1, H2: 1, H3: 1})
    assert hosts(everywhere) == {()}


def test_soft_policies_prefer_and_never_refuse() -> None:
    together = wishing(GroupPolicy.SOFT_AFFINITY, {H1: 2, H3: 1})
    assert hosts(together) == {(H1, H3, H2)}  # though h1 is the fullest
    apart = wishing(GroupPolicy.SOFT_ANTI_AFFINITY, {H2: 1})
    assert {found[-1] for found in hosts(apart)} == {H2}  # though h2 is the emptiest
    assert {found[0] for found in hosts(apart)} == {H1, H3}  # and among equals the pick stays random
    assert hosts(wishing(GroupPolicy.SOFT_ANTI_AFFINITY, {H1: 1, H2: 2, H3: 3})) == {(H1, H2, H3)}
