# SPDX-License-Identifier: Apache-2.0
"""A migration: the record of a resize or an evacuation, as operators list them."""

from dataclasses import dataclass
from datetime import datetime

from kilonova.base.open_enum import OpenStrEnum
from kilonova.objects.ids import ActionId, FlavorId, HostName, InstanceId


class MigrationStatus(OpenStrEnum):
    """The states of a resize or an evacuation, in Nova's words."""

    ACCEPTED = "accepted"
    """The evacuation has no result yet."""

    MIGRATING = "migrating"
    FINISHED = "finished"
    """The resize waits for its confirmation."""
    CONFIRMING = "confirming"
    REVERTING = "reverting"
    CONFIRMED = "confirmed"
    REVERTED = "reverted"
    DONE = "done"
    """The server runs on its new host."""
    FAILED = "failed"
    """The server was not evacuated."""
    ERROR = "error"


RESIZE, EVACUATION = "resize", "evacuation"
ENDED = frozenset(
    {
        MigrationStatus.CONFIRMED,
        MigrationStatus.REVERTED,
        MigrationStatus.DONE,
        MigrationStatus.FAILED,
        MigrationStatus.ERROR,
    }
)


@dataclass(frozen=True, slots=True)
class Migration:
    """`uuid` is the id of its action.  `user_id` and `project_id` are those of the user who requested it.  The
    `dest_compute` of an evacuation is empty until a host is chosen."""

    uuid: ActionId
    instance_id: InstanceId
    source_compute: HostName
    dest_compute: HostName
    old_flavor_id: FlavorId
    new_flavor_id: FlavorId
    user_id: str
    project_id: str
    created_at: datetime
    updated_at: datetime
    migration_type: str = RESIZE
    status: MigrationStatus = MigrationStatus.MIGRATING
