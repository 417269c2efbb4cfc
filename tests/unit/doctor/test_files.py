# SPDX-License-Identifier: Apache-2.0
"""Files of a host: real directories with real modes."""

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.db.inspect import DatabaseFacts
from kilonova.db.migrate import ensure_schema
from kilonova.doctor import database, files
from kilonova.doctor.finding import Level
from kilonova.doctor.subject import Places, User
from tests.unit.doctor.arranged import QEMU, subject

GIB = 1 << 30


def passable(path: Path) -> Path:
    """pytest's own directories are 0700."""
    for place in (path, *path.parents):
        if place.stat().st_mode & 0o777 == 0o700:
            place.chmod(0o711)
    return path


def test_a_state_directory_as_it_should_be(tmp_path: Path) -> None:
    state = passable(tmp_path) / "state"
    state.mkdir()
    for mode, level in ((0o711, Level.OK), (0o755, Level.WARNING), (0o777, Level.ERROR)):
        state.chmod(mode)
        assert files.judge_state_directory(state, state / "instances", QEMU).level is level


def test_parents_that_qemu_cannot_pass(tmp_path: Path) -> None:
    home = passable(tmp_path) / "home"
    (home / "state").mkdir(parents=True, mode=0o711)
    home.chmod(0o700)
    found = files.judge_state_directory(home / "state", home / "state" / "instances", QEMU)
    assert found.level is Level.ERROR
    assert found.facts["blocked_at"] == str(home)
    assert "/var/lib/kilonova" in found.cure
    home.chmod(0o711)
    (home / "state").chmod(0o700)
    assert files.judge_state_directory(home / "state", home / "state", QEMU).cure == f"chmod 711 {home / 'state'}"
    owner = User("owner", home.stat().st_uid, frozenset())
    assert files.judge_state_directory(home / "state", home / "state", owner).level is Level.OK


def test_a_state_directory_that_is_not_there_or_is_none(tmp_path: Path) -> None:
    assert files.judge_state_directory(passable(tmp_path) / "a", tmp_path / "a/b", QEMU).level is Level.NOTE
    (tmp_path / "file").touch()
    found = files.judge_state_directory(tmp_path / "file" / "state", tmp_path / "file", QEMU)
    assert found.level is Level.ERROR
    assert "not a directory" in found.found


@pytest.mark.skipif(os.geteuid() != 0, reason="gives root up")
def test_a_state_directory_that_is_anothers(tmp_path: Path) -> None:
    state = passable(tmp_path) / "state"
    os.seteuid(65534)
    try:
        absent = files.judge_state_directory(state, state, None)
        os.seteuid(0)
        state.mkdir(mode=0o711)
        os.seteuid(65534)
        there = files.judge_state_directory(state, state, None)
    finally:
        os.seteuid(0)
    assert (absent.level, there.level) == (Level.ERROR, Level.ERROR)
    assert absent.cure.startswith("install -d -m 711 -o ")
    assert there.cure == "Run this, and the service, as its owner root, or choose another --state-path."


@pytest.mark.parametrize(
    ("guests", "daemon", "level"), [(80, 40, Level.OK), (120, 40, Level.WARNING), (80, 108, Level.ERROR)]
)
def test_socket_paths(guests: int, daemon: int, level: Level) -> None:
    assert files.judge_socket_length(guests, daemon).level is level


def test_a_long_path_is_measured(tmp_path: Path) -> None:
    assert files.socket_length(subject(tmp_path / ("x" * 90))).level is Level.WARNING


def test_so_is_a_session_daemons_own_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    ours = replace(subject(Path("/var/x")), uri="qemu:///session")
    for home, level in (("x" * 20, Level.OK), ("x" * 50, Level.WARNING)):
        monkeypatch.setenv("XDG_CONFIG_HOME", f"/{home}")
        assert files.socket_length(ours).level is level


@pytest.mark.parametrize(
    ("free", "inodes", "watermark", "level"),
    [
        (100 * GIB, 10**6, GIB, Level.OK),
        (100 * GIB, None, GIB, Level.OK),
        (3 * GIB, 10**6, GIB, Level.WARNING),
        (GIB - 1, 10**6, GIB, Level.ERROR),
        (30 * GIB, 10**6, 40 * GIB, Level.ERROR),
        (60 * GIB, 10**6, 40 * GIB, Level.WARNING),
        (100 * GIB, 10, GIB, Level.ERROR),
    ],
)
def test_space_and_the_watermark(free: int, inodes: int | None, watermark: int, level: Level) -> None:
    assert files.judge_disk_space(Path("/x"), 200 * GIB, free, inodes, watermark).level is level


MOUNTS = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
28 27 0:25 / /mem rw,nosuid - tmpfs tmpfs rw,size=4k
29 27 0:26 / /far\\040off rw - nfs4 server:/x rw
30 27 0:27 / /sealed ro - ext4 /dev/vdb ro
31 27 0:28 / /fast rw - ext4 /dev/vdc rw,nobarrier
32 27 0:29 / /layer rw - overlay overlay rw,lowerdir=/a
"""


@pytest.mark.parametrize(
    ("path", "level", "words"),
    [
        ("/var/lib/kilonova", Level.OK, "ext4 (/)"),
        ("/memory", Level.OK, "ext4 (/)"),
        ("/mem/state", Level.WARNING, "tmpfs"),
        ("/far off/state", Level.WARNING, "nfs4"),
        ("/sealed", Level.ERROR, "read-only"),
        ("/fast/state", Level.WARNING, "barriers"),
        ("/layer/state", Level.WARNING, "container"),
    ],
)
def test_file_systems_that_lie(path: str, level: Level, words: str) -> None:
    found = files.judge_file_system(Path(path), MOUNTS)
    assert (found.level, words in found.found) == (level, True), found


def test_the_worse_of_two_file_systems_is_told(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mountinfo").write_text(f"1 1 0:1 / {tmp_path / 'disks'} rw - tmpfs tmpfs rw\n")
    (tmp_path / "disks").mkdir()
    host = subject(tmp_path, Places(proc=tmp_path), instances_path=str(tmp_path / "disks"))
    assert files.file_system(host).facts["kind"] == "tmpfs"


def test_the_identity_file(tmp_path: Path) -> None:
    host = subject(tmp_path)
    assert files.identity_file(host).level is Level.NOTE
    (tmp_path / "kilonova.db").touch()
    assert files.identity_file(host).level is Level.WARNING
    identity = tmp_path / "compute_id"
    identity.write_text("nonsense")
    assert files.identity_file(host).level is Level.ERROR
    identity.write_text("8b0f5a4c-7a8e-4f8a-9c61-5d2f9b6c1e11\n")
    identity.chmod(0o644)
    assert files.identity_file(host).level is Level.OK
    name = host.settings.default.host
    for owner, level in ((name, Level.OK), ("another", Level.ERROR)):
        identity.write_text(f'{{"node_id": "8b0f5a4c-7a8e-4f8a-9c61-5d2f9b6c1e11", "host": "{owner}"}}')
        assert files.identity_file(host).level is level
    identity.write_text("8b0f5a4c-7a8e-4f8a-9c61-5d2f9b6c1e11\n")
    identity.chmod(0o666)
    assert files.identity_file(host).level is Level.WARNING


def test_the_token_key(tmp_path: Path) -> None:
    host, key = subject(tmp_path), tmp_path / "token.key"
    assert files.token_key(host).level is Level.NOTE
    key.write_text("s" * 64)
    key.chmod(0o640)
    found = files.token_key(host)
    assert found.level is Level.ERROR
    assert f"chmod 600 {key}" in found.cure
    key.chmod(0o600)
    assert files.token_key(host).level is Level.OK
    key.write_text("short")
    assert files.token_key(host).level is Level.ERROR


def test_a_database_of_this_a_newer_and_no_revision(tmp_path: Path) -> None:
    host, path = subject(tmp_path), tmp_path / "kilonova.db"
    assert database.database(host).level is Level.NOTE
    ensure_schema(path)
    path.chmod(0o600)
    before = sorted(tmp_path.iterdir())
    assert database.database(host).level is Level.OK
    assert sorted(tmp_path.iterdir()) == before  # looking makes no files
    path.chmod(0o644)
    assert database.database(host).level is Level.WARNING
    path.chmod(0o600)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
        assert database.database(host).level is Level.OK  # this version may use it
        connection.execute("UPDATE schema_version SET lowest_code_version = 99")
        connection.commit()
        # Also while it is in use, with what is only in the journal.
        found = database.database(host)
    assert found.level is Level.ERROR
    assert "newer Kilonova (revision 9999" in found.found


def test_a_database_that_is_none_or_damaged(tmp_path: Path) -> None:
    host, path = subject(tmp_path), tmp_path / "kilonova.db"
    path.write_bytes(b"no database at all" * 100)
    assert database.database(host).level is Level.ERROR
    path.unlink()
    ensure_schema(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * 8192 + whole[16384:])
    assert database.database(host).level is Level.ERROR


def test_an_older_database_is_noted() -> None:
    found = database.judge_database(Path("/x.db"), DatabaseFacts(None, "", 0), 0o600)
    assert found.level is Level.NOTE
    assert "the next start copies it" in found.found


@pytest.mark.skipif(os.geteuid() != 0, reason="gives root up")
def test_a_database_of_somebody_else_is_not_called_broken(tmp_path: Path) -> None:
    path = passable(tmp_path) / "kilonova.db"
    ensure_schema(path)
    path.chmod(0o600)
    os.seteuid(65534)
    try:
        found = database.database(subject(tmp_path))
    finally:
        os.seteuid(0)
    assert (found.level, found.found) == (Level.ERROR, f"{path} cannot be read by this user.")
    assert found.cure == "Run this as root, its owner."
