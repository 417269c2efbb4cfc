# SPDX-License-Identifier: Apache-2.0
"""What an installation refuses, and what it leaves to its owner."""

import os
from pathlib import Path

import pytest

from kilonova.base.errors import StateError
from kilonova.cmd.install import unit_text
from kilonova.cmd.machine import Machine, closed_to_others


def test_a_path_that_systemd_would_take_apart_is_refused() -> None:
    assert "ExecStart=/opt/a%%b/bin/kilonova up " in unit_text(Path("/opt/a%b/bin/kilonova"))
    for odd in ("/opt/a b/kilonova", "/opt/$HOME/kilonova", '/opt/"/kilonova', "/opt/a\nUser=root"):
        with pytest.raises(StateError, match="systemd does not accept"):
            unit_text(Path(odd))


def test_a_closed_directory_on_the_way_is_found(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    inner = tmp_path / "closed" / "open"
    inner.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    first = closed_to_others(inner / "program")
    assert first is not None
    assert first in (tmp_path / "closed", *tmp_path.parents)


def test_a_dry_run_says_and_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine(tmp_path, dry_run=True)
    machine.directory("/a", 0o755)
    machine.file("/a/b", "text", 0o644)
    machine.gone("/a/c")
    machine.run("command", ["false"])
    assert list(tmp_path.iterdir()) == []
    out = capsys.readouterr().out
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["would:", "directory"],
        ["would:", "file"],
        ["missing", "/a/c"],
        ["would:", "command"],
    ]


def test_a_failure_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match=r"directory /file/below: .*Not a directory"):
        Machine(tmp_path).directory("/file/below", 0o755)
    with pytest.raises(StateError, match=r"command sh -c .*: status 3, why not"):
        Machine(tmp_path).run("command", ["sh", "-c", "echo why not >&2; exit 3"])


def test_what_is_wrong_is_put_right_and_what_is_kept_is_kept(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (tmp_path / "d").mkdir(mode=0o700)
    machine.directory("/d", 0o711)
    assert os.stat(tmp_path / "d").st_mode & 0o777 == 0o711
    for keep, expected in ((True, "mine"), (False, "theirs")):
        (tmp_path / "f").write_text("mine")
        machine.file("/f", "theirs", 0o640, keep=keep)
        assert (tmp_path / "f").read_text() == expected
    assert os.stat(tmp_path / "f").st_mode & 0o777 == 0o640
    assert machine.changed == ["/d", "/f"]
