# SPDX-License-Identifier: Apache-2.0
"""The usage of a project's servers, and its limits."""

from collections.abc import Mapping
from dataclasses import dataclass

from kilonova.objects.instance import Instance

UNLIMITED = -1

Limits = Mapping[str, int]
"""Limits by resource (the names of [quota]); UNLIMITED means no limit."""


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


def usage_of(instance: Instance) -> Usage:
    """The usage of an instance from its create to the end of its delete, in every state.

    During a resize it is the larger of both sizes.  While the resize waits for its confirmation it is the new size, as
    in Nova; a revert takes the old size again, without a check of the limits.
    """
    now, later = instance.flavor, instance.new_flavor or instance.flavor
    return Usage(1, max(now.vcpus, later.vcpus), max(now.memory_mib, later.memory_mib))
