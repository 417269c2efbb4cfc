# SPDX-License-Identifier: Apache-2.0
"""[filter_scheduler]: the filters and weighers that choose a host.  The names are those of Nova's options."""

from dataclasses import dataclass
from typing import Any

from oslo_config import cfg

REQUIRED_FILTERS = (
    "RetryFilter",
    "DestinationFilter",
    "SameHostFilter",
    "DifferentHostFilter",
    "ComputeFilter",
    "AvailabilityZoneFilter",
    "CoreFilter",
    "RamFilter",
    "DiskFilter",
    "NetworkFilter",
)
"""Filters that are always on: without them a server would be placed where it cannot run, or where it was not to be."""

DEFAULT_FILTERS = (
    "AggregateInstanceExtraSpecsFilter",
    "AggregateImagePropertiesIsolation",
    "AggregateMultiTenancyIsolation",
    "ImagePropertiesFilter",
    "ServerGroupAffinityFilter",
    "ServerGroupAntiAffinityFilter",
)
"""Filters that are on unless `enabled_filters` leaves them out."""

OPTIONAL_FILTERS = (*DEFAULT_FILTERS, "AggregateTypeAffinityFilter", "NumInstancesFilter", "IoOpsFilter")

GROUP = "filter_scheduler"
OPTIONS = [
    cfg.ListOpt(
        "enabled_filters",
        default=list(DEFAULT_FILTERS),
        help="Filters that are on besides the required ones (docs/scheduling.md lists both).",
    ),
    cfg.IntOpt(
        "host_subset_size", default=3, min=1, help="A new server goes to one of this many best hosts, by chance."
    ),
    cfg.IntOpt("max_instances_per_host", default=50, min=1, help="NumInstancesFilter: most servers of one host."),
    cfg.IntOpt(
        "max_io_ops_per_host",
        default=8,
        min=1,
        help="IoOpsFilter: most builds, resizes, images and similar work at once on one host.",
    ),
    cfg.StrOpt(
        "aggregate_image_properties_isolation_namespace",
        default="",
        help="AggregateImagePropertiesIsolation: only metadata keys with this prefix count; empty: all keys.",
    ),
    cfg.StrOpt(
        "aggregate_image_properties_isolation_separator",
        default=".",
        help="AggregateImagePropertiesIsolation: what follows the prefix in such a key.",
    ),
    cfg.FloatOpt(
        "ram_weight_multiplier", default=1.0, help="Free memory: a positive number spreads servers, a negative packs."
    ),
    cfg.FloatOpt("cpu_weight_multiplier", default=0.5, help="Free vCPUs: positive spreads, negative packs."),
    cfg.FloatOpt("disk_weight_multiplier", default=0.5, help="Free disk: positive spreads, negative packs."),
    cfg.FloatOpt(
        "io_ops_weight_multiplier", default=-1.0, help="Work with disks in progress: negative prefers idle hosts."
    ),
    cfg.FloatOpt(
        "build_failure_weight_multiplier",
        default=1000000.0,
        min=0,
        help="How much each recent failed build counts against a host; 0: not at all.",
    ),
    cfg.FloatOpt(
        "soft_affinity_weight_multiplier",
        default=1.0,
        min=0,
        help="How much each member of a soft-affinity group counts.",
    ),
    cfg.FloatOpt(
        "soft_anti_affinity_weight_multiplier",
        default=1.0,
        min=0,
        help="How much each member of a soft-anti-affinity group counts.",
    ),
]


@dataclass(frozen=True, slots=True)
class FilterSchedulerSettings:
    """See the options.  `enabled_filters` are names of OPTIONAL_FILTERS."""

    enabled_filters: tuple[str, ...] = DEFAULT_FILTERS
    host_subset_size: int = 3
    max_instances_per_host: int = 50
    max_io_ops_per_host: int = 8
    aggregate_image_properties_isolation_namespace: str = ""
    aggregate_image_properties_isolation_separator: str = "."
    ram_weight_multiplier: float = 1.0
    cpu_weight_multiplier: float = 0.5
    disk_weight_multiplier: float = 0.5
    io_ops_weight_multiplier: float = -1.0
    build_failure_weight_multiplier: float = 1000000.0
    soft_affinity_weight_multiplier: float = 1.0
    soft_anti_affinity_weight_multiplier: float = 1.0


DEFAULTS = FilterSchedulerSettings()


def settings(group: cfg.ConfigOpts.GroupAttr) -> FilterSchedulerSettings:
    """The frozen settings of the group.  Raises ValueError in one sentence."""
    values: dict[str, Any] = {option.name: group[option.name] for option in OPTIONS}
    unknown = [name for name in group.enabled_filters if name not in (*OPTIONAL_FILTERS, *REQUIRED_FILTERS)]
    if unknown:
        raise ValueError(
            f"[{GROUP}] enabled_filters: there is no filter {unknown[0]!r}; there are {', '.join(OPTIONAL_FILTERS)}."
        )
    values["enabled_filters"] = tuple(group.enabled_filters)
    return FilterSchedulerSettings(**values)
