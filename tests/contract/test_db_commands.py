# SPDX-License-Identifier: Apache-2.0
"""`kilonova db`: the schema on PostgreSQL, the checks, and the way from one box to a fleet."""

import fcntl
import re
from collections.abc import Generator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from typer.testing import CliRunner, Result

from kilonova.base.errors import KilonovaError, NotFound
from kilonova.cmd.main import app
from kilonova.db.migrate import HEAD, lowest_needed
from kilonova.db.postgres import schema
from kilonova.db.postgres.connection import driver_of, lowest_of
from kilonova.db.postgres.url import parameters
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import aggregates as read_aggregates
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.schema import metadata
from kilonova.db.writers import aggregates as write_aggregates
from kilonova.db.writers import notifications
from kilonova.objects.notification import Notification
from lab.postgres import PASSWORD
from tests import make, postgres
from tests.unit.conductor.desk import ONE, Desk
from tests.unit.conductor.test_housekeeping import deleted


class Place:
    """A configuration that names a new empty database."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.name = directory, f"c{directory.name}".lower().replace("-", "_")[:60]
        self.url = postgres.server().create_database(self.name)
        self.file = directory / "kilonova.conf"
        self.configure(self.url)

    def configure(self, url: str) -> None:
        self.file.write_text(f"[DEFAULT]\nstate_path = {self.directory}/none\n[database]\nconnection = {url}\n")

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["db", *words, "--config-file", str(self.file)])

    def refused(self, *words: str) -> str:
        """The sentence of a command that is refused."""
        done = self.run(*words)
        assert isinstance(done.exception, KilonovaError), done.output
        assert PASSWORD not in str(done.exception)
        return str(done.exception)


@pytest.fixture
def place(tmp_path: Path) -> Generator[Place]:
    made = Place(tmp_path)
    yield made
    postgres.server().drop_database(made.name)


def test_an_upgrade_makes_the_schema_of_the_code(place: Place) -> None:
    assert place.run("current").output == f"empty (this version needs {HEAD})\n"
    assert place.run("upgrade").output == f"The database has revision {HEAD}; before: empty.\n"
    assert place.run("upgrade").output == f"The database has revision {HEAD}; before: {HEAD}.\n"
    assert place.run("current").output == f"{HEAD} (this version needs {HEAD})\n"
    with schema.connected(parameters(place.url)) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        found = [one for one in compare_metadata(context, metadata) if not _is_engines_own(one)]
        definitions = dict(map(tuple, connection.exec_driver_sql("SELECT indexname, indexdef FROM pg_indexes")))
    assert found == []
    partial = {name for name, text in definitions.items() if " WHERE " in text}
    indexes = [index for table in metadata.tables.values() for index in table.indexes]
    assert partial == {one.name for one in indexes if one.dialect_options["sqlite"]["where"] is not None}


def _is_engines_own(difference: object) -> bool:
    return isinstance(difference, tuple) and difference[0] == "remove_table" and difference[1].name == "server_runs"


def test_notifications_have_more_serial_numbers_than_31_bits_count(place: Place) -> None:
    place.run("upgrade")
    most = 2**31 - 1
    postgres.server().sql(f"SELECT setval('notifications_serial_seq', {most})", place.name)
    db = postgres.opened(place.url)
    for number in range(2):
        notice = Notification(make.HOST, make.NOW, "type", "INFO", {})
        make.run(db.write(notifications.insert, f"n-{number}", notice))
    assert [one.id for one in make.run(db.write(notifications.number, False)).fresh] == ["n-0", "n-1"]
    found = postgres.server().sql("SELECT min(serial), max(serial) FROM notifications", place.name)
    assert found == f"{most + 1}|{most + 2}"


def test_a_newer_database_is_left_alone(place: Place) -> None:
    place.run("upgrade")
    postgres.server().sql("UPDATE alembic_version SET version_num = '9999'", place.name)
    assert "newer Kilonova (revision 9999" in place.refused("upgrade")
    assert place.run("current").output.startswith("9999")


def test_a_healthy_database(place: Place) -> None:
    place.run("upgrade")
    done = place.run("check")
    assert done.exit_code == 0
    assert {line.split()[0] for line in done.output.splitlines()} <= {"ok", "warning"}
    assert "The server is PostgreSQL 1" in done.output


def test_what_may_lose_data_or_refuses_writes_is_an_error_with_its_cure(place: Place) -> None:
    for setting in ("synchronous_commit = off", "default_transaction_read_only = on"):
        postgres.server().sql(f"ALTER DATABASE {place.name} SET {setting}", "postgres")
    done = place.run("check")
    assert done.exit_code == 1
    for words in ("is empty. Run kilonova db upgrade once.", "synchronous_commit is off", "is read-only"):
        assert any(line.startswith("error") and words in line for line in done.output.splitlines()), words


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("127.0.0.1", "127.0.0.9", "Connection refused"),
        ("kilonova-lab", "wrong", "password authentication failed"),
        ("/c", "/nothing", "does not exist"),
    ],
)
def test_a_server_that_cannot_be_used(place: Place, old: str, new: str, words: str) -> None:
    place.configure(place.url.replace(old, new))
    assert words in place.refused("upgrade")
    done = place.run("check")
    assert (done.exit_code, done.output.count("\n"), words in done.output) == (1, 1, True)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "names no PostgreSQL database"),
        ("postgresql://u:kilonova-lab@h/d", "only postgresql"),
        ("postgresql+psycopg://u:kilonova-lab@[h/d", "is not a URL of PostgreSQL"),
        ("postgresql+psycopg://u:kilonova-lab@h/d?sslmod=x", 'invalid URI query parameter: "sslmod"'),
        ("postgresql+psycopg://u:kilonova-lab@h", "names no database"),
    ],
)
def test_a_url_that_is_none(place: Place, url: str, words: str) -> None:
    place.configure(url)
    assert words in place.refused("current")


def test_several_hosts_are_tried_for_the_one_that_takes_writes() -> None:
    found = parameters("postgresql+psycopg://u:p@a:1,b:2/d?sslmode=require&sslrootcert=/ca&connect_timeout=7")
    assert {name: found[name] for name in ("host", "port", "target_session_attrs", "sslmode", "connect_timeout")} == {
        "host": "a,b",
        "port": "1,2",
        "target_session_attrs": "read-write",
        "sslmode": "require",
        "connect_timeout": "7",
    }
    assert "target_session_attrs" not in parameters("postgresql+psycopg://u:p@a/d")


def one_box(directory: Path) -> Desk:
    """A one box with a host, a server, actions and an aggregate, stopped."""
    directory.mkdir()
    desk = Desk(directory)
    desk.active()
    desk.write(write_aggregates.insert, uuid="u-1", name="fast", zone=None, now=make.NOW)
    return desk


def test_one_box_becomes_a_fleet(place: Place, tmp_path: Path) -> None:
    desk = one_box(tmp_path / "box")
    gone = deleted(desk, 1)
    place.run("upgrade")
    done = place.run("migrate-from", f"sqlite:///{tmp_path}/box/kilonova.db")
    assert done.exit_code == 0, done.output
    assert "2  instances" in done.output
    db = postgres.opened(place.url)
    for look, arguments in (
        (read_instances.get, (ONE,)),
        (read_hosts.process_of, (make.HOST,)),
        (read_hosts.list_nodes, ()),
        (read_actions.of_instance, (ONE,)),
        (read_aggregates.list_aggregates, ()),
    ):
        assert make.run(db.read(look, *arguments)) == desk.read(look, *arguments)  # type: ignore[arg-type]
    make.run(db.write(write_aggregates.insert, uuid="u-2", name="new", zone=None, now=make.NOW))
    purged = re.compile(r"deleted servers +│ +1 .*actions +│ +2 .*rows of purged servers +│ +0 ", re.DOTALL)
    assert make.run(db.read(read_instances.get_known, gone))[1]
    for words in (("purge", "--dry-run"), ("purge",)):
        done = place.run(*words)
        assert purged.search(done.output), done.output
    with pytest.raises(NotFound):
        make.run(db.read(read_instances.get_known, gone))
    assert "is not empty" in place.refused("migrate-from", f"sqlite:///{tmp_path}/box/kilonova.db")


def test_nothing_is_copied_from_or_to_the_wrong_place(place: Place, tmp_path: Path) -> None:
    box = tmp_path / "box"
    one_box(box)
    source = f"sqlite:///{box}/kilonova.db"
    assert "is empty: run kilonova db upgrade" in place.refused("migrate-from", source)
    place.run("upgrade")
    assert "write sqlite:///PATH" in place.refused("migrate-from", str(box))
    assert "There is no database" in place.refused("migrate-from", f"sqlite:///{tmp_path}/other/kilonova.db")
    with (box / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "Another kilonova runs on" in place.refused("migrate-from", source)
    assert _count(place) == 0


def test_a_row_that_postgresql_cannot_store_ends_the_copy_whole(place: Place, tmp_path: Path) -> None:
    desk = one_box(tmp_path / "box")
    desk.write(write_aggregates.insert, uuid="u" * 37, name="late", zone=None, now=make.NOW)
    place.run("upgrade")
    said = place.refused("migrate-from", f"sqlite:///{tmp_path}/box/kilonova.db")
    assert said.startswith("A row of the table aggregates cannot be stored in PostgreSQL: value too long")
    assert _count(place) == 0


def _count(place: Place) -> int:
    found = postgres.server().sql("SELECT to_regclass('instances') IS NOT NULL", place.name)
    return int(postgres.server().sql("SELECT count(*) FROM services", place.name)) if found == "t" else 0


def test_an_upgrade_that_removes_something_waits_for_older_processes(place: Place) -> None:
    """As if the newest migration were the first one that code version 1 cannot bear."""
    place.run("upgrade")
    common = {"topic": "", "zone": "", "epoch": 1, "process_id": "", "boot_id": "", "version": 1, "up": True}
    common |= {"disabled": False, "disabled_by_host": False, "forced_down": False}
    common |= {"created_at": make.NOW, "updated_at": make.NOW}
    rows = [
        {"id": "1", "host": "c1", "binary": "kilonova-conductor", "expires_at": None, **common},
        {"id": "2", "host": "a1", "binary": "kilonova-api", "expires_at": make.NOW, **common},
    ]
    with schema.connected(parameters(place.url)) as connection:
        driver_of(connection).execute("UPDATE schema_version SET lowest_code_version = 1")
        connection.execute(sa.insert(metadata.tables["services"]), rows)
    said = place.refused("upgrade")
    assert "kilonova-conductor on host c1 has code version 1, and 2 is needed" in said
    assert "kilonova-api" not in said  # its report has expired: it is not up
    with schema.connected(parameters(place.url)) as connection:
        driver = driver_of(connection)
        assert lowest_of(driver) == 1
        driver.execute("UPDATE services SET version = 2 WHERE host = 'c1'")
    assert place.run("upgrade").exit_code == 0
    with schema.connected(parameters(place.url)) as connection:
        assert lowest_of(driver_of(connection)) == lowest_needed()
