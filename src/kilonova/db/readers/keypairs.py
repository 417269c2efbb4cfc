# SPDX-License-Identifier: Apache-2.0
"""Reading key pairs."""

import sqlalchemy as sa

from kilonova.base.errors import NotFound
from kilonova.db.codec import KEYPAIRS
from kilonova.db.schema import keypairs
from kilonova.db.transaction import Snapshot
from kilonova.objects.keypair import Keypair


def list_keypairs(snapshot: Snapshot, user_id: str) -> list[Keypair]:
    """A user's key pairs, by name."""
    query = sa.select(keypairs).where(keypairs.c.user_id == user_id).order_by(keypairs.c.name)
    return KEYPAIRS.load_all(snapshot.execute(query))


def get_keypair(snapshot: Snapshot, user_id: str, name: str) -> Keypair:
    """One key pair.  Raises NotFound."""
    query = sa.select(keypairs).where(keypairs.c.user_id == user_id, keypairs.c.name == name)
    row = snapshot.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"Keypair {name} not found for user {user_id}", name=name)
    return KEYPAIRS.load(row)
