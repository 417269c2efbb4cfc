# SPDX-License-Identifier: Apache-2.0
"""The filters and weighers that operators switch and adjust, each with its reason."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from kilonova.base.errors import ConfigError
from kilonova.config.filter_scheduler import DEFAULT_FILTERS, DEFAULTS, FilterSchedulerSettings
from kilonova.config.load import load
from kilonova.objects.ids import HostName
from kilonova.objects.placement import MOST_NAMED, GroupConstraint, recorded
from kilonova.objects.server_group import GroupPolicy
from kilonova.objects.service import ComputeNode
from kilonova.scheduler.choose import choose, explain
from kilonova.scheduler.request import PlacementRequest
from tests import make
from tests.unit.scheduler.test_choose import node

ALL_FILTERS = (*DEFAULT_FILTERS, "AggregateTypeAffinityFilter", "NumInstancesFilter", "IoOpsFilter")


def rules(**values: Any) -> FilterSchedulerSettings:
    return replace(DEFAULTS, **values)


def request(**values: Any) -> PlacementRequest:
    return PlacementRequest(**{"vcpus": 1, "memory_mib": 512, "disk_gib": 1, **values})


def in_aggregate(host: str = "h", **metadata: str) -> ComputeNode:
    return replace(node(host), aggregate_metadata={key: frozenset(text.split(",")) for key, text in metadata.items()})


def reasons(asked: PlacementRequest, *nodes: ComputeNode) -> list[tuple[str, str]]:
    return [(one.filter, one.reason) for one in choose(asked, nodes, Random(1)).refusals]


def test_hosts_of_an_aggregate_are_for_its_projects() -> None:
    theirs = in_aggregate(filter_tenant_id="p1,p2", filter_tenant_id_more="p3")
    for project in ("p1", "p2", "p3"):
        assert reasons(request(project_id=project), theirs) == []
    refused = [("AggregateMultiTenancyIsolation", "its aggregates are for other projects")]
    assert reasons(request(project_id="p4"), theirs) == refused
    assert reasons(request(project_id="p4"), node("h")) == []
    assert reasons(request(project_id="p4", rules=rules(enabled_filters=())), theirs) == []


def test_an_aggregate_restricts_a_property_of_images() -> None:
    windows = in_aggregate(os_distro="windows,win", other="x")
    assert reasons(request(image_properties={"os_distro": "win"}), windows) == []
    assert reasons(request(), windows) == []
    assert reasons(request(image_properties={"os_distro": "debian"}), windows) == [
        (
            "AggregateImagePropertiesIsolation",
            "its aggregates accept images with os_distro win, windows only, the image has debian",
        )
    ]


def test_a_namespace_limits_the_metadata_that_restricts_images() -> None:
    spaced = rules(aggregate_image_properties_isolation_namespace="img")
    debian = request(image_properties={"os_distro": "debian", "img.os_distro": "debian"}, rules=spaced)
    assert reasons(debian, in_aggregate(os_distro="windows")) == []
    prefixed = replace(in_aggregate(), aggregate_metadata={"img.os_distro": frozenset({"windows"})})
    assert [name for name, _ in reasons(debian, prefixed)] == ["AggregateImagePropertiesIsolation"]


def test_filters_that_are_off_by_default() -> None:
    small = in_aggregate(instance_type="m1.tiny")
    busy = replace(node("h"), running_vms=2, io_ops=3)
    assert reasons(request(flavor_name="m1.huge"), small, busy) == []
    on = rules(enabled_filters=ALL_FILTERS, max_instances_per_host=2)
    assert reasons(request(flavor_name="m1.huge", rules=on), small) == [
        ("AggregateTypeAffinityFilter", "its aggregates are for the flavors m1.tiny")
    ]
    assert reasons(request(flavor_name="m1.tiny", rules=on), small) == []
    assert reasons(request(rules=on), busy) == [("NumInstancesFilter", "has 2 servers, at most 2 may be")]
    idle = rules(enabled_filters=ALL_FILTERS, max_io_ops_per_host=3)
    assert reasons(request(rules=idle), busy) == [
        ("IoOpsFilter", "3 builds and similar work in progress, at most 3 may be")
    ]
    of_aggregate = replace(busy, aggregate_metadata={"max_io_ops_per_host": frozenset({"9", "4", "many"})})
    assert reasons(request(rules=idle), of_aggregate) == []


def test_a_host_where_the_build_failed_is_not_tried_again() -> None:
    asked = request(tried_hosts=frozenset({HostName("h1")}))
    assert choose(asked, [node("h1"), node("h2")], Random(1)).hosts == ("h2",)
    assert reasons(asked, node("h1")) == [("RetryFilter", "the build failed on it before")]


def test_required_filters_cannot_be_switched_off() -> None:
    none = rules(enabled_filters=())
    assert [name for name, _ in reasons(request(rules=none), node("h", used=(16, 0, 0)))] == ["CoreFilter"]
    with pytest.raises(ConfigError, match="enabled_filters: there is no filter 'NoFilter'; there are Aggregate"):
        load(overrides={("filter_scheduler", "enabled_filters"): ["NoFilter"]})


def test_a_negative_multiplier_packs() -> None:
    nodes = [node("empty"), node("half", used=(0, 4096, 0))]
    spread = request(rules=rules(host_subset_size=1))
    assert choose(spread, nodes, Random(1)).hosts == ("empty", "half")
    pack = request(rules=rules(host_subset_size=1, ram_weight_multiplier=-1.0, cpu_weight_multiplier=0.0))
    assert choose(pack, nodes, Random(1)).hosts == ("half", "empty")


def test_hosts_with_work_in_progress_come_later() -> None:
    nodes = [replace(node("a"), io_ops=4), node("b")]
    one = rules(host_subset_size=1)
    assert choose(request(rules=one), nodes, Random(1)).hosts == ("b", "a")
    assert choose(request(rules=replace(one, io_ops_weight_multiplier=0.0)), nodes, Random(1)).hosts == ("a", "b")


def test_hosts_on_which_builds_failed_come_last_whatever_they_have() -> None:
    nodes = [replace(node("bad"), failed_builds=1), *(node(f"h{n}", used=(15, 7000, 90)) for n in range(3))]
    for seed in range(20):
        assert choose(request(), nodes, Random(seed)).hosts[-1] == "bad"
    indifferent = request(rules=rules(build_failure_weight_multiplier=0.0, host_subset_size=1))
    assert choose(indifferent, nodes, Random(1)).hosts[0] == "bad"


def test_the_soft_policies_have_multipliers() -> None:
    group = GroupConstraint(GroupPolicy.SOFT_ANTI_AFFINITY, {HostName("a"): 1})
    nodes = [node("a"), node("b", used=(8, 4096, 50))]
    assert choose(request(group=group), nodes, Random(1)).hosts == ("b", "a")
    off = rules(soft_anti_affinity_weight_multiplier=0.0, host_subset_size=1)
    assert choose(request(group=group, rules=off), nodes, Random(1)).hosts == ("a", "b")


def test_a_thousand_reasons_become_one_sentence_and_a_small_record() -> None:
    nodes = [
        replace(node(f"h{n:04}"), inventory=make.inventory(memory_mib_capacity=100 + n % 400)) for n in range(1000)
    ]
    choice = choose(request(), nodes, Random(1))
    sentence = explain(choice.refusals)
    assert "RamFilter refused 991 hosts" in sentence
    assert "(similar reasons)" in sentence
    record = recorded(choice, make.NOW, chosen=None, lost=())
    (refused,) = record.refused
    assert (record.hosts, record.candidates, refused.filter, refused.count) == (1000, 0, "RamFilter", 1000)
    assert len(refused.hosts) == MOST_NAMED
