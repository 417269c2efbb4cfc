# SPDX-License-Identifier: Apache-2.0
"""Migrations make the schema that the code has; other people's files are left alone."""

import resource
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from structlog.testing import capture_logs

from kilonova import CODE_VERSION
from kilonova.base.clock import SystemClock
from kilonova.base.errors import StateError
from kilonova.db import migrate
from kilonova.db.compatibility import lowest_in_file
from kilonova.db.copies import KEPT, copies_of, copy_before_upgrade, copy_database, remove_old
from kilonova.db.location import sqlite_url
from kilonova.db.readers import actions as read_actions
from kilonova.db.schema import metadata
from kilonova.db.sqlite import make_engine
from kilonova.objects.action import Bookkeeping
from kilonova.objects.action_params import (
    NO_PARAMS,
    BackupParams,
    CreateParams,
    DeleteParams,
    LockParams,
    PowerUpdateParams,
    RebootParams,
    ResetStateParams,
    ResizeParams,
    RevertResizeParams,
    SnapshotParams,
    UnshelveParams,
    UnshelveSource,
)
from kilonova.objects.ids import ActionId, FlavorId, HostName, ImageId, InstanceId
from kilonova.objects.states import Verb, VmState


def test_migrations_and_schema_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    migrate.ensure_schema(path)
    engine = make_engine(sqlite_url(path), readers=1)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        made = {row[0] for row in connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql LIKE '%WHERE%'")}
    engine.dispose()
    partial = {
        i.name for t in metadata.tables.values() for i in t.indexes if i.dialect_options["sqlite"]["where"] is not None
    }
    assert len(made) == len(partial)  # partial indexes, which the comparison above does not look into


def test_head_is_the_newest_revision() -> None:
    script = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations"))
    assert script.get_current_head() == migrate.HEAD


def test_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    migrate.ensure_schema(path)
    before = path.read_bytes()
    migrate.ensure_schema(path)
    assert path.read_bytes() == before


def upgrade(engine: sa.Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_who_had_no_limit_of_servers_has_none_of_images_and_ids_of_the_past_are_taken(tmp_path: Path) -> None:
    engine = make_engine(sqlite_url(tmp_path / "k.db"), readers=1)
    upgrade(engine, "0007")
    with engine.begin() as connection:
        for project, limit in (("owner", -1), ("other", 10), ("class default", -1)):
            connection.exec_driver_sql("INSERT INTO quotas VALUES (?, ?, ?)", (project, "instances", limit))
    upgrade(engine, "0011")
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT project_id, resource FROM quotas WHERE resource LIKE 'image%'")
        assert sorted(map(tuple, found)) == [("owner", "image_count_total"), ("owner", "image_size_total")]
    engine.dispose()


def value_for(column: sa.Column[Any], number: int) -> Any:
    """The same for all columns of a kind, so that row `number` of one table refers to row `number` of another."""
    kind = column.type.python_type
    if column.name == "flavor":
        return {"vcpus": 2, "memory_mib": 64 * number}
    if column.name == "deleted_at":
        return None
    return {"n": number} if isinstance(column.type, sa.JSON) else f"row {number}" if kind is str else kind(number)


def all_rows(engine: sa.Engine) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, by the names that the columns have there."""
    tables = sa.MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        return {
            name: sorted(map(dict, connection.execute(sa.select(table)).mappings()), key=repr)
            for name, table in tables.tables.items()
            if name != "alembic_version"
        }


def test_a_filled_database_of_the_first_revision_keeps_every_row(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    engine = make_engine(sqlite_url(path), readers=1)
    upgrade(engine, "0001")
    first = sa.MetaData()
    first.reflect(engine)
    with engine.begin() as connection:
        for table in first.sorted_tables:
            if table.name != "alembic_version":
                rows = [{column.name: value_for(column, number) for column in table.c} for number in (0, 1)]
                connection.execute(sa.insert(table), rows)
    before = all_rows(engine)
    assert "instances" in before
    assert all(len(rows) == 2 for rows in before.values())
    migrate.ensure_schema(path)
    after = all_rows(engine)
    engine.dispose()
    moved = [
        {"actor": "user", "actor_id": row["user_id"], "target": "project", "target_id": row["project_id"]}
        | {"role": row["role"]}
        for row in before.pop("role_assignments")
    ]
    assert [dict(row) for row in after["assignments"]] == moved
    for old, new in zip(before["actions"], after["actions"], strict=True):
        assert new["legs"] == [_leg_of(old, old.pop("attempt"))]
        assert new["instance_project"] == old["instance_id"]  # (each project has the name of its instance here)
    for name, rows in before.items():
        kept = [{column: row[column] for column in rows[0]} for row in after[name]]
        assert kept == rows, name
    assert set(metadata.tables) == set(after)
    assert after["quota_usages"] == [
        {"project_id": f"row {n}", "instances": 1, "cores": 2, "ram": 64 * n} for n in (0, 1)
    ]
    assert {(row["project_id"], row["hard_limit"]) for row in after["quotas"]} == {("row 0", -1), ("row 1", -1)}


def _leg_of(action: dict[str, Any], attempt: str) -> dict[str, Any]:
    """The one leg of an action of the first revision."""
    nothing = {"undoes": None, "commits": False, "power": None, "message": None}
    kept = {"host": action["host"], "operation": action["verb"], "state": action["state"]}
    return {**kept, "attempt": attempt, **nothing}


def test_what_waits_for_its_confirmation_is_counted_with_its_new_size(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    engine = make_engine(sqlite_url(path), readers=1)
    upgrade(engine, "0007")
    tables = sa.MetaData()
    tables.reflect(engine)
    small, large = {"vcpus": 1, "memory_mib": 64}, {"vcpus": 4, "memory_mib": 256}
    sizes = (
        {"flavor": small, "old_flavor": large},  # waits: 4 and 256 were held
        {"flavor": large, "old_flavor": large, "new_flavor": small},  # is under way
        {"flavor": large},
    )
    with engine.begin() as connection:
        for number, flavors in enumerate(sizes):
            found = {column.name: value_for(column, number) for column in tables.tables["instances"].c}
            nothing = {"old_flavor": sa.null(), "new_flavor": sa.null(), "project_id": "p"}
            connection.execute(sa.insert(tables.tables["instances"]).values({**found, **nothing, **flavors}))
        usage = {"project_id": "p", "instances": 3, "cores": 12, "ram": 768}
        connection.execute(sa.insert(tables.tables["quota_usages"]).values(usage))
    migrate.ensure_schema(path)
    assert all_rows(engine)["quota_usages"] == [{"project_id": "p", "instances": 3, "cores": 9, "ram": 576}]
    engine.dispose()


NEWER = {
    "of the next version, which removed what this one uses": (
        f"UPDATE schema_version SET lowest_code_version = {CODE_VERSION + 1}",  # noqa: S608 - our own text
        f", and it needs code version {CODE_VERSION + 1}, this one is {CODE_VERSION}",
    ),
    "that does not say who may use it": ("DROP TABLE schema_version", ""),
    "that says nothing": ("DELETE FROM schema_version", ""),
}


@pytest.mark.parametrize("case", NEWER)
def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path, case: str) -> None:
    statement, why = NEWER[case]
    path = newer(tmp_path, statement)
    before = path.read_bytes()
    with pytest.raises(StateError) as refused:
        migrate.ensure_schema(path)
    assert refused.value.message == (
        f"The database {path} was written by a newer Kilonova (revision 9999, this one supports {migrate.HEAD}{why}); "
        "start that version, or restore a backup."
    )
    assert path.read_bytes() == before


def test_a_database_that_a_newer_version_only_extended_is_used(tmp_path: Path) -> None:
    path = newer(tmp_path, "ALTER TABLE services ADD COLUMN colour TEXT")
    before = path.read_bytes()
    with capture_logs() as said:
        migrate.ensure_schema(path)
    assert [line["event"] for line in said] == ["the database has a newer revision, which this version may use"]
    assert path.read_bytes() == before


def newer(directory: Path, *statements: str) -> Path:
    """A database of a later revision."""
    path = directory / "k.db"
    migrate.ensure_schema(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in ("UPDATE alembic_version SET version_num = '9999'", *statements):
            connection.execute(statement)
    return path


def test_the_database_records_the_lowest_code_version_that_its_migrations_declare(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    migrate.ensure_schema(path)
    with closing(sqlite3.connect(path)) as connection:
        assert lowest_in_file(connection) == migrate.lowest_needed()
    # The previous release goes on beside an upgraded database; releases before 0.2 compare revisions instead.
    assert migrate.lowest_needed() <= max(2, CODE_VERSION - 1)


def test_what_is_no_database_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    path.write_bytes(b"this is a letter to my grandmother, not a database, and it is long enough" * 40)
    with pytest.raises(StateError, match="cannot be used"):
        migrate.ensure_schema(path)


def test_a_full_disk_is_one_sentence_and_the_next_start_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(StateError, match=f"{path} cannot be brought to revision {migrate.HEAD}: "):
            migrate.ensure_schema(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    migrate.ensure_schema(path)


def test_columns_take_every_field(tmp_path: Path) -> None:
    """The schema and the objects agree on names, so that no field is lost on the way to the database."""
    from kilonova.db.schema import actions, instances
    from kilonova.objects.action import Action
    from kilonova.objects.instance import Instance

    hidden = {"deleted_at", "purged_at", "read_by", "read_number"}
    assert set(Instance.__dataclass_fields__) | hidden == set(instances.c.keys())
    assert set(Action.__dataclass_fields__) | {"host", "instance_project"} == set(actions.c.keys())
    assert isinstance(instances, sa.Table)


def _old(path: Path, note: str = "kept") -> None:
    """A database as the first version made it, with something in it."""
    engine = make_engine(sqlite_url(path), readers=1)
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql("INSERT INTO projects (id, name) VALUES (?, 'p')", (note,))
        connection.commit()
    engine.dispose()


def _facts(path: Path) -> tuple[str, list[str]]:
    with closing(sqlite3.connect(path)) as connection:
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        return revision, [row[0] for row in connection.execute("SELECT id FROM projects")]


def test_an_older_database_is_copied_beside_itself_and_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    _old(path)
    migrate.ensure_schema(path)
    assert _facts(path) == (migrate.HEAD, ["kept"])
    (copy,) = copies_of(path)
    assert copy.name.startswith("k.db.0001.")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert _facts(copy) == ("0001", ["kept"])
    migrate.ensure_schema(path)
    assert copies_of(path) == [copy]
    assert sorted(p.name for p in tmp_path.iterdir() if "part" in p.name) == []


def test_only_the_newest_copies_stay(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    _old(path)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = [copy_before_upgrade(path, "0001", now + timedelta(days=day)) for day in range(KEPT + 2)]
    assert copies_of(path) == made[2:]
    remove_old(path, timedelta(days=1), now + timedelta(days=KEPT + 1, hours=1))
    assert copies_of(path) == made[-1:]
    assert path.exists()


def test_what_is_written_to_a_database_while_it_is_copied_is_in_it_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    _old(path)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("INSERT INTO projects (id, name) VALUES ('committed', 'q')")
        writer.commit()
        writer.execute("INSERT INTO projects (id, name) VALUES ('not yet', 'r')")
        copy_database(path, tmp_path / "copy")
        writer.commit()
    assert _facts(tmp_path / "copy")[1] == ["committed", "kept"]
    assert not (tmp_path / "copy-wal").exists()


def test_without_a_copy_nothing_is_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    _old(path)
    now = SystemClock().now()
    for second in range(120):  # the copy's place is taken by what cannot be replaced
        (tmp_path / f".k.db.0001.{now + timedelta(seconds=second):%Y%m%dT%H%M%SZ}.part").mkdir()
    with pytest.raises(StateError, match="is not upgraded, because no copy"):
        migrate.ensure_schema(path)
    assert _facts(path) == ("0001", ["kept"])


OLD_PARAMS: dict[str, tuple[dict[str, str], Any]] = {
    "create": (
        {"networks": "one,two", "fixed_ips": ",10.0.0.9", "host": "h1", "same_host": "s1,s2", "different_host": "s3"},
        CreateParams(
            ("one", "two"),
            ("", "10.0.0.9"),
            HostName("h1"),
            (InstanceId("s1"), InstanceId("s2")),
            (InstanceId("s3"),),
        ),
    ),
    "delete": ({"forgotten_images": "i1,i2"}, DeleteParams((ImageId("i1"), ImageId("i2")))),
    "stop": ({}, NO_PARAMS),
    "start": ({"cause": "host-boot"}, NO_PARAMS),
    "reboot": ({"type": "HARD"}, RebootParams("HARD")),
    "pause": ({"at_boot": "1", "vm_state": "active"}, NO_PARAMS),
    "rescue": ({}, NO_PARAMS),
    "rebuild": ({}, NO_PARAMS),
    "resize": ({"flavor": "2", "disk_config": "AUTO"}, ResizeParams(FlavorId("2"), "AUTO")),
    "confirmResize": ({}, NO_PARAMS),
    "revertResize": ({"kept_disk": "a1"}, RevertResizeParams(ActionId("a1"))),
    "createImage": ({"image": "i1"}, SnapshotParams(ImageId("i1"))),
    "createBackup": (
        {"image": "i1", "backup_type": "daily", "rotation": "2", "dropped": "i2"},
        BackupParams(ImageId("i1"), "daily", 2, (ImageId("i2"),)),
    ),
    "shelve": ({"image": "i1"}, SnapshotParams(ImageId("i1"))),
    "shelveOffload": ({}, NO_PARAMS),
    "unshelve": (
        {"from_shelf": "torn", "availability_zone": "z"},
        UnshelveParams(UnshelveSource.OFFLOAD_INCOMPLETE, "z"),
    ),
    "lock": ({"reason": "r"}, LockParams("r")),
    "unlock": ({}, NO_PARAMS),
    "resetState": ({"state": "active"}, ResetStateParams("active")),
    "power-update": ({"count": "7"}, PowerUpdateParams(7)),
}
"""Params of each kind of verb as they were stored before, and as they are read now."""


def test_params_of_actions_that_were_stored_before_are_read(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    engine = make_engine(sqlite_url(path), readers=1)
    upgrade(engine, "0015")
    old = sa.MetaData()
    old.reflect(engine)
    with engine.begin() as connection:
        server = {column.name: value_for(column, 0) for column in old.tables["instances"].c}
        connection.execute(sa.insert(old.tables["instances"]).values(server))
        table = old.tables["actions"]
        for number, (verb, (params, _)) in enumerate(OLD_PARAMS.items()):
            row = {column.name: value_for(column, number) for column in table.c}
            own = {"instance_id": server["id"], "verb": verb, "params": params, "state": "done"}
            connection.execute(sa.insert(table).values({**row, **own}))
    migrate.ensure_schema(path)
    with engine.begin() as connection:
        read = {action.verb: action for action in read_actions.of_instance(connection, InstanceId(str(server["id"])))}
    engine.dispose()
    assert {verb: action.params for verb, action in read.items()} == {
        verb: params for verb, (_, params) in OLD_PARAMS.items()
    }
    assert read[Verb.START].bookkeeping == Bookkeeping(host_boot=True)
    assert read[Verb.PAUSE].bookkeeping == Bookkeeping(open_at_boot=True, abandoned_in=VmState.ACTIVE)


def test_swap_of_servers_that_are_there_counts_and_they_come_back_to_their_zone(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    engine = make_engine(sqlite_url(path), readers=1)
    upgrade(engine, "0007")
    old = sa.MetaData()
    old.reflect(engine)
    flavor = {"vcpus": 1, "memory_mib": 512, "disk_gib": 2, "ephemeral_gib": 1, "swap_mib": 1025}
    larger = {**flavor, "swap_mib": 4096}
    servers = [
        {"host": "h1", "flavor": flavor, "new_flavor": larger},
        {"host": "h1", "flavor": {**flavor, "swap_mib": 0}},
        {"host": None, "flavor": flavor},
        {"host": "h2", "flavor": flavor, "deleted_at": 1},
    ]
    with engine.begin() as connection:
        table = old.tables["instances"]
        for number, fields in enumerate(servers):
            row = {column.name: value_for(column, number) for column in table.c}
            blank = {"old_flavor": None, "new_flavor": None, "deleted_at": None, "availability_zone": f"z{number}"}
            connection.execute(sa.insert(table).values({**row, **blank, "image": {"virtual_size": 1}, **fields}))
        nodes = old.tables["compute_nodes"]
        for number, host in enumerate(("h1", "h2")):
            row = {column.name: value_for(column, number) for column in nodes.c}
            connection.execute(sa.insert(nodes).values({**row, "host": host, "disk_gib_used": 10}))
    migrate.ensure_schema(path)
    after = all_rows(engine)
    engine.dispose()
    assert {row["host"]: row["disk_gib_used"] for row in after["compute_nodes"]} == {"h1": 14, "h2": 10}
    assert {row["requested_zone"] for row in after["instances"]} == {"z0", "z1", "z2", "z3"}
    assert {str(row["device_tags"]) for row in after["instances"]} == {"{}"}
