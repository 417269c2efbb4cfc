# SPDX-License-Identifier: Apache-2.0
"""The request to the scheduler, and its result."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kilonova.objects.hardware import Need
from kilonova.objects.ids import HostName
from kilonova.objects.server_group import GroupPolicy


@dataclass(frozen=True, slots=True)
class GroupConstraint:
    """The policy of an instance's server group, and how many other members of the group each host has.  `most_per_host`
    is the limit for anti-affinity."""

    policy: GroupPolicy
    members: Mapping[HostName, int]
    most_per_host: int = 1


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """The resources and constraints of one instance.  `networks` by name; none means the first network of the host.
    Acceptable are `host` only, if it is set, or only `same_hosts` (None means any), and never `different_hosts`."""

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


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason of a filter for the refusal of a host."""

    host: HostName
    filter: str
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Hosts in the order in which to try them, and what the filters refused."""

    hosts: tuple[HostName, ...]
    refusals: tuple[Refusal, ...] = ()
    weights: Mapping[HostName, float] = field(default_factory=dict[HostName, float])
