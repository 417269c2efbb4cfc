# SPDX-License-Identifier: Apache-2.0
"""What a project's servers take together, and what it may take."""

from collections.abc import Mapping
from dataclasses import dataclass

from kilonova.objects.flavor import Flavor
from kilonova.objects.instance import Instance

UNLIMITED = -1

Limits = Mapping[str, int]
"""By resource (the names of [quota]); UNLIMITED is no limit."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Servers, virtual CPUs and MiB of memory; a difference may be below zero."""

    instances: int = 0
    cores: int = 0
    ram: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.instances + other.instances, self.cores + other.cores, self.ram + other.ram)

    def __neg__(self) -> "Usage":
        return Usage(-self.instances, -self.cores, -self.ram)

    def __sub__(self, other: "Usage") -> "Usage":
        return self + -other


def held_by(instance: Instance) -> Usage:
    """What an instance takes of its project's quota from its create to the end of its delete, in whatever state.

    While a resize is under way or waits for its confirmation that is the larger of both sizes, so that neither its
    confirmation nor its revert can fail for want of quota.
    """
    flavors = _flavors(instance)
    return Usage(1, max(flavor.vcpus for flavor in flavors), max(flavor.memory_mib for flavor in flavors))


def _flavors(instance: Instance) -> list[Flavor]:
    return [flavor for flavor in (instance.flavor, instance.old_flavor, instance.new_flavor) if flavor is not None]
