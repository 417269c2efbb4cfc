# SPDX-License-Identifier: Apache-2.0
"""A migration: the record of a resize, as operators list them."""

from dataclasses import dataclass
from datetime import datetime

from kilonova.base.open_enum import OpenStrEnum
from kilonova.objects.ids import ActionId, FlavorId, HostName, InstanceId


class MigrationStatus(OpenStrEnum):
    """The states of a resize, in Nova's words."""

    MIGRATING = "migrating"
    FINISHED = "finished"
    """The resize waits for its confirmation."""
    CONFIRMING = "confirming"
    REVERTING = "reverting"
    CONFIRMED = "confirmed"
    REVERTED = "reverted"
    ERROR = "error"


ENDED = frozenset({MigrationStatus.CONFIRMED, MigrationStatus.REVERTED, MigrationStatus.ERROR})


@dataclass(frozen=True, slots=True)
class Migration:
    """`uuid` is the id of the action of the resize.  `user_id` and `project_id` are those of the user who requested the
    resize."""

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
    migration_type: str = "resize"
    status: MigrationStatus = MigrationStatus.MIGRATING
