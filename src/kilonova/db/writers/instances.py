# SPDX-License-Identifier: Apache-2.0
"""Writing instances."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from itertools import islice
from typing import Any

import sqlalchemy as sa

from kilonova.db.codec import INSTANCES
from kilonova.db.dialect import Upsert
from kilonova.db.readers import addresses as read_addresses
from kilonova.db.readers.addresses import ANY_HOST
from kilonova.db.schema import addresses, instances, project_numbers
from kilonova.db.transaction import Transaction
from kilonova.networks.addresses import (
    LOOPBACK_FIRST,
    LOOPBACK_LAST,
    PROJECT_LAST,
    UNDIVIDED,
    loopback_of,
    project_number,
)
from kilonova.objects.guest import ReadMark
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.service import HostNetwork

FLOATING = "/loopback"
"""The network name under which the host's own addresses are recorded; no network can have this name."""

_INSERT = Upsert(instances, ("id",))
_OF_ID = sa.update(instances).where(instances.c.id == sa.bindparam("of_id"))
_NUMBER = sa.select(project_numbers.c.number).where(project_numbers.c.project_id == sa.bindparam("of_project"))
_RESERVE = Upsert(addresses, ("host", "network", "value"))
_COUNTED = {"preserve_rowcount": True}
"""PostgreSQL does not report the rows of an INSERT otherwise."""
_IN_RANGE = sa.and_(
    addresses.c.host == sa.bindparam("holder"),
    addresses.c.network == sa.bindparam("of_network"),
    addresses.c.value.between(sa.bindparam("first"), sa.bindparam("last")),
)
_FOLLOWING = (
    sa.select(sa.func.coalesce(sa.func.max(addresses.c.value) + 1, sa.bindparam("first")).label("value"))
    .where(_IN_RANGE)
    .subquery()
)
_TAKE_FOLLOWING = Upsert(
    addresses,
    ("host", "network", "value"),
    source=sa.select(
        sa.bindparam("holder", type_=sa.String),
        sa.bindparam("of_network", type_=sa.String),
        _FOLLOWING.c.value,
        sa.bindparam("for_instance", type_=sa.String),
    ).where(_FOLLOWING.c.value <= sa.bindparam("last")),
)
_TAKEN = sa.select(addresses.c.value).where(_IN_RANGE)


def insert(tx: Transaction, instance: Instance) -> bool:
    """Record a new instance; False if its id is known already (the same request, delivered again)."""
    return tx.execute(_INSERT.on(tx), INSTANCES.dump(instance), execution_options=_COUNTED).rowcount == 1


def update(tx: Transaction, instance_id: InstanceId, now: datetime, **values: Any) -> None:
    """Change fields, with values as in an Instance."""
    update_from(tx, None, instance_id, now, values)


def update_from(
    tx: Transaction, read: ReadMark | None, instance_id: InstanceId, now: datetime, values: Mapping[str, Any]
) -> None:
    """Change fields, as `update` does, because of this read of the guest."""
    columns = {"updated_at": now, **INSTANCES.values(values), **_columns_of(read)}
    tx.execute(_OF_ID, {"of_id": instance_id, **columns})


def note_read(tx: Transaction, instance_id: InstanceId, read: ReadMark) -> None:
    """This read of the guest has found what is recorded."""
    tx.execute(_OF_ID, {"of_id": instance_id, **_columns_of(read)})


def _columns_of(read: ReadMark | None) -> dict[str, Any]:
    return {} if read is None else {"read_by": read.process_id, "read_number": read.number}


MOST_TRIES = 8
"""How many addresses are tried when other transactions take them first."""


def take_address(tx: Transaction, host: HostName, network: HostNetwork, instance_id: InstanceId) -> str | None:
    """Assign a free address of the host's network to an instance; None when the network is full.

    The address after the highest assigned one, found by an index: the cost does not grow with the servers of the host.
    Only when the end of the range is assigned are gaps searched.  The table's key decides between two transactions that
    choose the same address: the slower one chooses again.
    """
    first, last = network.bounds
    holder, wire = read_addresses.place_of(host, network)
    here = {"holder": holder, "of_network": wire, "first": first, "last": last}
    following = _TAKE_FOLLOWING.on(tx).returning(addresses.c.value)
    value = tx.execute(following, {**here, "for_instance": instance_id}).scalar()
    if value is not None:
        return str(ip_address(value))
    taken = {row.value for row in tx.execute(_TAKEN, here)}
    gaps = (value for value in range(first, last + 1) if value not in taken)
    for value in islice(gaps, MOST_TRIES):
        if _reserve(tx, holder, wire, value, instance_id):
            return str(ip_address(value))
    return None


def take_loopback(tx: Transaction, host: HostName, instance_id: InstanceId) -> str:
    """Assign one of the host's addresses to an instance: the address that its id determines, or the next free one."""
    value = loopback_of(instance_id)
    while not _reserve(tx, host, FLOATING, value, instance_id):
        value = LOOPBACK_FIRST if value == LOOPBACK_LAST else value + 1
    return str(ip_address(value))


def take_wanted(tx: Transaction, host: HostName, network: HostNetwork, instance_id: InstanceId, wanted: str) -> bool:
    """Assign this address of the host's network to an instance; False when another instance has it, or guests cannot
    have it."""
    value = int(ip_address(wanted))
    first, last = network.bounds
    return first <= value <= last and _reserve(tx, *read_addresses.place_of(host, network), value, instance_id)


def number_project(tx: Transaction, project_id: str) -> int | None:
    """The number of a project, which is unique; None when all are assigned.  A project keeps its first number."""
    found: int | None = tx.execute(_NUMBER, {"of_project": project_id}).scalar()
    if found is not None:
        return found
    taken = {row.number for row in tx.execute(sa.select(project_numbers.c.number))} | {UNDIVIDED}
    start = project_number(project_id)
    for number in (*range(start, PROJECT_LAST + 1), *range(start)):
        if number not in taken:
            tx.execute(sa.insert(project_numbers).values(project_id=project_id, number=number))
            return number
    return None


def _reserve(tx: Transaction, host: HostName, network: str, value: int, instance_id: InstanceId) -> bool:
    """False when the address is assigned already."""
    values = {"host": host, "network": network, "value": value, "instance_id": instance_id}
    return tx.execute(_RESERVE.on(tx), values, execution_options=_COUNTED).rowcount == 1


def move_to_wire(tx: Transaction, host: HostName, before: str, after: str) -> bool:
    """The host has declared another wire for a network: the addresses of its instances are reserved on that one.  An
    address that is assigned there stays where it is.  Returns whether all were moved."""
    own = sa.select(instances.c.id).where(instances.c.host == host)
    mine = sa.select(addresses.c.value, addresses.c.instance_id).where(
        addresses.c.host == ANY_HOST, addresses.c.network == before, addresses.c.instance_id.in_(own)
    )
    everything = True
    for row in tx.execute(mine).all():
        if _reserve(tx, ANY_HOST, after, row.value, row.instance_id):
            here = (addresses.c.host == ANY_HOST, addresses.c.network == before, addresses.c.value == row.value)
            tx.execute(sa.delete(addresses).where(*here))
        else:
            everything = False
    return everything


@dataclass(frozen=True, slots=True)
class Reservation:
    """An address that is reserved for an instance: on which host (ANY_HOST: on all), in which network (or FLOATING), as
    a number."""

    host: HostName
    network: str
    value: int


def reservations(tx: Transaction, instance_id: InstanceId) -> frozenset[Reservation]:
    """All addresses that are reserved for an instance."""
    query = sa.select(addresses.c.host, addresses.c.network, addresses.c.value)
    found = tx.execute(query.where(addresses.c.instance_id == instance_id))
    return frozenset(Reservation(row.host, row.network, row.value) for row in found)


def reserve(tx: Transaction, wanted: Reservation, instance_id: InstanceId) -> bool:
    """Reserve exactly this for an instance.  False when it is reserved already."""
    return _reserve(tx, wanted.host, wanted.network, wanted.value, instance_id)


def release(tx: Transaction, reserved: Reservation) -> None:
    """Release this address, whichever instance has it."""
    this = (addresses.c.host == reserved.host, addresses.c.network == reserved.network)
    tx.execute(sa.delete(addresses).where(*this, addresses.c.value == reserved.value))


def release_addresses(tx: Transaction, instance_id: InstanceId, but: Collection[Reservation] = ()) -> None:
    """Release all addresses of an instance, except these."""
    gone = sa.delete(addresses).where(addresses.c.instance_id == instance_id)
    for kept in but:
        this = (addresses.c.host == kept.host, addresses.c.network == kept.network, addresses.c.value == kept.value)
        gone = gone.where(sa.not_(sa.and_(*this)))
    tx.execute(gone)
