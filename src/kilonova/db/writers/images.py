# SPDX-License-Identifier: Apache-2.0
"""Writing images and their members."""

import sqlalchemy as sa

from kilonova.base.errors import Conflict, NotFound
from kilonova.db.codec import IMAGES, MEMBERS
from kilonova.db.dialect import Upsert
from kilonova.db.schema import deleted_images, image_copies, image_members, images
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import ImageId
from kilonova.objects.image import WITH_BYTES, Image, ImageMember

_OF_ID = sa.select(images).where(images.c.id == sa.bindparam("of_id"))
_CHANGE = sa.update(images).where(images.c.id == sa.bindparam("of_id"))
_KEEP_ID = Upsert(deleted_images, ("id",))


def create_image(tx: Transaction, image: Image) -> bool:
    """Record an image; False if it is recorded already (the same request, delivered again).  Raises Conflict if another
    image has the id, or a deleted one had it."""
    row = tx.execute(sa.select(images).where(images.c.id == image.id)).mappings().first()
    if row is not None:
        if row["owner"] == image.owner and row["created_at"] == image.created_at:
            return False
        raise Conflict(f"Image ID {image.id} already exists.")
    if tx.execute(sa.select(deleted_images).where(deleted_images.c.id == image.id)).first() is not None:
        raise Conflict(f"Image ID {image.id} already exists.")
    tx.execute(sa.insert(images).values(**IMAGES.dump(image)))
    return True


def update_image(tx: Transaction, image: Image, expected: Image | None) -> Image:
    """Replace the record, and return the old one; with `expected` only if it is still equal to that.  Raises NotFound,
    Conflict.  A repeat of the same change is accepted."""
    row = tx.execute(_OF_ID, {"of_id": image.id}).mappings().first()
    if row is None:
        raise NotFound(f"Image {image.id} could not be found.", image_id=image.id)
    stored = IMAGES.load(row)
    if expected is not None and stored not in (expected, image):
        raise Conflict(f"Image {image.id} was changed meanwhile; look at it again.", image_id=image.id)
    values = {k: v for k, v in IMAGES.dump(image).items() if k not in ("id", "created_at")}
    tx.execute(_CHANGE, {**values, "of_id": image.id})
    return stored


def delete_image(tx: Transaction, image_id: ImageId) -> None:
    """Delete an image.  Raises Conflict for a protected one.  A missing image is not an error."""
    row = tx.execute(sa.select(images).where(images.c.id == image_id)).mappings().first()
    if row is not None and IMAGES.load(row).protected:
        raise Conflict(f"Image {image_id} is protected and cannot be deleted.", image_id=image_id)
    forget_image(tx, image_id)


def forget_image(tx: Transaction, image_id: ImageId) -> None:
    """Delete an image, protected or not: for uploads that failed, and for images that the service created itself.  The
    id of an image that had bytes is not used again."""
    status = tx.execute(sa.select(images.c.status).where(images.c.id == image_id)).scalar()
    if status in WITH_BYTES:
        tx.execute(_KEEP_ID.on(tx), {"id": image_id})
    tx.execute(sa.delete(image_members).where(image_members.c.image_id == image_id))
    tx.execute(sa.delete(image_copies).where(image_copies.c.image_id == image_id))
    tx.execute(sa.delete(images).where(images.c.id == image_id))


def insert_member(tx: Transaction, member: ImageMember) -> None:
    tx.execute(sa.insert(image_members).values(MEMBERS.dump(member)))


def update_member(tx: Transaction, member: ImageMember) -> None:
    values = {"status": member.status, "updated_at": member.updated_at}
    tx.execute(sa.update(image_members).where(*_is(member.image_id, member.project_id)).values(values))


def delete_member(tx: Transaction, image_id: ImageId, project_id: str) -> bool:
    """Whether the image was shared with the project."""
    return tx.execute(sa.delete(image_members).where(*_is(image_id, project_id))).rowcount == 1


def _is(image_id: ImageId, project_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (image_members.c.image_id == image_id, image_members.c.project_id == project_id)
