# SPDX-License-Identifier: Apache-2.0
"""Reading the hosts for a placement: an inventory is read and decoded once, and again when it has changed."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.db.location import sqlite_url
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.sqlite import make_engine
from kilonova.db.writers import hosts as write_hosts
from kilonova.objects.ids import HostName
from kilonova.objects.service import Inventory
from tests import make, template


class Reads:
    """A connection that counts the statements that read inventories."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection, self.count = connection, 0
        sa.event.listen(connection, "before_cursor_execute", self._look)

    def _look(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        self.count += "compute_nodes.inventory " in statement or "compute_nodes.inventory\n" in statement

    def nodes(self) -> dict[str, Inventory]:
        found = read_hosts.nodes_to_place(self.connection, make.NOW)
        return {node.service.host: node.inventory for node in found}


@pytest.fixture
def reads(tmp_path: Path) -> Iterator[Reads]:
    template.put_schema(tmp_path / "k.db")
    engine = make_engine(sqlite_url(tmp_path / "k.db"), readers=1)
    with engine.connect() as connection:
        for host in ("h1", "h2"):
            add(connection, host)
        yield Reads(connection)
    engine.dispose()


def add(connection: sa.Connection, host: str) -> None:
    values: dict[str, Any] = {"topic": "compute", "zone": "nova", "epoch": 1, "process_id": "p", "boot_id": "b"}
    write_hosts.insert_service(
        connection, make.NOW, id=f"s-{host}", host=host, binary=read_hosts.COMPUTE, version=1, up=True, **values
    )
    write_hosts.put_inventory(
        connection, HostName(host), f"n-{host}", make.inventory(node=f"{host} of {id(connection)}")
    )


def test_an_unchanged_inventory_is_read_once(reads: Reads) -> None:
    first = reads.nodes()
    assert reads.count == 1
    assert reads.nodes() == first
    assert reads.count == 1


def test_a_changed_inventory_is_read_again(reads: Reads) -> None:
    reads.nodes()
    changed = make.inventory(node="another", disk_short="full")
    write_hosts.put_inventory(reads.connection, HostName("h1"), "n-h1", changed)
    assert reads.nodes()["h1"] == changed
    assert reads.count == 2


def test_an_inventory_of_an_older_version_has_no_digest_and_is_always_read(reads: Reads) -> None:
    reads.connection.exec_driver_sql("UPDATE compute_nodes SET inventory_digest = ''")
    assert reads.nodes() == reads.nodes()
    assert reads.count == 2


def test_a_changed_service_is_seen(reads: Reads) -> None:
    reads.nodes()
    later = make.NOW + timedelta(seconds=1)
    write_hosts.update_service(reads.connection, HostName("h1"), read_hosts.COMPUTE, later, disabled=True)
    (service,) = read_hosts.list_services(reads.connection, host="h1")
    assert (service.disabled, service.updated_at) == (True, later)


def test_a_host_is_found_by_its_node_without_a_scan(reads: Reads) -> None:
    """Each registration looks its node up: a scan would make the start of a fleet cost the square of its hosts."""
    assert read_hosts.host_of_node(reads.connection, "n-h2") == "h2"
    plan = reads.connection.exec_driver_sql("EXPLAIN QUERY PLAN SELECT host FROM compute_nodes WHERE node_id = 'n-h2'")
    assert "ix_compute_nodes_node_id" in str(plan.fetchall())
