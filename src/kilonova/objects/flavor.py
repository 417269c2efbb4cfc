# SPDX-License-Identifier: Apache-2.0
"""A flavor: the size of a server."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kilonova.objects.ids import FlavorId


@dataclass(frozen=True, slots=True)
class Flavor:
    """`disk_gib` is the root disk's size; 0 means the image's own."""

    id: FlavorId
    name: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    ephemeral_gib: int = 0
    swap_mib: int = 0
    rxtx_factor: float = 1.0
    is_public: bool = True
    disabled: bool = False
    description: str | None = None
    extra_specs: Mapping[str, str] = field(default_factory=dict[str, str])
