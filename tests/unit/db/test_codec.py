# SPDX-License-Identifier: Apache-2.0
"""The codec reads what earlier versions stored, stores it in the same form, and says which row it cannot read."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.base.errors import DatabaseUnreadable
from kilonova.db import codec, schema
from kilonova.db.location import sqlite_url
from kilonova.db.migrate import ensure_schema
from kilonova.db.readers import aggregates
from kilonova.db.sqlite import make_engine
from tests.unit.db import stored
from tests.unit.db.test_migrate import upgrade

STORED = json.loads((Path(__file__).parent / "stored_0015.json").read_text())
"""Rows, as SQLite had them, that the code of revision 0015 wrote for the objects of `stored`."""

OBJECTS: Mapping[str, tuple[Any, tuple[Any, ...]]] = {
    "instances": (codec.INSTANCES, (stored.PLAIN_INSTANCE, stored.FULL_INSTANCE)),
    "actions": (codec.ACTIONS, (stored.PLAIN_ACTION, stored.FULL_ACTION)),
    "action_events": (codec.EVENTS, (stored.PLAIN_EVENT, stored.FULL_EVENT)),
    "flavors": (codec.FLAVORS, (stored.SMALL, stored.LARGE)),
    "images": (codec.IMAGES, (stored.PLAIN_IMAGE, stored.FULL_IMAGE)),
    "keypairs": (codec.KEYPAIRS, (stored.KEYPAIR,)),
    "server_groups": (codec.SERVER_GROUPS, (stored.PLAIN_GROUP, stored.FULL_GROUP)),
    "compute_nodes": (codec.INVENTORIES, (stored.PLAIN_INVENTORY, stored.FULL_INVENTORY)),
    "services": (codec.SERVICES, (stored.SERVICE,)),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that was filled at revision 0015 and then brought to the newest."""
    path = tmp_path_factory.mktemp("stored") / "kilonova.db"
    engine = make_engine(sqlite_url(path), readers=1)
    upgrade(engine, STORED["revision"])
    engine.dispose()
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, rows in STORED["tables"].items():
            for row in rows:
                marks = ", ".join("?" * len(row))
                statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608
                connection.execute(statement, tuple(row.values()))
    ensure_schema(path)
    return path


@pytest.fixture
def connection(path: Path) -> Iterator[sa.Connection]:
    engine = make_engine(sqlite_url(path), readers=1)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.mark.parametrize("table", OBJECTS)
def test_what_an_earlier_version_stored_is_read(connection: sa.Connection, table: str) -> None:
    one, expected = OBJECTS[table]
    found = connection.execute(sa.select(schema.metadata.tables[table]).order_by(sa.text("rowid")))
    assert tuple(one.load_all(found)) == expected


def test_an_aggregate_of_an_earlier_version_is_read(connection: sa.Connection) -> None:
    assert aggregates.list_aggregates(connection) == [stored.AGGREGATE]


@pytest.mark.parametrize("table", OBJECTS)
def test_the_stored_form_is_the_one_of_earlier_versions(connection: sa.Connection, path: Path, table: str) -> None:
    one, objects = OBJECTS[table]
    target = schema.metadata.tables[table]
    keys = [column.name for column in target.primary_key]
    with connection.begin() as undone:
        stored_before = _raw(connection, target)
        for value, row in zip(objects, stored_before, strict=True):
            this = sa.and_(*(target.c[key] == row[key] for key in keys))
            connection.execute(sa.update(target).where(this).values(**one.dump(value)))
        assert [_without_added(row) for row in _raw(connection, target)] == [
            _without_added(row) for row in stored_before
        ]
        undone.rollback()


def _raw(connection: sa.Connection, table: sa.Table) -> list[dict[str, Any]]:
    found = connection.exec_driver_sql(f"SELECT * FROM {table.name} ORDER BY rowid")  # noqa: S608
    return [dict(row) for row in found.mappings()]


ADDED = (
    ', "retried": false',
    ', "read": null',
    ', "repeated": false',
    ', "physical": ""',
    ', "cancel": null',
    ', "former": null',
)
"""Fields that later versions store; earlier ones ignore them."""


def _without_added(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row in the form of the earlier version."""

    def without(text: str) -> str:
        for field in ADDED:
            text = text.replace(field, "")
        return text

    return {name: without(value) if isinstance(value, str) else value for name, value in row.items()}


def row_of(one: Any, value: Any) -> dict[str, Any]:
    return json.loads(json.dumps(one.dump(value), default=str))


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        (
            "instances",
            "vm_state",
            "two words",
            "id=i-2 of the table instances cannot be read: vm_state: Input should be",
        ),
        ("instances", "flavor", {"id": "1"}, "flavor.name: Field required; flavor.vcpus: Field required"),
        ("instances", "flavor", None, "flavor: Input should be"),
        ("instances", "addresses", [{"network": "n"}], "addresses.0.address: Field required"),
        ("actions", "verb", "two words", "id=a-2 of the table actions cannot be read: verb: Input should be"),
        ("flavors", "body", {"name": "only"}, "id=f-2 of the table flavors cannot be read: id: Field required"),
        ("images", "body", "not an object", "id=im-2 of the table images cannot be read: "),
    ],
)
def test_a_row_that_cannot_be_read_is_named(table: str, column: str, value: Any, message: str) -> None:
    one, objects = OBJECTS[table]
    with pytest.raises(DatabaseUnreadable) as failure:
        one.load({**row_of(one, objects[1]), column: value})
    assert message in str(failure.value)


def test_an_error_does_not_show_stored_values() -> None:
    row = {**row_of(codec.INSTANCES, stored.FULL_INSTANCE), "user_data": ["secret"]}
    with pytest.raises(DatabaseUnreadable, match="user_data: Input should be a valid string") as failure:
        codec.INSTANCES.load(row)
    assert "secret" not in str(failure.value)


def test_a_field_of_a_newer_version_is_ignored_and_a_missing_one_has_its_default() -> None:
    row = row_of(codec.FLAVORS, stored.SMALL)
    body = {name: value for name, value in row["body"].items() if name != "rxtx_factor"}
    assert codec.FLAVORS.load({**row, "body": {**body, "numa": 2}}) == stored.SMALL


def test_some_fields_become_columns() -> None:
    assert codec.INSTANCES.values({"files": (), "tags": ("a",), "old_flavor": None, "host": stored.HOST}) == {
        "files": None,
        "tags": ["a"],
        "old_flavor": None,
        "host": stored.HOST,
    }


@dataclass(frozen=True, slots=True)
class Named:
    id: str
    label: str


def test_a_class_that_differs_from_its_table_is_refused() -> None:
    table = sa.Table("things", sa.MetaData(), sa.Column("id", sa.String, primary_key=True), sa.Column("name", sa.Text))
    with pytest.raises(TypeError, match="Named and the table things differ in: label, name"):
        codec.Codec(Named, table)
    with pytest.raises(TypeError, match="body, label"):
        codec.BodyCodec(Named, table, copies=("id", "label"))
