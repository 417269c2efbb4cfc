# SPDX-License-Identifier: Apache-2.0
"""A server group: servers that should be together, or apart."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kilonova.base.open_enum import OpenStrEnum
from kilonova.objects.ids import ServerGroupId

MAX_SERVER_PER_HOST = "max_server_per_host"
"""The only rule, for anti-affinity; without it the limit is one."""


class GroupPolicy(OpenStrEnum):
    """The soft policies are preferences, the others are constraints."""

    AFFINITY = "affinity"
    ANTI_AFFINITY = "anti-affinity"
    SOFT_AFFINITY = "soft-affinity"
    SOFT_ANTI_AFFINITY = "soft-anti-affinity"


@dataclass(frozen=True, slots=True)
class ServerGroup:
    """The membership is in the servers' records (`Instance.server_group_id`)."""

    id: ServerGroupId
    project_id: str
    user_id: str
    name: str
    policy: GroupPolicy
    created_at: datetime
    rules: Mapping[str, int] = field(default_factory=dict[str, int])
