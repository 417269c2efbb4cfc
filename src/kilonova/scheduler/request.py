# SPDX-License-Identifier: Apache-2.0
"""The request to the scheduler."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kilonova.config.filter_scheduler import DEFAULTS, FilterSchedulerSettings
from kilonova.objects.hardware import Need
from kilonova.objects.ids import HostName
from kilonova.objects.placement import GroupConstraint


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """The resources and constraints of one instance.  `networks` by name; none means the first network of the host.
    Acceptable are `host` only, if it is set, or only `same_hosts` (None means any), and never `different_hosts` or
    `tried_hosts` (the build has failed there).  `rules` are the operator's settings."""

    vcpus: int
    memory_mib: int
    disk_gib: int
    availability_zone: str | None = None
    wants_network: bool = True
    networks: tuple[str, ...] = ()
    host: HostName | None = None
    same_hosts: frozenset[HostName] | None = None
    different_hosts: frozenset[HostName] = frozenset()
    group: GroupConstraint | None = None
    extra_specs: Mapping[str, str] = field(default_factory=dict[str, str])
    needs: tuple[Need, ...] = ()
    tried_hosts: frozenset[HostName] = frozenset()
    project_id: str = ""
    flavor_name: str = ""
    image_properties: Mapping[str, str] = field(default_factory=dict[str, str])
    rules: FilterSchedulerSettings = DEFAULTS
