# SPDX-License-Identifier: Apache-2.0
"""Reading the image stores, their copies of images, and the keys of their URLs."""

import sqlalchemy as sa

from kilonova.db.codec import COPIES, IMAGES, STORES
from kilonova.db.readers import signing_keys
from kilonova.db.schema import image_copies, image_stores, images
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import ImageId
from kilonova.objects.image import WITH_BYTES, Image
from kilonova.objects.image_store import ImageCopy, StoreAddress
from kilonova.objects.signing_key import IMAGE_URLS, SigningKey


def addresses(snapshot: Snapshot) -> list[StoreAddress]:
    """The API processes that serve a store, by URL."""
    return STORES.load_all(snapshot.execute(sa.select(image_stores).order_by(image_stores.c.url)))


def copies_of(snapshot: Snapshot, image_id: ImageId) -> list[ImageCopy]:
    """The recorded copies of an image, by store."""
    query = sa.select(image_copies).where(image_copies.c.image_id == image_id).order_by(image_copies.c.store_id)
    return COPIES.load_all(snapshot.execute(query))


def all_copies(snapshot: Snapshot) -> list[ImageCopy]:
    """The recorded copies of all images."""
    return COPIES.load_all(snapshot.execute(sa.select(image_copies)))


def all_images(snapshot: Snapshot) -> list[Image]:
    """The records of the images of all owners, newest first."""
    return IMAGES.load_all(snapshot.execute(sa.select(images).order_by(images.c.created_at.desc(), images.c.id)))


def has_bytes(snapshot: Snapshot, image_id: ImageId) -> bool:
    """Whether the image's record says that its bytes are complete."""
    query = sa.select(images.c.id).where(images.c.id == image_id, images.c.status.in_(WITH_BYTES))
    return snapshot.execute(query).first() is not None


def keys(snapshot: Snapshot) -> list[SigningKey]:
    """The keys of URLs, the newest first."""
    return [*reversed(signing_keys.of_purpose(snapshot, IMAGE_URLS))]


def copies_by_store(snapshot: Snapshot) -> dict[str, tuple[int, int]]:
    """For each store, the number of its copies, and how many of them are the only copy of their image."""
    sole = sa.select(image_copies.c.image_id).group_by(image_copies.c.image_id).having(sa.func.count() == 1)
    is_sole = sa.case((image_copies.c.image_id.in_(sole), 1), else_=0)
    query = sa.select(image_copies.c.store_id, sa.func.count(), sa.func.sum(is_sole)).group_by(image_copies.c.store_id)
    return {store_id: (copies, only) for store_id, copies, only in snapshot.execute(query)}
