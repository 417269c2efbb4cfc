# SPDX-License-Identifier: Apache-2.0
"""Writing key pairs."""

import sqlalchemy as sa

from kilonova.base.errors import Conflict
from kilonova.db.codec import KEYPAIRS
from kilonova.db.schema import keypairs
from kilonova.db.transaction import Transaction
from kilonova.objects.keypair import Keypair


def create_keypair(tx: Transaction, keypair: Keypair) -> bool:
    """Record a key pair.  Returns whether it is new: an identical one is accepted again.  Raises Conflict if the user
    has another key under this name."""
    query = sa.select(keypairs).where(keypairs.c.user_id == keypair.user_id, keypairs.c.name == keypair.name)
    row = tx.execute(query).mappings().first()
    if row is not None:
        if row["public_key"] == keypair.public_key and row["created_at"] == keypair.created_at:
            return False
        raise Conflict(f"Key pair '{keypair.name}' already exists.")
    values = {name: value for name, value in KEYPAIRS.dump(keypair).items() if name != "id"}
    tx.execute(sa.insert(keypairs).values(**values))
    return True


def delete_keypair(tx: Transaction, user_id: str, name: str) -> None:
    """Delete a key pair.  A missing one is not an error."""
    tx.execute(sa.delete(keypairs).where(keypairs.c.user_id == user_id, keypairs.c.name == name))
