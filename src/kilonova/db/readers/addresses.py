# SPDX-License-Identifier: Apache-2.0
"""Reading the assigned addresses."""

from collections.abc import Collection

import sqlalchemy as sa

from kilonova.db.schema import addresses
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import HostName
from kilonova.objects.service import HostNetwork

ANY_HOST = HostName("")
"""The host in the records of addresses of a network that is one wire for all hosts."""


Place = tuple[HostName, str]
"""Where addresses are unique: a network of a host, or a wire of all hosts (ANY_HOST)."""


def place_of(host: HostName, network: HostNetwork) -> Place:
    """Where the addresses of a host's network are unique."""
    return (ANY_HOST if network.shared else host, network.wire)


def taken(snapshot: Snapshot, value: int, among: Collection[Place]) -> frozenset[Place]:
    """The places among these in which an address, as a number, is assigned."""
    query = sa.select(addresses.c.host, addresses.c.network).where(
        addresses.c.network.in_({network for _, network in among}), addresses.c.value == value
    )
    return frozenset((row.host, row.network) for row in snapshot.execute(query)) & frozenset(among)
