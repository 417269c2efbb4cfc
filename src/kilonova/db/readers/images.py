# SPDX-License-Identifier: Apache-2.0
"""Reading images and their members."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from kilonova.base.errors import NotFound
from kilonova.db.codec import IMAGES, MEMBERS
from kilonova.db.schema import image_members, images
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import ImageId
from kilonova.objects.image import Image, ImageMember, MemberStatus

ANY_STATUS = frozenset(MemberStatus)
ACCEPTED = frozenset({MemberStatus.ACCEPTED})


def list_images(
    snapshot: Snapshot,
    project_id: str,
    *,
    admin: bool = False,
    shared: Collection[MemberStatus] = ACCEPTED,
    community: bool = False,
) -> list[Image]:
    """The images in a project's lists, newest first: its own, public ones, and shared ones to which the project's
    answer is one of `shared`; all images for an admin.  Community images of others only with `community`.

    Source: Image service API v2 reference, "List images".
    """
    table = images.c
    shows = [table.owner == project_id, table.visibility == "public", _shared_with(project_id, shared)]
    if community:
        shows.append(table.visibility == "community")
    query = sa.select(images).order_by(table.created_at.desc(), table.id.desc())
    if not admin:
        query = query.where(sa.or_(*shows))
    elif not community:
        query = query.where(sa.or_(table.owner == project_id, table.visibility != "community"))
    return IMAGES.load_all(snapshot.execute(query))


def _shared_with(project_id: str | sa.BindParameter[str], statuses: Collection[MemberStatus]) -> sa.ColumnElement[bool]:
    member = image_members.c
    theirs = sa.select(member.image_id).where(member.project_id == project_id, member.status.in_(statuses))
    return sa.and_(images.c.visibility == "shared", images.c.id.in_(theirs))


@dataclass(frozen=True, slots=True)
class ImagesUse:
    """The usage of a project's images."""

    count: int
    size_bytes: int


def images_use(snapshot: Snapshot, project_id: str) -> ImagesUse:
    """The sizes of the images that a project owns, with the reservations of running uploads."""
    size, reserved = (
        sa.func.coalesce(sa.cast(images.c.body[name].as_string(), sa.BigInteger), 0) for name in ("size", "reserved")
    )
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(size + reserved), 0))
    count, size_bytes = snapshot.execute(query.where(images.c.owner == project_id)).one()
    return ImagesUse(count, int(size_bytes))


_OF_ID = sa.select(images).where(images.c.id == sa.bindparam("of_id"))
_PROJECT = sa.bindparam("of_project", type_=sa.String)
_USABLE = _OF_ID.where(
    sa.or_(
        images.c.owner == _PROJECT,
        images.c.visibility.in_(("public", "community")),
        _shared_with(_PROJECT, ANY_STATUS),
    )
)


def get_image(snapshot: Snapshot, image_id: ImageId, project_id: str, *, admin: bool = False) -> Image:
    """An image that the project may see and use: its own, a public, a community or a shared image.  The project's
    answer to the sharing does not matter.  Raises NotFound."""
    mine = {} if admin else {"of_project": project_id}
    row = snapshot.execute(_OF_ID if admin else _USABLE, {"of_id": image_id, **mine}).mappings().first()
    if row is None:
        raise NotFound(f"Image {image_id} could not be found.", image_id=image_id)
    return IMAGES.load(row)


def image_members_of(snapshot: Snapshot, image_id: ImageId) -> list[ImageMember]:
    """The projects with which an image is shared, by id."""
    query = sa.select(image_members).where(image_members.c.image_id == image_id).order_by(image_members.c.project_id)
    return MEMBERS.load_all(snapshot.execute(query))
