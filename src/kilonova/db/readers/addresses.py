# SPDX-License-Identifier: Apache-2.0
"""Who holds which address."""

from collections.abc import Collection

import sqlalchemy as sa

from kilonova.db.schema import addresses
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import HostName

ANY_HOST = HostName("")
"""Who holds the addresses of a network that is one wire for all hosts."""


def holders(snapshot: Snapshot, network: str, value: int, among: Collection[HostName]) -> frozenset[HostName]:
    """On which of these hosts (ANY_HOST: on all) an address of the network, as a number, is taken."""
    query = sa.select(addresses.c.host).where(
        addresses.c.host.in_(among), addresses.c.network == network, addresses.c.value == value
    )
    return frozenset(row.host for row in snapshot.execute(query))
