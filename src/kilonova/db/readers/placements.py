# SPDX-License-Identifier: Apache-2.0
"""Reading the records of placements: why an instance is on its host, or on none."""

import sqlalchemy as sa

from kilonova.db.codec import PLACEMENTS
from kilonova.db.schema import placements
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import ActionId
from kilonova.objects.placement import PlacementRecord


def of_action(snapshot: Snapshot, action_id: ActionId) -> dict[int, PlacementRecord]:
    """The placements of an action by the index of the placed leg, the first one first."""
    query = sa.select(placements).where(placements.c.action_id == action_id).order_by(placements.c.leg)
    return {row["leg"]: PLACEMENTS.load(row) for row in snapshot.execute(query).mappings()}
