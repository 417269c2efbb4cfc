# SPDX-License-Identifier: Apache-2.0
"""Writing the records of placements."""

import sqlalchemy as sa

from kilonova.db.codec import PLACEMENTS
from kilonova.db.schema import placements
from kilonova.db.transaction import Transaction
from kilonova.objects.action import Action
from kilonova.objects.placement import PlacementRecord

_INSERT = sa.insert(placements)


def insert(tx: Transaction, action: Action, record: PlacementRecord) -> None:
    """Record the placement of the action's current leg, which has had none."""
    tx.execute(_INSERT, {"action_id": action.id, "leg": action.current, **PLACEMENTS.dump(record)})
