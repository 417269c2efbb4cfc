# SPDX-License-Identifier: Apache-2.0
"""Reading the additions to the service catalog."""

import sqlalchemy as sa

from kilonova.db.codec import ENTRIES
from kilonova.db.schema import catalog_entries
from kilonova.db.transaction import Snapshot
from kilonova.objects.identity import CatalogEntry


def list_entries(snapshot: Snapshot) -> list[CatalogEntry]:
    """All additions, by kind and id."""
    query = sa.select(catalog_entries).order_by(catalog_entries.c.kind, catalog_entries.c.id)
    return ENTRIES.load_all(snapshot.execute(query))
