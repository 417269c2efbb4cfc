# SPDX-License-Identifier: Apache-2.0
"""Writing flavors, and the access of projects to private ones."""

from collections.abc import Mapping
from dataclasses import replace

import sqlalchemy as sa

from kilonova.base.errors import Conflict
from kilonova.db.codec import FLAVORS
from kilonova.db.readers import flavors as read_flavors
from kilonova.db.schema import flavor_access, flavors
from kilonova.db.transaction import Transaction
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import FlavorId


def create_flavor(tx: Transaction, flavor: Flavor) -> None:
    """Record a flavor.  Raises Conflict if another flavor has the id or the name; an identical flavor is accepted
    again."""
    taken = sa.or_(flavors.c.id == flavor.id, flavors.c.name == flavor.name)
    for row in tx.execute(sa.select(flavors).where(taken)).mappings():
        if FLAVORS.load(row) == flavor:
            return
        raise Conflict(f"Flavor with name {flavor.name} or ID {flavor.id} already exists.")
    tx.execute(sa.insert(flavors).values(**FLAVORS.dump(flavor)))


def delete_flavor(tx: Transaction, flavor_id: FlavorId) -> None:
    """Delete a flavor.  A missing one is not an error: the same request may be repeated."""
    tx.execute(sa.delete(flavor_access).where(flavor_access.c.flavor_id == flavor_id))
    tx.execute(sa.delete(flavors).where(flavors.c.id == flavor_id))


def describe(tx: Transaction, flavor_id: FlavorId, description: str | None) -> None:
    """Change the description.  Raises NotFound."""
    _store(tx, replace(read_flavors.get_flavor(tx, flavor_id), description=description))


def edit_extra_specs(tx: Transaction, flavor_id: FlavorId, put: Mapping[str, str], remove: tuple[str, ...]) -> None:
    """Set and remove extra specs.  Raises NotFound.  A repeat changes nothing."""
    flavor = read_flavors.get_flavor(tx, flavor_id)
    kept = {name: value for name, value in flavor.extra_specs.items() if name not in remove}
    _store(tx, replace(flavor, extra_specs={**kept, **put}))


def _store(tx: Transaction, flavor: Flavor) -> None:
    tx.execute(sa.update(flavors).where(flavors.c.id == flavor.id).values(**FLAVORS.dump(flavor)))


def allow(tx: Transaction, flavor_id: FlavorId, project_id: str) -> None:
    """Allow a project to use the flavor.  Raises NotFound.  A repeat changes nothing."""
    read_flavors.get_flavor(tx, flavor_id)
    if project_id not in read_flavors.flavor_projects(tx, flavor_id):
        tx.execute(sa.insert(flavor_access).values(flavor_id=flavor_id, project_id=project_id))


def disallow(tx: Transaction, flavor_id: FlavorId, project_id: str) -> None:
    """Remove the access of a project.  Missing access is not an error."""
    row = flavor_access.c
    tx.execute(sa.delete(flavor_access).where(row.flavor_id == flavor_id, row.project_id == project_id))
