# SPDX-License-Identifier: Apache-2.0
"""Filters on the metadata of a host's aggregates.

Source: OpenStack Compute, administration guide, "Compute schedulers".
"""

from kilonova.objects.extra_specs import AGGREGATE
from kilonova.objects.service import ComputeNode
from kilonova.scheduler.request import PlacementRequest
from kilonova.scheduler.spec_words import matches

TENANTS = "filter_tenant_id"
"""Metadata keys that begin with this list the projects that may use the hosts of the aggregate."""
FLAVORS = "instance_type"


def extra_specs(request: PlacementRequest, node: ComputeNode) -> str | None:
    """The metadata of the host's aggregates must match the flavor's extra specs."""
    for name, wanted in request.extra_specs.items():
        if not name.startswith(AGGREGATE):
            continue
        key = name.removeprefix(AGGREGATE)
        values = node.aggregate_metadata.get(key, frozenset())
        if not any(matches(value, wanted) for value in values):
            return f"{key} {wanted} is required, its aggregates have {', '.join(sorted(values)) or 'no value'}"
    return None


def image_isolation(request: PlacementRequest, node: ComputeNode) -> str | None:
    """An image with a property that the host's aggregates restrict must have one of their values.  An image without the
    property passes."""
    namespace = request.rules.aggregate_image_properties_isolation_namespace
    prefix = namespace and f"{namespace}{request.rules.aggregate_image_properties_isolation_separator}"
    for key, values in node.aggregate_metadata.items():
        value = request.image_properties.get(key) if key.startswith(prefix) else None
        if value is not None and value not in values:
            return f"its aggregates accept images with {key} {', '.join(sorted(values))} only, the image has {value}"
    return None


def tenant_isolation(request: PlacementRequest, node: ComputeNode) -> str | None:
    """If the host's aggregates name projects, only servers of these projects pass."""
    lists = [values for key, values in node.aggregate_metadata.items() if key.startswith(TENANTS)]
    if not lists or any(request.project_id in projects for projects in lists):
        return None
    return "its aggregates are for other projects"


def type_affinity(request: PlacementRequest, node: ComputeNode) -> str | None:
    """If the host's aggregates name flavors, only servers of these flavors pass."""
    flavors = node.aggregate_metadata.get(FLAVORS)
    if flavors is None or request.flavor_name in flavors:
        return None
    return f"its aggregates are for the flavors {', '.join(sorted(flavors))}"


def limit(node: ComputeNode, name: str, default: int) -> int:
    """A limit of the host: the smallest number in the metadata of its aggregates, or the configured one."""
    numbers = [int(text) for text in node.aggregate_metadata.get(name, ()) if text.isdecimal()]
    return min(numbers, default=default)
