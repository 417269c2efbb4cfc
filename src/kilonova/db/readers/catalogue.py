# SPDX-License-Identifier: Apache-2.0
"""Reading what servers are made from: flavors, images, key pairs."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from kilonova.base.errors import NotFound
from kilonova.db.codec import FLAVORS, IMAGES, KEYPAIRS, MEMBERS
from kilonova.db.schema import flavor_access, flavors, image_members, images, keypairs
from kilonova.db.transaction import Snapshot
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import FlavorId, ImageId
from kilonova.objects.image import Image, ImageMember, MemberStatus
from kilonova.objects.keypair import Keypair


def list_flavors(snapshot: Snapshot) -> list[Flavor]:
    """All flavors, by id."""
    query = sa.select(flavors).order_by(flavors.c.id)
    return FLAVORS.load_all(snapshot.execute(query))


def get_flavor(snapshot: Snapshot, flavor_id: FlavorId) -> Flavor:
    """Raises NotFound."""
    row = snapshot.execute(sa.select(flavors).where(flavors.c.id == flavor_id)).mappings().first()
    if row is None:
        raise NotFound(f"Flavor {flavor_id} could not be found.", flavor_id=flavor_id)
    return FLAVORS.load(row)


def find_flavor(snapshot: Snapshot, flavor_id: FlavorId, project_id: str, *, admin: bool = False) -> Flavor:
    """A flavor that the project may use.  Raises NotFound."""
    flavor = get_flavor(snapshot, flavor_id)
    if not (admin or flavor.is_public or project_id in flavor_projects(snapshot, flavor_id)):
        raise NotFound(f"Flavor {flavor_id} could not be found.", flavor_id=flavor_id)
    return flavor


def flavor_projects(snapshot: Snapshot, flavor_id: FlavorId) -> list[str]:
    """The projects that may use a flavor that is not public, sorted."""
    row = flavor_access.c
    query = sa.select(row.project_id).where(row.flavor_id == flavor_id).order_by(row.project_id)
    return list(snapshot.execute(query).scalars())


def flavors_of_project(snapshot: Snapshot, project_id: str) -> frozenset[str]:
    """Ids of the flavors that were opened to a project."""
    query = sa.select(flavor_access.c.flavor_id).where(flavor_access.c.project_id == project_id)
    return frozenset(snapshot.execute(query).scalars())


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
    """Images that a project's lists show, newest first: its own, public ones and those that are shared with it, if what
    it says of them is one of `shared`; all of them for an admin.  Community images of others only with `community`.

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


def _shared_with(project_id: str, statuses: Collection[MemberStatus]) -> sa.ColumnElement[bool]:
    member = image_members.c
    theirs = sa.select(member.image_id).where(member.project_id == project_id, member.status.in_(statuses))
    return sa.and_(images.c.visibility == "shared", images.c.id.in_(theirs))


@dataclass(frozen=True, slots=True)
class ImagesUse:
    """What a project's images take."""

    count: int
    size_bytes: int


def images_use(snapshot: Snapshot, project_id: str) -> ImagesUse:
    """Of the images that a project owns, with what is reserved for those that are on their way in."""
    size, reserved = (sa.func.coalesce(images.c.body[name].as_integer(), 0) for name in ("size", "reserved"))
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(size + reserved), 0))
    count, size_bytes = snapshot.execute(query.where(images.c.owner == project_id)).one()
    return ImagesUse(count, size_bytes)


def get_image(snapshot: Snapshot, image_id: ImageId, project_id: str, *, admin: bool = False) -> Image:
    """An image that the project may see and use: by its id also one of the community, and one that is shared with it,
    whatever it says of that.  Raises NotFound."""
    query = sa.select(images).where(images.c.id == image_id)
    if not admin:
        open_to_all = images.c.visibility.in_(("public", "community"))
        query = query.where(sa.or_(images.c.owner == project_id, open_to_all, _shared_with(project_id, ANY_STATUS)))
    row = snapshot.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"Image {image_id} could not be found.", image_id=image_id)
    return IMAGES.load(row)


def image_members_of(snapshot: Snapshot, image_id: ImageId) -> list[ImageMember]:
    """The projects with which an image is shared, by id."""
    query = sa.select(image_members).where(image_members.c.image_id == image_id).order_by(image_members.c.project_id)
    return MEMBERS.load_all(snapshot.execute(query))


def list_keypairs(snapshot: Snapshot, user_id: str) -> list[Keypair]:
    """A user's key pairs, by name."""
    query = sa.select(keypairs).where(keypairs.c.user_id == user_id).order_by(keypairs.c.name)
    return KEYPAIRS.load_all(snapshot.execute(query))


def get_keypair(snapshot: Snapshot, user_id: str, name: str) -> Keypair:
    """Raises NotFound."""
    query = sa.select(keypairs).where(keypairs.c.user_id == user_id, keypairs.c.name == name)
    row = snapshot.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"Keypair {name} not found for user {user_id}", name=name)
    return KEYPAIRS.load(row)
