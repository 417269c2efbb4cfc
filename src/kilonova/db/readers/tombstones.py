# SPDX-License-Identifier: Apache-2.0
"""Reading which hosts an operator has given up, and what was on them."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from kilonova.db.readers.instances import AT_A_TIME
from kilonova.db.schema import forgotten_hosts, instances, tombstones
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import HostName, InstanceId


class ForgottenHost(NamedTuple):
    """`epoch` is the newest that a process of the host had, `at` when it was given up."""

    epoch: int
    at: datetime


class Tombstone(NamedTuple):
    """An instance was on `host` when the host was given up.  `is_removed`: its copy there does not exist any more."""

    host: HostName
    is_removed: bool


_FORGOTTEN = sa.select(forgotten_hosts.c.epoch, forgotten_hosts.c.at).where(
    forgotten_hosts.c.host == sa.bindparam("of_host")
)
_OF_INSTANCE = (
    sa.select(tombstones.c.host, tombstones.c.removed_at)
    .where(tombstones.c.instance_id == sa.bindparam("of_id"))
    .order_by(tombstones.c.at.desc(), tombstones.c.host)
)
_COPIES = (
    sa.select(tombstones.c.instance_id, instances.c.host, instances.c.deleted_at)
    .select_from(tombstones.outerjoin(instances, instances.c.id == tombstones.c.instance_id))
    .where(tombstones.c.host == sa.bindparam("of_host"), tombstones.c.removed_at.is_(None))
    .order_by(tombstones.c.instance_id)
)


def forgotten(snapshot: Snapshot, host: HostName) -> ForgottenHost | None:
    """The record of a host that was given up, and is not in service again."""
    row = snapshot.execute(_FORGOTTEN, {"of_host": host}).first()
    return None if row is None else ForgottenHost(*row)


def of_instance(snapshot: Snapshot, instance_id: InstanceId) -> list[Tombstone]:
    """The hosts that were given up with the instance, the newest first."""
    found = snapshot.execute(_OF_INSTANCE, {"of_id": instance_id})
    return [Tombstone(row.host, row.removed_at is not None) for row in found]


def copies_on(snapshot: Snapshot, host: HostName) -> dict[InstanceId, bool]:
    """The copies that may still be on a host that was given up, each with whether it is superfluous: the instance is
    deleted, or has another host.  The other copies may be the last ones."""
    found = snapshot.execute(_COPIES, {"of_host": host})
    return {row.instance_id: row.deleted_at is not None or row.host not in (None, host) for row in found}


def superfluous_among(snapshot: Snapshot, host: HostName, ids: Collection[InstanceId]) -> frozenset[InstanceId]:
    """Those of these guests of a host that are superfluous copies (see `copies_on`)."""
    wanted = sorted(ids)
    found: set[InstanceId] = set()
    for start in range(0, len(wanted), AT_A_TIME):
        some = _COPIES.where(tombstones.c.instance_id.in_(wanted[start : start + AT_A_TIME]))
        for row in snapshot.execute(some, {"of_host": host}):
            if row.deleted_at is not None or row.host not in (None, host):
                found.add(row.instance_id)
    return frozenset(found)
