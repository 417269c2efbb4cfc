# SPDX-License-Identifier: Apache-2.0
"""Writing services, compute nodes and claims."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kilonova.db.codec import INVENTORIES
from kilonova.db.readers.hosts import COMPUTE
from kilonova.db.schema import compute_nodes, services
from kilonova.db.transaction import Transaction
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import HostName
from kilonova.objects.image import ImageRef
from kilonova.objects.instance import Instance
from kilonova.objects.service import Inventory, Service


def insert_service(tx: Transaction, now: datetime, **values: Any) -> None:
    """Record a new service."""
    tx.execute(
        sa.insert(services).values(
            created_at=now,
            updated_at=now,
            disabled=False,
            disabled_reason=None,
            disabled_by_host=False,
            forced_down=False,
            **values,
        )
    )


def update_service(tx: Transaction, host: HostName, binary: str, now: datetime, **values: Any) -> None:
    """Change a service by host and binary."""
    tx.execute(
        sa.update(services).where(services.c.host == host, services.c.binary == binary).values(updated_at=now, **values)
    )


def update_service_by_id(tx: Transaction, service_id: str, now: datetime, **values: Any) -> None:
    """Change a service by id."""
    tx.execute(_OF_ID, {**values, "of_id": service_id, "updated_at": now})


def delete_service(tx: Transaction, service: Service) -> None:
    """Delete a service with the inventory of its host."""
    tx.execute(sa.delete(compute_nodes).where(compute_nodes.c.host == service.host))
    tx.execute(sa.delete(services).where(services.c.id == service.id))


def report_service(tx: Transaction, service_id: str, now: datetime, **values: Any) -> None:
    """Record that an API process or a conductor is up, with its host and binary among `values`."""
    mine = {"of_host": values["host"], "of_binary": values["binary"]}
    if tx.execute(_REPORT, {**values, **mine, "updated_at": now}).rowcount == 0:
        insert_service(tx, now, id=service_id, **values)


def delete_report(tx: Transaction, service: Service) -> None:
    """Delete the record of an API process or a conductor."""
    tx.execute(sa.delete(services).where(services.c.id == service.id))


def delete_reports(tx: Transaction, before: datetime) -> None:
    """Delete the records of API processes and conductors that expired before that time."""
    tx.execute(sa.delete(services).where(services.c.expires_at < before))


def put_inventory(tx: Transaction, host: HostName, node_id: str, inventory: Inventory) -> None:
    """Record the inventory of a host; its claims stay."""
    columns = INVENTORIES.dump(inventory)
    text = json.dumps(columns, sort_keys=True)
    values = {"node_id": node_id, "inventory_digest": hashlib.sha256(text.encode()).hexdigest(), **columns}
    done = tx.execute(sa.update(compute_nodes).where(compute_nodes.c.host == host).values(**values))
    if done.rowcount == 0:
        none = {"vcpus_used": 0, "memory_mib_used": 0, "disk_gib_used": 0, "instances": 0}
        tx.execute(sa.insert(compute_nodes).values(host=host, **values, **none))


def node_id_of(tx: Transaction, host: HostName) -> str | None:
    """The node id under which a host has reported."""
    return tx.execute(sa.select(compute_nodes.c.node_id).where(compute_nodes.c.host == host)).scalar()


def build_failed(tx: Transaction, host: HostName, now: datetime) -> None:
    """Count a build that failed for a reason of the host."""
    failed = sa.update(compute_nodes).where(compute_nodes.c.host == host)
    tx.execute(failed.values(failed_builds=compute_nodes.c.failed_builds + 1, build_failed_at=now))


_REPORT = sa.update(services).where(
    services.c.host == sa.bindparam("of_host"), services.c.binary == sa.bindparam("of_binary")
)
_OF_ID = sa.update(services).where(services.c.id == sa.bindparam("of_id"))
_SUCCEEDED = (
    sa.update(compute_nodes)
    .where(compute_nodes.c.host == sa.bindparam("of_host"), compute_nodes.c.failed_builds > 0)
    .values(failed_builds=0, build_failed_at=None)
)


def build_succeeded(tx: Transaction, host: HostName) -> None:
    """Forget the failed builds of a host."""
    tx.execute(_SUCCEEDED, {"of_host": host})


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources that an instance claims on its host, or a difference of two claims."""

    vcpus: int
    memory_mib: int
    disk_gib: int

    def minus(self, other: "Resources") -> "Resources":
        return Resources(self.vcpus - other.vcpus, self.memory_mib - other.memory_mib, self.disk_gib - other.disk_gib)


def claims(instance: Instance) -> Resources:
    """The claim of the instance: of each resource the maximum of its flavors, so that a resize can be confirmed or
    reverted.  It depends on the record only, so that a replay claims the same."""
    flavors = [one for one in (instance.flavor, instance.old_flavor, instance.new_flavor) if one is not None]
    return Resources(
        vcpus=max(flavor.vcpus for flavor in flavors),
        memory_mib=max(flavor.memory_mib for flavor in flavors),
        disk_gib=max(_disk_gib(flavor, instance.image) for flavor in flavors),
    )


def claim(tx: Transaction, host: HostName, instance: Instance) -> bool:
    """Claim the instance's resources on a host, if they are still available: a conditional update, so that two claims
    can never both get the last unit."""
    return _move(tx, host, claims(instance), guests=1)


def claim_in_service(tx: Transaction, host: HostName, instance: Instance) -> bool:
    """The same, if the host is up and enabled."""
    amounts = {f"more_{name}": amount for name, amount in asdict(claims(instance)).items()}
    return tx.execute(_CLAIM_IN_SERVICE, {"of_host": host, "guests": 1, **amounts}).rowcount == 1


def release(tx: Transaction, host: HostName, instance: Instance) -> None:
    """Release the instance's resources."""
    _move(tx, host, Resources(0, 0, 0).minus(claims(instance)), guests=-1)


def set_claims(tx: Transaction, host: HostName, total: Resources, guests: int) -> None:
    """Record the sum of the claims on a host, whatever its capacity."""
    used = {f"{name}_used": amount for name, amount in asdict(total).items()}
    tx.execute(sa.update(compute_nodes).where(compute_nodes.c.host == host).values(instances=guests, **used))


def change_claim(tx: Transaction, host: HostName, before: Instance, after: Instance) -> bool:
    """Claim the amount by which `after` exceeds `before`, if it is available, and release the amount by which it is
    smaller."""
    return _move(tx, host, claims(after).minus(claims(before)), guests=0)


def disk_gib(instance: Instance) -> int:
    """The maximum size of the instance's disks, in GiB, rounded up."""
    return claims(instance).disk_gib


def _disk_gib(flavor: Flavor, image: ImageRef) -> int:
    """The disk size in GiB as Nova counts it: root and ephemeral disk, and swap rounded up."""
    return (flavor.disk_gib or image.virtual_gib) + flavor.ephemeral_gib + -(-flavor.swap_mib // 1024)


_MORE = tuple(field.name for field in fields(Resources))


def _fits(name: str) -> sa.ColumnElement[bool]:
    """Only amounts that grow must fit: after a change of its settings a host may have more claims than capacity."""
    more, node = sa.bindparam(f"more_{name}", type_=sa.Integer), compute_nodes.c
    return sa.or_(more <= 0, node[f"{name}_used"] + more <= node[f"{name}_capacity"])


# Built once: building a statement costs more than running it.
_MOVE = (
    sa.update(compute_nodes)
    .where(compute_nodes.c.host == sa.bindparam("of_host"), *(_fits(name) for name in _MORE))
    .values({f"{name}_used": compute_nodes.c[f"{name}_used"] + sa.bindparam(f"more_{name}") for name in _MORE})
    .values(instances=compute_nodes.c.instances + sa.bindparam("guests"))
)


_IN_SERVICE = sa.select(services.c.id).where(
    services.c.host == sa.bindparam("of_host"),
    services.c.binary == COMPUTE,
    services.c.up,
    ~services.c.disabled,
    ~services.c.forced_down,
)
_CLAIM_IN_SERVICE = _MOVE.where(sa.exists(_IN_SERVICE))


def _move(tx: Transaction, host: HostName, more: Resources, *, guests: int) -> bool:
    amounts = {f"more_{name}": amount for name, amount in asdict(more).items()}
    return tx.execute(_MOVE, {"of_host": host, "guests": guests, **amounts}).rowcount == 1
