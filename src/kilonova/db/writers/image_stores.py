# SPDX-License-Identifier: Apache-2.0
"""Writing the image stores and their copies of images."""

import sqlalchemy as sa

from kilonova.db.codec import STORES
from kilonova.db.schema import image_copies, image_stores
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import ImageId
from kilonova.objects.image_store import StoreAddress


def put_address(tx: Transaction, address: StoreAddress) -> None:
    """Record the API process of a URL, in place of an earlier one."""
    values = STORES.dump(address)
    changed = tx.execute(sa.update(image_stores).where(image_stores.c.url == address.url).values(values))
    if changed.rowcount == 0:
        tx.execute(sa.insert(image_stores).values(values))


def put_copy(tx: Transaction, image_id: ImageId, store_id: str, *, doubted: bool = False) -> None:
    """Record that the store has the bytes of the image."""
    changed = tx.execute(sa.update(image_copies).where(*_is(image_id, store_id)).values(doubted=doubted))
    if changed.rowcount == 0:
        tx.execute(sa.insert(image_copies).values(image_id=image_id, store_id=store_id, doubted=doubted))


def doubt_copy(tx: Transaction, image_id: ImageId, store_id: str) -> None:
    """A reader received other bytes from the store.  A copy that is not recorded is not an error."""
    tx.execute(sa.update(image_copies).where(*_is(image_id, store_id)).values(doubted=True))


def delete_copy(tx: Transaction, image_id: ImageId, store_id: str) -> None:
    """The store has no bytes of the image.  A copy that is not recorded is not an error."""
    tx.execute(sa.delete(image_copies).where(*_is(image_id, store_id)))


def _is(image_id: ImageId, store_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (image_copies.c.image_id == image_id, image_copies.c.store_id == store_id)
