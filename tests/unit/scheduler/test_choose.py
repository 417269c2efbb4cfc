# SPDX-License-Identifier: Apache-2.0
"""Filters give reasons, weighers spread, and the explanation names both."""

from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from kilonova.objects.hardware import VERSION, Need, Offer
from kilonova.objects.ids import HostName
from kilonova.objects.service import ComputeNode, Service
from kilonova.scheduler.choose import choose, explain
from kilonova.scheduler.request import PlacementRequest
from tests import make

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def node(host: str, *, used: tuple[int, int, int] = (0, 0, 0), network: bool = True, **service: Any) -> ComputeNode:
    values: dict[str, Any] = {
        "id": f"s-{host}",
        "host": HostName(host),
        "binary": "kilonova-compute",
        "topic": "compute",
        "zone": "nova",
        "epoch": 1,
        "up": True,
        "disabled": False,
        "disabled_reason": None,
        "disabled_by_host": False,
        "forced_down": False,
        "version": 1,
        "updated_at": NOW,
        "created_at": NOW,
    }
    inventory = make.inventory() if network else make.inventory(networks=())
    return ComputeNode(f"n-{host}", Service(**{**values, **service}), inventory, *used, running_vms=0)


FULL = replace(node("h"), inventory=replace(node("h").inventory, disk_short="less than 1.0 GiB are free at /x"))

SMALL = PlacementRequest(vcpus=1, memory_mib=512, disk_gib=1)


@pytest.mark.parametrize(
    ("bad", "filter_name", "reason"),
    [
        (node("h", up=False), "ComputeFilter", "service is down"),
        (node("h", forced_down=True), "ComputeFilter", "forced down by an operator"),
        (node("h", disabled=True, disabled_reason="maintenance"), "ComputeFilter", "disabled: maintenance"),
        (node("h", zone="az2"), "AvailabilityZoneFilter", "is in zone az2, the requested zone is nova"),
        (node("h", used=(16, 0, 0)), "CoreFilter", "vCPUs: 1 requested, 0 of 16 free"),
        (node("h", used=(0, 8000, 0)), "RamFilter", "memory: 512 MiB requested, 192 MiB of 8192 MiB free"),
        (node("h", used=(0, 0, 100)), "DiskFilter", "disk: 1 GiB requested, 0 GiB of 100 GiB free"),
        (FULL, "DiskFilter", "less than 1.0 GiB are free at /x"),
        (node("h", network=False), "NetworkFilter", "has no network for guests"),
    ],
)
def test_each_filter_says_why(bad: ComputeNode, filter_name: str, reason: str) -> None:
    request = PlacementRequest(1, 512, 1, availability_zone="nova")
    choice = choose(request, [bad], Random(1))
    assert choice.hosts == ()
    assert [(r.filter, r.reason) for r in choice.refusals] == [(filter_name, reason)]
    assert explain(choice.refusals) == f"No valid host was found. {filter_name} refused h ({reason})."


def test_a_host_that_was_asked_for_is_the_only_one_and_must_do() -> None:
    request = PlacementRequest(1, 512, 1, host=HostName("h2"))
    choice = choose(request, [node("h1"), node("h2"), node("h3")], Random(1))
    assert choice.hosts == ("h2",)
    assert [(r.host, r.filter, r.reason) for r in choice.refusals] == [
        ("h1", "DestinationFilter", "the requested host is h2"),
        ("h3", "DestinationFilter", "the requested host is h2"),
    ]
    assert choose(request, [node("h1"), node("h2", used=(16, 0, 0))], Random(1)).hosts == ()


def test_with_some_servers_and_apart_from_others() -> None:
    nodes = [node("h1"), node("h2"), node("h3")]
    request = PlacementRequest(1, 512, 1, same_hosts=frozenset({HostName("h1"), HostName("h2")}))
    together = choose(request, nodes, Random(1))
    assert set(together.hosts) == {"h1", "h2"}
    assert [(r.filter, r.reason) for r in together.refusals] == [
        ("SameHostFilter", "the servers to be with are on h1, h2")
    ]
    apart = choose(PlacementRequest(1, 512, 1, different_hosts=frozenset({HostName("h1")})), nodes, Random(1))
    assert set(apart.hosts) == {"h2", "h3"}
    assert [(r.host, r.filter) for r in apart.refusals] == [("h1", "DifferentHostFilter")]
    nowhere = choose(PlacementRequest(1, 512, 1, same_hosts=frozenset()), nodes, Random(1))
    assert explain(nowhere.refusals).endswith("3 hosts, h1 among them (the servers to be with are on no host).")


def test_an_instance_without_network_needs_none() -> None:
    named = choose(PlacementRequest(1, 512, 1, networks=("kilonova", "lan")), [node("h")], Random(1))
    assert [refusal.reason for refusal in named.refusals] == ["has no network lan"]
    request = PlacementRequest(1, 512, 1, wants_network=False)
    assert choose(request, [node("h", network=False)], Random(1)).hosts == ("h",)


def test_the_emptier_hosts_come_first_and_the_pick_is_among_the_best_few() -> None:
    nodes = [node(f"h{n}", used=(n, n * 1000, n * 10)) for n in range(8)]
    firsts = {choose(SMALL, nodes, Random(seed)).hosts[0] for seed in range(200)}
    assert firsts == {"h0", "h1", "h2"}
    rest = choose(SMALL, nodes, Random(0)).hosts[1:]
    assert list(rest[2:]) == ["h3", "h4", "h5", "h6", "h7"]


def test_no_host_at_all_is_said_so() -> None:
    assert explain(choose(SMALL, [], Random(1)).refusals) == "No valid host was found. There is no compute host."


def test_refusals_of_many_hosts_are_told_together() -> None:
    choice = choose(SMALL, [node("a", up=False), node("b", up=False)], Random(1))
    assert explain(choice.refusals) == (
        "No valid host was found. ComputeFilter refused 2 hosts, a among them (service is down)."
    )


@pytest.mark.parametrize(
    ("said", "wanted", "fits"),
    [
        ("ssd", "ssd", True),
        ("hdd", "ssd", False),
        ("", "ssd", False),
        ("ssd", "<or> hdd <or> ssd", True),
        ("tape", "<or> hdd <or> ssd", False),
        ("fast ssd", "<in> ssd", True),
        ("ssd", "s!= hdd", True),
        ("ssd", "s== hdd", False),
        ("12", ">= 10", True),
        ("9", ">= 10", False),
        ("12", "= 10", True),
        ("12", "== 10", False),
        ("many", ">= 10", False),
        ("hdd,ssd", "ssd", True),
    ],
)
def test_what_a_flavor_asks_of_aggregates(said: str, wanted: str, fits: bool) -> None:
    metadata = {"disk": frozenset(said.split(","))} if said else {}
    request = replace(SMALL, extra_specs={"aggregate_instance_extra_specs:disk": wanted, "hw:cpu_policy": "shared"})
    choice = choose(request, [replace(node("h"), aggregate_metadata=metadata)], Random(1))
    assert [refusal.filter for refusal in choice.refusals] == ([] if fits else ["AggregateInstanceExtraSpecsFilter"])


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        (Need("hw_firmware_type", "uefi", "firmwares"), "hw_firmware_type=uefi: it has bios"),
        (Need("hw_tpm_version", "2.0", "tpms"), "hw_tpm_version=2.0: it has none"),
        (Need("hw_architecture", "aarch64", "architectures"), "hw_architecture=aarch64: it has i686, x86_64"),
        (
            Need("img_hv_requested_version", ">=6.0,<7.2", VERSION),
            "img_hv_requested_version=>=6.0,<7.2: its hypervisor",
        ),
        (Need("hw_firmware_type", "bios", "firmwares"), None),
        (Need("img_hv_requested_version", ">= 6.0, <7.3", VERSION), None),
        (Need("img_hv_requested_version", "==7.2", VERSION), None),
    ],
)
def test_hardware_that_a_host_cannot_give_is_named(need: Need, reason: str | None) -> None:
    offer = Offer(architectures=("i686", "x86_64"), firmwares=("bios",))
    one = replace(node("h"), inventory=replace(node("h").inventory, offer=offer))
    choice = choose(replace(SMALL, needs=(need,)), [one], Random(1))
    if reason is None:
        assert choice.hosts == ("h",)
    else:
        assert f"ImagePropertiesFilter refused h ({reason}" in explain(choice.refusals)


def test_a_host_that_does_not_say_what_it_offers_gets_nobody_with_wishes() -> None:
    assert choose(SMALL, [node("h")], Random(1)).hosts == ("h",)
    wish = (Need("hw_disk_bus", "sata", "disk_buses"),)
    assert choose(replace(SMALL, needs=wish), [node("h")], Random(1)).hosts == ()
