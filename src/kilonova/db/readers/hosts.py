# SPDX-License-Identifier: Apache-2.0
"""Reading services and compute nodes."""

import sqlalchemy as sa

from kilonova.base.errors import NotFound
from kilonova.db import rows
from kilonova.db.schema import compute_nodes, services
from kilonova.objects.ids import HostName
from kilonova.objects.service import ComputeNode, Service

COMPUTE = "kilonova-compute"
"""The binary of hosts, as service lists show it."""


def list_services(connection: sa.Connection, *, host: str | None = None, binary: str | None = None) -> list[Service]:
    """Services, by host and binary."""
    query = sa.select(services).order_by(services.c.host, services.c.binary)
    if host is not None:
        query = query.where(services.c.host == host)
    if binary is not None:
        query = query.where(services.c.binary == binary)
    return [rows.service_from(row) for row in connection.execute(query).mappings()]


def get_service(connection: sa.Connection, service_id: str) -> Service:
    """Raises NotFound."""
    row = connection.execute(sa.select(services).where(services.c.id == service_id)).mappings().first()
    if row is None:
        raise NotFound(f"Service {service_id} could not be found.")
    return rows.service_from(row)


def process_of(connection: sa.Connection, host: HostName) -> tuple[int, str, str] | None:
    """Epoch, process id and boot id of a host's service; None for a host never seen."""
    query = sa.select(services.c.epoch, services.c.process_id, services.c.boot_id)
    row = connection.execute(query.where(services.c.host == host, services.c.binary == COMPUTE)).first()
    return None if row is None else (row.epoch, row.process_id, row.boot_id)


def host_of_node(connection: sa.Connection, node_id: str) -> HostName | None:
    """The host that has reported under this node id."""
    query = sa.select(compute_nodes.c.host).where(compute_nodes.c.node_id == node_id)
    return connection.execute(query).scalar()


def list_nodes(connection: sa.Connection) -> list[ComputeNode]:
    """Every compute node with its service, by host."""
    by_host = {service.host: service for service in list_services(connection, binary=COMPUTE)}
    found = connection.execute(sa.select(compute_nodes).order_by(compute_nodes.c.host)).mappings()
    return [rows.node_from(row, by_host[row["host"]]) for row in found if row["host"] in by_host]
