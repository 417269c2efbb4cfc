# SPDX-License-Identifier: Apache-2.0
"""Reading the assigned addresses."""

from collections.abc import Collection

import sqlalchemy as sa

from kilonova.db.schema import addresses
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import HostName

ANY_HOST = HostName("")
"""The host in the records of addresses of a network that is one wire for all hosts."""


def holders(snapshot: Snapshot, network: str, value: int, among: Collection[HostName]) -> frozenset[HostName]:
    """The hosts among these (ANY_HOST: all) on which an address of the network, as a number, is assigned."""
    query = sa.select(addresses.c.host).where(
        addresses.c.host.in_(among), addresses.c.network == network, addresses.c.value == value
    )
    return frozenset(row.host for row in snapshot.execute(query))
