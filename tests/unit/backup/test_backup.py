# SPDX-License-Identifier: Apache-2.0
"""A backup is whole or none; a restore takes nothing that is not one, and writes nothing elsewhere."""

import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kilonova.backup.archive import DATABASE, HEADER, MANIFEST, TOKEN_KEY
from kilonova.backup.make import make_backup
from kilonova.backup.restore import restore_backup
from kilonova.base.clock import SystemClock
from kilonova.base.errors import StateError
from kilonova.cmd.common import prepare_state
from kilonova.db import reserve
from kilonova.db.migrate import ensure_schema
from kilonova.virt.libvirt.connection import unclean_shutdown as unsettled_file
from kilonova.virt.libvirt.host import checks
from lab.counting import cannot_run

IMAGE, GONE = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"
BYTES = bytes(range(256)) * 9000


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with an image, and one whose bytes are gone."""
    path = tmp_path / "state"
    (path / "images").mkdir(parents=True)
    (path / "instances" / "guest").mkdir(parents=True)
    (path / "instances" / "guest" / "disk").write_bytes(b"a disk")
    (path / "chains").mkdir()
    ensure_schema(path / DATABASE)
    with closing(sqlite3.connect(path / DATABASE)) as connection:
        for image in (IMAGE, GONE):
            connection.execute(
                "INSERT INTO images (id, status, owner, visibility, created_at, body)"
                " VALUES (?, 'active', 'p', 'private', '2026-01-01 00:00:00', '{}')",
                (image,),
            )
        connection.commit()
    (path / "images" / IMAGE).write_bytes(BYTES)
    (path / "images" / ".half.part").write_bytes(b"an upload")
    (path / TOKEN_KEY).write_text("k" * 48)
    (path / "compute_id").write_text('{"node_id": "x", "host": "h"}')
    return path


def records(state: Path) -> list[str]:
    with closing(sqlite3.connect(state / DATABASE)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM images ORDER BY id")]


def backed_up(state: Path, *, images: bool = True) -> Path:
    target = state.parent / "b.tar"
    make_backup(state, target, "h", SystemClock(), images=images)
    return target


def test_there_and_back(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.tar"
    target.write_text("an older one, readable by all")
    seen: list[int] = []
    totals: list[int] = []

    def begin(total: int) -> Callable[[int], None]:
        totals.append(total)
        return seen.append

    made = make_backup(state, target, "h", SystemClock(), images=True, begin=begin)
    assert (made.images, list(made.missing), made.n_bytes) == (1, [GONE], target.stat().st_size)
    assert sum(seen) == totals[0]
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    fresh = tmp_path / "fresh"
    fresh.mkdir()
    restored = restore_backup(target, fresh)
    assert (restored.images, restored.header.host, restored.header.images) == (1, "h", True)
    assert (fresh / "images" / IMAGE).read_bytes() == BYTES
    assert {path.name for path in fresh.iterdir()} == {DATABASE, TOKEN_KEY, "compute_id", "images"}
    for secret in (DATABASE, TOKEN_KEY):
        assert (fresh / secret).stat().st_mode & 0o777 == 0o600
    for name in (TOKEN_KEY, "compute_id"):
        assert (fresh / name).read_bytes() == (state / name).read_bytes()
    assert records(fresh) == [IMAGE, GONE]


def test_without_images_their_records_are_left_out_too(state: Path, tmp_path: Path) -> None:
    (tmp_path / "fresh").mkdir()
    restored = restore_backup(backed_up(state, images=False), tmp_path / "fresh")
    assert (restored.images, restored.header.images) == (0, False)
    assert not (tmp_path / "fresh" / "images").exists()
    assert records(tmp_path / "fresh") == []
    assert records(state) == [IMAGE, GONE]


def test_guests_disks_may_be_there_and_nothing_else(state: Path) -> None:
    target = backed_up(state)
    with pytest.raises(StateError, match=r"is not empty \(compute_id, images, kilonova.db, token.key\)"):
        restore_backup(target, state)
    for name in ("compute_id", TOKEN_KEY, DATABASE):
        (state / name).unlink()
    (state / "images").rename(state.parent / "images")
    for name in ("lock", unsettled_file.NAME, checks.VERDICT_FILE, "clouds.yaml", ".cache", reserve.NAME):
        (state / name).touch()
    restore_backup(target, state)
    assert (state / unsettled_file.NAME).exists()
    assert (state / "instances" / "guest" / "disk").read_bytes() == b"a disk"


def test_what_root_restores_is_the_services_users(state: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        cannot_run("only root can give files away")
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    os.chown(fresh, 998, 997)
    with prepare_state(fresh):
        restore_backup(backed_up(state), fresh)
    found = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in fresh.rglob("*")}
    assert found == dict.fromkeys(("lock", DATABASE, TOKEN_KEY, "compute_id", "images", IMAGE), (998, 997))


def test_no_backup_of_nothing_and_none_that_is_half_made(tmp_path: Path, state: Path) -> None:
    with pytest.raises(StateError, match="nothing to back up"):
        make_backup(tmp_path, tmp_path / "b.tar", "h", SystemClock(), images=True)
    with pytest.raises(StateError, match=f"There is no directory {tmp_path}/none"):
        make_backup(state, tmp_path / "none/b.tar", "h", SystemClock(), images=True)
    (state / TOKEN_KEY).unlink()
    (state / TOKEN_KEY).mkdir()
    with pytest.raises(StateError, match="could not be made"):
        make_backup(state, tmp_path / "b.tar", "h", SystemClock(), images=True)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


Members = list[tuple[tarfile.TarInfo, bytes]]


def rewritten(path: Path, change: Callable[[Members], Members]) -> Path:
    """The same archive with other members."""
    with tarfile.open(path) as tar:
        members = [(member, reader.read()) for member in tar if (reader := tar.extractfile(member)) is not None]
    other = path.with_name("other.tar")
    with tarfile.open(other, "w") as tar:
        for member, data in change(members):
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return other


def _header(**changes: Any) -> Callable[[Members], Members]:
    def change(members: Members) -> Members:
        info, data = members[0]
        assert info.name == HEADER
        return [(info, json.dumps({**json.loads(data), **changes}).encode()), *members[1:]]

    return change


def _flipped(members: Members) -> Members:
    return [
        (info, bytes([data[0] ^ 1]) + data[1:] if info.name.startswith("images/") else data) for info, data in members
    ]


def _extra(info: tarfile.TarInfo) -> Callable[[Members], Members]:
    return lambda members: [*members[:-1], (info, b""), members[-1]]


def _linked(kind: bytes, name: str = "images/11111111-2222-4333-8444-555555555556") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def _sparse() -> tarfile.TarInfo:
    """A few bytes that say they are a pebibyte."""
    info = tarfile.TarInfo("images/11111111-2222-4333-8444-555555555556")
    info.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 50)}
    return info


def _wordy() -> tarfile.TarInfo:
    """A header that is read into memory whole."""
    info = tarfile.TarInfo("images/11111111-2222-4333-8444-555555555556")
    info.pax_headers = {"comment": "x" * (1 << 20)}
    return info


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(_extra(_sparse()), "is not a regular file", id="a sparse file"),
        pytest.param(_extra(_wordy()), "extended header is too large", id="a large header"),
        pytest.param(_flipped, "differs from its manifest", id="a bit is wrong"),
        pytest.param(lambda members: members[:-1], "its end is missing", id="no manifest"),
        pytest.param(lambda members: members[1:], "does not begin with a header", id="no header"),
        pytest.param(lambda members: [members[0], *members[2:]], "differs from its manifest", id="a file less"),
        pytest.param(lambda members: [*members[:2], *members[1:]], "has no place in it", id="a file twice"),
        pytest.param(_extra(tarfile.TarInfo("../evil")), "has no place in it", id="a way up"),
        pytest.param(_extra(tarfile.TarInfo("/tmp/kn-evil")), "has no place in it", id="an absolute name"),
        pytest.param(_extra(tarfile.TarInfo("images/../../evil")), "has no place in it", id="a way up below"),
        pytest.param(_extra(_linked(tarfile.SYMTYPE)), "is not a regular file", id="a symbolic link"),
        pytest.param(_extra(_linked(tarfile.LNKTYPE)), "is not a regular file", id="a hard link"),
        pytest.param(_extra(_linked(tarfile.CHRTYPE)), "is not a regular file", id="a device"),
        pytest.param(_extra(_linked(tarfile.DIRTYPE, "images")), "is not a regular file", id="a directory"),
        pytest.param(_header(form=2), "made by a newer Kilonova", id="a newer form"),
        pytest.param(_header(revision="9999"), "made by a newer Kilonova", id="a newer database"),
        pytest.param(_header(more=1), "header is incomplete", id="a header that is none"),
    ],
)
def test_what_is_no_whole_backup_is_refused_and_leaves_nothing(
    state: Path, tmp_path: Path, change: Callable[[Members], Members], why: str
) -> None:
    source = rewritten(backed_up(state), change)
    fresh = tmp_path / "below" / "fresh"
    fresh.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StateError, match=why) as refusal:
        restore_backup(source, fresh)
    assert "\n" not in str(refusal.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_larger_than_the_disk_is_refused_before_it_is_written(state: Path, tmp_path: Path) -> None:
    """The archive itself may be a sparse file: as large as it says, and made of nothing."""
    source = backed_up(state)
    with tarfile.open(source) as tar:
        header = tar.next()
        assert header is not None
        head = source.read_bytes()[: tar.offset]
    vast = tarfile.TarInfo("images/11111111-2222-4333-8444-555555555556")
    vast.size = 1 << 42
    bomb, fresh = tmp_path / "bomb.tar", tmp_path / "fresh"
    bomb.write_bytes(head + vast.tobuf(tarfile.PAX_FORMAT))
    os.truncate(bomb, bomb.stat().st_size + vast.size)
    fresh.mkdir()
    with pytest.raises(StateError, match=r"no room for images/.* of 4194304 MiB"):
        restore_backup(bomb, fresh)
    assert list(fresh.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_backup_that_was_cut_off_is_refused(state: Path, tmp_path: Path, share: float) -> None:
    source = backed_up(state)
    data = source.read_bytes()
    end = data.index(b'"files"')
    source.write_bytes(data[: int(end * share)])
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    with pytest.raises(StateError, match="is not a whole backup"):
        restore_backup(source, fresh)
    assert list(fresh.iterdir()) == []


def test_the_manifest_names_every_file(state: Path) -> None:
    with tarfile.open(backed_up(state)) as tar:
        names = tar.getnames()
        reader = tar.extractfile(MANIFEST)
        assert reader is not None
        told = json.load(reader)["files"]
    assert names == [HEADER, *told, MANIFEST]
    assert set(told) == {DATABASE, "compute_id", TOKEN_KEY, f"images/{IMAGE}"}
