# SPDX-License-Identifier: Apache-2.0
"""What `kilonova up` says when it cannot begin: one sentence, status 1, no traceback."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kilonova.base.errors import StateError
from kilonova.cmd import clouds
from kilonova.cmd.one_box import prepare_state


def up(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "kilonova", "up", "--compute-driver", "fake.FakeDriver", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    assert done.stderr.startswith("kilonova: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = one_sentence(up("--state-path", str(tmp_path), "--listen", f"127.0.0.1:{port}"))
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use" in said


def test_a_state_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = one_sentence(up("--state-path", str(tmp_path / "file" / "state"), "--listen", "127.0.0.1:0"))
    assert "cannot be used" in said


def test_a_port_that_is_no_number(tmp_path: Path) -> None:
    assert "seven" in one_sentence(up("--state-path", str(tmp_path), "--listen", "127.0.0.1:seven"))


def test_a_driver_that_is_not_there(tmp_path: Path) -> None:
    said = one_sentence(
        up("--state-path", str(tmp_path), "--listen", "127.0.0.1:0", "--compute-driver", "xen.XenDriver")
    )
    assert "compute_driver 'xen.XenDriver' was not found" in said


def test_two_at_a_time_on_one_state_directory(tmp_path: Path) -> None:
    held = prepare_state(tmp_path)
    with pytest.raises(StateError, match="Another kilonova runs on"):
        prepare_state(tmp_path)
    held.close()
    prepare_state(tmp_path).close()


def test_clouds_yaml_is_the_owners_only_and_a_password_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "clouds.yaml"
    clouds.write(path, clouds.clouds_yaml("http://127.0.0.1:8774", "hunter2"))
    assert path.stat().st_mode & 0o777 == 0o600
    clouds.write(path, clouds.clouds_yaml("http://127.0.0.1:8774", None))
    assert "hunter2" in path.read_text()
