# SPDX-License-Identifier: Apache-2.0
"""A tool that works on files of guests: what it may open, and what rights it has."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from kilonova.base.errors import HypervisorError
from kilonova.base.tools import Files, run_limited
from lab.counting import cannot_run

PYTHON = "/usr/bin/python3"


def told(argv: list[str], files: Files) -> str:
    return asyncio.run(run_limited(argv, limit_s=30, files=files)).decode()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("the key")
    path.chmod(0o600)
    return path


def test_it_reads_what_is_named_and_nothing_besides(secret: Path, tmp_path: Path) -> None:
    assert told(["cat", str(secret)], Files(reads=[str(secret)])) == "the key"
    for path in (str(secret), "/etc/passwd", str(tmp_path)):
        with pytest.raises(HypervisorError, match="Permission denied"):
            told(["cat", path], Files(reads=[str(Path(__file__))]))


def test_it_writes_what_is_named_to_be_written(secret: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.touch(0o600)
    told(["cp", str(secret), str(out)], Files(reads=[str(secret)], writes=[str(out)]))
    assert out.read_text() == "the key"
    with pytest.raises(HypervisorError, match="Permission denied"):
        told(["cp", str(out), str(secret)], Files(reads=[str(secret), str(out)]))
    with pytest.raises(HypervisorError, match="Permission denied"):
        told(["touch", str(tmp_path / "new")], Files(writes=[str(out)]))


def test_a_link_in_the_place_of_a_file_leads_nowhere(secret: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(secret)
    with pytest.raises(HypervisorError, match="Permission denied"):
        told(["cat", str(link)], Files(reads=[str(link)]))


def test_it_has_no_right_of_ours_no_network_and_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_PASSWORD", "secret")
    status = told(["cat", "/proc/self/status"], Files(reads=["/proc/self/status"]))
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert (fields["NoNewPrivs"].strip(), fields["Seccomp"].strip()) == ("1", "2")
    if os.geteuid() == 0:
        assert set(fields["Uid"].split()) == {"65534"}
        assert int(fields["CapEff"], 16) == 1 << 1
    assert "OS_PASSWORD" not in told(["env"], Files())
    if not Path(PYTHON).exists():
        cannot_run(f"{PYTHON} is not installed")
    for family in ("INET", "UNIX"):
        with pytest.raises(HypervisorError, match="PermissionError"):
            told([PYTHON, "-I", "-c", f"import socket; socket.socket(socket.AF_{family})"], Files())


def test_a_tool_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(HypervisorError, match="no-such-tool cannot be run: no-such-tool is not installed"):
        told(["no-such-tool"], Files())
    assert shutil.which(sys.executable)
    assert list(tmp_path.iterdir()) == []
