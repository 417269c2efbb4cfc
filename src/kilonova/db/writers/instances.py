# SPDX-License-Identifier: Apache-2.0
"""Writing instances."""

from datetime import datetime
from ipaddress import ip_address
from typing import Any

import sqlalchemy as sa

from kilonova.db import rows
from kilonova.db.schema import addresses, instances
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.service import HostNetwork

_INSERT = sa.insert(instances)
_OF_ID = sa.update(instances).where(instances.c.id == sa.bindparam("of_id"))


def insert(connection: sa.Connection, instance: Instance) -> bool:
    """Record a new instance; False if its id is known already (the same request, delivered again)."""
    known = connection.execute(sa.select(instances.c.id).where(instances.c.id == instance.id)).first()
    if known is not None:
        return False
    connection.execute(_INSERT, rows.instance_to(instance))
    return True


def update(connection: sa.Connection, instance_id: InstanceId, now: datetime, **values: Any) -> None:
    """Change columns.  Objects (fault, addresses) are given as objects."""
    if "fault" in values:
        values["fault"] = rows.fault_to(values["fault"])
    if "addresses" in values:
        values["addresses"] = rows.addresses_to(values["addresses"])
    connection.execute(_OF_ID, {"of_id": instance_id, "updated_at": now, **values})


def take_address(
    connection: sa.Connection, host: HostName, network: HostNetwork, instance_id: InstanceId
) -> str | None:
    """Give a free address of the host's network to an instance; None when the network is full.

    The one after the highest that is taken, found by index: the cost does not grow with the servers of the host.
    Only when the top of the range is taken are gaps looked for.
    """
    first, last = network.bounds
    here = sa.and_(
        addresses.c.host == host, addresses.c.network == network.name, addresses.c.value.between(first, last)
    )
    highest = connection.execute(sa.select(sa.func.max(addresses.c.value)).where(here)).scalar()
    value = first if highest is None else highest + 1
    if value > last:
        taken = {row.value for row in connection.execute(sa.select(addresses.c.value).where(here))}
        gap = next((candidate for candidate in range(first, last + 1) if candidate not in taken), None)
        if gap is None:
            return None
        value = gap
    connection.execute(
        sa.insert(addresses).values(host=host, network=network.name, value=value, instance_id=instance_id)
    )
    return str(ip_address(value))


def release_addresses(connection: sa.Connection, instance_id: InstanceId) -> None:
    """Give back all addresses of an instance."""
    connection.execute(sa.delete(addresses).where(addresses.c.instance_id == instance_id))
