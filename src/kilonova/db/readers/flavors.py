# SPDX-License-Identifier: Apache-2.0
"""Reading flavors, and the access of projects to private ones."""

import sqlalchemy as sa

from kilonova.base.errors import NotFound
from kilonova.db.codec import FLAVORS
from kilonova.db.schema import flavor_access, flavors
from kilonova.db.transaction import Snapshot
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import FlavorId


def list_flavors(snapshot: Snapshot) -> list[Flavor]:
    """All flavors, by id."""
    query = sa.select(flavors).order_by(flavors.c.id)
    return FLAVORS.load_all(snapshot.execute(query))


_OF_ID = sa.select(flavors).where(flavors.c.id == sa.bindparam("of_id"))


def get_flavor(snapshot: Snapshot, flavor_id: FlavorId) -> Flavor:
    """One flavor.  Raises NotFound."""
    row = snapshot.execute(_OF_ID, {"of_id": flavor_id}).mappings().first()
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
    """Ids of the private flavors that a project may use."""
    query = sa.select(flavor_access.c.flavor_id).where(flavor_access.c.project_id == project_id)
    return frozenset(snapshot.execute(query).scalars())
