# SPDX-License-Identifier: Apache-2.0
"""Writing the image stores and their copies of images."""

import sqlalchemy as sa

from kilonova.db.codec import STORES
from kilonova.db.dialect import Upsert
from kilonova.db.schema import image_copies, image_stores
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import ImageId
from kilonova.objects.image_store import StoreAddress

_PUT_ADDRESS = Upsert(image_stores, ("url",), ("store_id", "process_id", "seen_at", "is_full"))
_PUT_COPY = Upsert(image_copies, ("image_id", "store_id"), ("doubted",))


def put_address(tx: Transaction, address: StoreAddress) -> None:
    """Record the API process of a URL, in place of an earlier one."""
    tx.execute(_PUT_ADDRESS.on(tx), STORES.dump(address))


def put_copy(tx: Transaction, image_id: ImageId, store_id: str) -> None:
    """Record that the store has the bytes of the image, without a doubt."""
    tx.execute(_PUT_COPY.on(tx), {"image_id": image_id, "store_id": store_id, "doubted": False})


def doubt_copy(tx: Transaction, image_id: ImageId, store_id: str) -> None:
    """A reader received other bytes from the store.  A copy that is not recorded is not an error."""
    tx.execute(sa.update(image_copies).where(*_is(image_id, store_id)).values(doubted=True))


def delete_copy(tx: Transaction, image_id: ImageId, store_id: str) -> None:
    """The store has no bytes of the image.  A copy that is not recorded is not an error."""
    tx.execute(sa.delete(image_copies).where(*_is(image_id, store_id)))


def delete_store(tx: Transaction, store_id: str) -> None:
    """Delete the addresses and the copies of a store.  A store that is not recorded is not an error."""
    for table in (image_stores, image_copies):
        tx.execute(sa.delete(table).where(table.c.store_id == store_id))


def _is(image_id: ImageId, store_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (image_copies.c.image_id == image_id, image_copies.c.store_id == store_id)
