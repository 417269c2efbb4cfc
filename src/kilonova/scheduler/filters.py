# SPDX-License-Identifier: Apache-2.0
"""Filters: each returns the reason why a host is not acceptable, or None.

A filter is a function of the request and the host, and depends on nothing else.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache

from kilonova.config.filter_scheduler import REQUIRED_FILTERS
from kilonova.objects.hardware import VERSION
from kilonova.objects.placement import Refusal
from kilonova.objects.service import ComputeNode
from kilonova.scheduler import aggregate_filters, groups
from kilonova.scheduler.request import PlacementRequest
from kilonova.scheduler.spec_words import in_range, version_text

Filter = Callable[[PlacementRequest, ComputeNode], str | None]
"""The reason of a refusal, in a few words; None lets the host pass."""


def retry(request: PlacementRequest, node: ComputeNode) -> str | None:
    """A host on which the build has failed does not get it again."""
    return "the build failed on it before" if node.service.host in request.tried_hosts else None


def destination(request: PlacementRequest, node: ComputeNode) -> str | None:
    """If the request names a host, only that host passes."""
    return None if request.host in (None, node.service.host) else f"the requested host is {request.host}"


def same_host(request: PlacementRequest, node: ComputeNode) -> str | None:
    """If the request names servers to be with, only a host of one of these servers passes."""
    wanted = request.same_hosts
    if wanted is None or node.service.host in wanted:
        return None
    return f"the servers to be with are on {', '.join(sorted(wanted)) or 'no host'}"


def different_host(request: PlacementRequest, node: ComputeNode) -> str | None:
    """A host passes if it has none of the servers to be apart from."""
    return "has a server to be apart from" if node.service.host in request.different_hosts else None


def compute(request: PlacementRequest, node: ComputeNode) -> str | None:
    """The host's service must be up and enabled."""
    service = node.service
    if service.forced_down:
        return "forced down by an operator"
    if not service.up:
        return "service is down"
    if service.disabled:
        return f"disabled: {service.disabled_reason or 'no reason given'}"
    return None


def availability_zone(request: PlacementRequest, node: ComputeNode) -> str | None:
    """The host must be in the requested zone."""
    if request.availability_zone is None or request.availability_zone == node.service.zone:
        return None
    return f"is in zone {node.service.zone}, the requested zone is {request.availability_zone}"


def _lacks(what: str, requested: int, used: int, capacity: int, unit: str) -> str | None:
    free = capacity - used
    if requested <= free:
        return None
    return f"{what}: {requested}{unit} requested, {max(free, 0)}{unit} of {capacity}{unit} free"


def core(request: PlacementRequest, node: ComputeNode) -> str | None:
    """The host must have enough virtual CPUs."""
    return _lacks("vCPUs", request.vcpus, node.vcpus_used, node.inventory.vcpus_capacity, "")


def ram(request: PlacementRequest, node: ComputeNode) -> str | None:
    """The host must have enough memory."""
    return _lacks("memory", request.memory_mib, node.memory_mib_used, node.inventory.memory_mib_capacity, " MiB")


def disk(request: PlacementRequest, node: ComputeNode) -> str | None:
    """The host must have enough disk: by its claims, and by its real free space (guests' disks grow as they are
    written)."""
    return node.inventory.disk_short or _lacks(
        "disk", request.disk_gib, node.disk_gib_used, node.inventory.disk_gib_capacity, " GiB"
    )


def num_instances(request: PlacementRequest, node: ComputeNode) -> str | None:
    """The host must have fewer servers than its limit."""
    most = aggregate_filters.limit(node, "max_instances_per_host", request.rules.max_instances_per_host)
    return None if node.running_vms < most else f"has {node.running_vms} servers, at most {most} may be"


def io_ops(request: PlacementRequest, node: ComputeNode) -> str | None:
    """The host must have less work with disks in progress than its limit."""
    most = aggregate_filters.limit(node, "max_io_ops_per_host", request.rules.max_io_ops_per_host)
    return None if node.io_ops < most else f"{node.io_ops} builds and similar work in progress, at most {most} may be"


def network(request: PlacementRequest, node: ComputeNode) -> str | None:
    """The host must have the requested networks; any network, if the instance needs one and the request names none."""
    if not request.wants_network:
        return None
    if not node.inventory.networks:
        return "has no network for guests"
    missing = [name for name in request.networks if node.inventory.network(name) is None]
    return f"has no network {', '.join(missing)}" if missing else None


def image_properties(request: PlacementRequest, node: ComputeNode) -> str | None:
    """The host must offer the hardware that the image or the flavor requires."""
    for need in request.needs:
        if need.of == VERSION:
            version = version_text(node.inventory.hypervisor_version)
            if not in_range(version, need.value):
                return f"{need.name}={need.value}: its hypervisor is {version}"
        elif need.value not in (offered := getattr(node.inventory.offer, need.of)):
            return f"{need.name}={need.value}: it has {_few(offered)}"
    return None


def _few(words: tuple[str, ...]) -> str:
    return ", ".join((*words[:8], *(["..."] if words[8:] else []))) or "none"


FILTERS: Mapping[str, Filter] = {
    "RetryFilter": retry,
    "DestinationFilter": destination,
    "SameHostFilter": same_host,
    "DifferentHostFilter": different_host,
    "ComputeFilter": compute,
    "AvailabilityZoneFilter": availability_zone,
    "AggregateMultiTenancyIsolation": aggregate_filters.tenant_isolation,
    "AggregateInstanceExtraSpecsFilter": aggregate_filters.extra_specs,
    "AggregateImagePropertiesIsolation": aggregate_filters.image_isolation,
    "AggregateTypeAffinityFilter": aggregate_filters.type_affinity,
    "ImagePropertiesFilter": image_properties,
    "CoreFilter": core,
    "RamFilter": ram,
    "DiskFilter": disk,
    "NumInstancesFilter": num_instances,
    "IoOpsFilter": io_ops,
    "NetworkFilter": network,
    "ServerGroupAffinityFilter": groups.affinity,
    "ServerGroupAntiAffinityFilter": groups.anti_affinity,
}
"""The filters in their order; a host's reason is that of the first filter that refuses it."""


@lru_cache(maxsize=8)
def _enabled(names: tuple[str, ...]) -> tuple[tuple[str, Filter], ...]:
    on = {*names, *REQUIRED_FILTERS}
    return tuple((name, check) for name, check in FILTERS.items() if name in on)


def refusal(request: PlacementRequest, node: ComputeNode) -> Refusal | None:
    """The refusal of the first enabled filter that does not accept the host."""
    for name, check in _enabled(request.rules.enabled_filters):
        reason = check(request, node)
        if reason is not None:
            return Refusal(node.service.host, name, reason)
    return None
