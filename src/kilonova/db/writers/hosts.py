# SPDX-License-Identifier: Apache-2.0
"""Writing services, compute nodes and claims."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kilonova.db import rows
from kilonova.db.schema import compute_nodes, services
from kilonova.objects.ids import HostName
from kilonova.objects.instance import Instance
from kilonova.objects.service import Inventory, Service


def insert_service(connection: sa.Connection, now: datetime, **values: Any) -> None:
    """A service that was never seen before."""
    connection.execute(
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


def update_service(connection: sa.Connection, host: HostName, binary: str, now: datetime, **values: Any) -> None:
    """Change a service by host and binary."""
    connection.execute(
        sa.update(services).where(services.c.host == host, services.c.binary == binary).values(updated_at=now, **values)
    )


def update_service_by_id(connection: sa.Connection, service_id: str, now: datetime, **values: Any) -> None:
    """Change a service by id."""
    connection.execute(sa.update(services).where(services.c.id == service_id).values(updated_at=now, **values))


def delete_service(connection: sa.Connection, service: Service) -> None:
    """Forget a service, and what its host had."""
    connection.execute(sa.delete(compute_nodes).where(compute_nodes.c.host == service.host))
    connection.execute(sa.delete(services).where(services.c.id == service.id))


def put_inventory(connection: sa.Connection, host: HostName, node_id: str, inventory: Inventory) -> None:
    """Record what a host has; what is claimed of it stays."""
    values = {
        "node_id": node_id,
        "inventory": rows.inventory_to(inventory),
        "vcpus_capacity": inventory.vcpus_capacity,
        "memory_mib_capacity": inventory.memory_mib_capacity,
        "disk_gib_capacity": inventory.disk_gib_capacity,
    }
    done = connection.execute(sa.update(compute_nodes).where(compute_nodes.c.host == host).values(**values))
    if done.rowcount == 0:
        none = {"vcpus_used": 0, "memory_mib_used": 0, "disk_gib_used": 0, "instances": 0}
        connection.execute(sa.insert(compute_nodes).values(host=host, **values, **none))


def node_id_of(connection: sa.Connection, host: HostName) -> str | None:
    """The node id under which a host has reported."""
    return connection.execute(sa.select(compute_nodes.c.node_id).where(compute_nodes.c.host == host)).scalar()


def claim(connection: sa.Connection, host: HostName, instance: Instance) -> bool:
    """Take the instance's resources of a host, if they are still there: a conditional update, so that two claims can
    never both get the last of something."""
    node, flavor = compute_nodes.c, instance.flavor
    done = connection.execute(
        sa.update(compute_nodes)
        .where(
            node.host == host,
            node.vcpus_used + flavor.vcpus <= node.vcpus_capacity,
            node.memory_mib_used + flavor.memory_mib <= node.memory_mib_capacity,
            node.disk_gib_used + disk_gib(instance) <= node.disk_gib_capacity,
        )
        .values(**_moved(instance, 1))
    )
    return done.rowcount == 1


def release(connection: sa.Connection, host: HostName, instance: Instance) -> None:
    """Give the instance's resources back."""
    connection.execute(sa.update(compute_nodes).where(compute_nodes.c.host == host).values(**_moved(instance, -1)))


def disk_gib(instance: Instance) -> int:
    """What the instance's disks may grow to, in GiB, rounded up."""
    flavor = instance.flavor
    root = flavor.disk_gib or -(-instance.image.virtual_size // (1 << 30))
    return root + flavor.ephemeral_gib


def _moved(instance: Instance, sign: int) -> dict[str, Any]:
    node, flavor = compute_nodes.c, instance.flavor
    return {
        "vcpus_used": node.vcpus_used + sign * flavor.vcpus,
        "memory_mib_used": node.memory_mib_used + sign * flavor.memory_mib,
        "disk_gib_used": node.disk_gib_used + sign * disk_gib(instance),
        "instances": node.instances + sign,
    }
