# SPDX-License-Identifier: Apache-2.0
"""A host aggregate: hosts with something in common; with a zone's name it is an availability zone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kilonova.objects.ids import HostName

ZONE = "availability_zone"
"""The key for an aggregate's zone in the API's metadata."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`metadata` is without the zone.  Hosts are sorted."""

    id: int
    uuid: str
    name: str
    availability_zone: str | None
    created_at: datetime
    updated_at: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    hosts: tuple[HostName, ...] = ()
