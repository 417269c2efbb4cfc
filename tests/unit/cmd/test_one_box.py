# SPDX-License-Identifier: Apache-2.0
"""What `kilonova up` says when it cannot begin: one sentence, status 1, no traceback."""

import asyncio
import contextlib
import os
import pty
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kilonova.base.errors import StateError
from kilonova.cmd.clouds import clouds_yaml
from kilonova.cmd.common import ending_in_one_sentence, prepare_state
from kilonova.cmd.listener import url_of
from kilonova.cmd.one_box import _when_in_service  # pyright: ignore[reportPrivateUsage]
from kilonova.config.load import load
from tests.live.box import wait_for
from tests.make import run
from tests.service.cloud import running_cloud
from tests.simulation.virtual import SimClock, run_virtually


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
    assert "--listen requires ADDRESS:PORT" in one_sentence(
        up("--state-path", str(tmp_path), "--listen", "127.0.0.1:seven")
    )


def test_a_driver_that_is_not_there(tmp_path: Path) -> None:
    said = one_sentence(
        up("--state-path", str(tmp_path), "--listen", "127.0.0.1:0", "--compute-driver", "xen.XenDriver")
    )
    assert "compute_driver 'xen.XenDriver' was not found" in said


def test_a_first_start_that_fails_leaves_the_password_to_the_next(tmp_path: Path) -> None:
    words = ("--state-path", str(tmp_path / "s"), "--listen", "127.0.0.1:0", "--clouds-file", str(tmp_path / "c.yaml"))
    one_sentence(up(*words, "--compute-driver", "xen.XenDriver"))
    assert (tmp_path / "s/kilonova.db").exists()
    assert not (tmp_path / "c.yaml").exists()
    (tmp_path / "c.yaml").write_text(clouds_yaml("http://127.0.0.1:1", "another's"))
    assert "already has a cloud called kilonova" in one_sentence(up(*words))  # still a first start

    async def next_start() -> None:
        host = {("DEFAULT", "host"): socket.gethostname()}
        async with running_cloud(host, state=tmp_path / "s") as cloud:
            assert cloud.box.first_password is not None

    run(next_start())


def test_two_at_a_time_on_one_state_directory(tmp_path: Path) -> None:
    held = prepare_state(tmp_path)
    with pytest.raises(StateError, match="Another kilonova runs on"):
        prepare_state(tmp_path)
    held.close()
    prepare_state(tmp_path).close()


def test_what_is_something_else_does_not_become_a_state_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / ".git").mkdir()
    said = one_sentence(up("--state-path", str(tmp_path), "--listen", "127.0.0.1:0"))
    assert f"{tmp_path} is a checkout: use a directory for Kilonova alone as the state path." in said
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert os.listdir(tmp_path) == [".git"]
    (tmp_path / ".git").rename(tmp_path / ".profile")
    with pytest.raises(StateError, match="a home directory"):
        prepare_state(tmp_path)
    with pytest.raises(StateError, match="a system directory"):
        prepare_state(Path("/var/lib"))
    (tmp_path / ".profile").rename(tmp_path / "kilonova.conf")  # what people put beside the state is theirs
    prepare_state(tmp_path).close()


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8774"),
        ("::", "http://[::1]:8774"),
        ("192.0.2.1", "http://192.0.2.1:8774"),
        ("2001:db8::1", "http://[2001:db8::1]:8774"),
    ],
)
def test_clients_are_sent_to_an_address_that_is_one(address: str, url: str) -> None:
    assert url_of(address, 8774, load().api) == url


def test_an_address_without_a_port(tmp_path: Path) -> None:
    for listen in ("127.0.0.1:", "127.0.0.1:99999", "8774x"):
        said = one_sentence(up("--state-path", str(tmp_path), "--listen", listen))
        assert f"--listen requires ADDRESS:PORT, not {listen}." in said


def test_a_defect_in_a_task_keeps_its_traceback_and_a_refusal_in_one_has_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended, ending_in_one_sentence():
        raise BaseExceptionGroup("tasks", [ExceptionGroup("inner", [StateError("It is full.")])])
    assert (ended.value.code, capsys.readouterr().err) == (1, "kilonova: It is full.\n")
    with pytest.raises(ExceptionGroup), ending_in_one_sentence():
        raise ExceptionGroup("tasks", [KeyError("defect")])


def test_a_clouds_file_that_cannot_be_is_refused_before_a_password_is_made(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("my notes")
    words = ("--state-path", str(tmp_path / "state"), "--listen", "127.0.0.1:0")
    for path, why in (
        (tmp_path / "notes.txt" / "clouds.yaml", "File exists"),
        (tmp_path / "notes.txt", "is not a clouds.yaml"),
        (tmp_path, "Is a directory"),
    ):
        assert why in one_sentence(up(*words, "--clouds-file", str(path)))
    assert (tmp_path / "notes.txt").read_text() == "my notes"
    assert not (tmp_path / "state/kilonova.db").exists()


def test_a_slow_start_is_no_fault_and_an_outage_is_told_soon(capsys: pytest.CaptureFixture[str]) -> None:
    def said_after(seconds: float, enabled: bool | None) -> str:
        state = SimpleNamespace(ready=lambda: (False, "why"), virtapi=SimpleNamespace(enabled=enabled))

        async def wait() -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await _when_in_service(cast(Any, SimpleNamespace(manager=state)), SimClock(1))

        run_virtually(wait())
        return capsys.readouterr().out

    assert said_after(8, None) == said_after(8, True) == ""
    assert said_after(8, False).count("waiting     why (") == 1
    assert said_after(60, True).count("waiting     why (") == 1


def in_a_terminal(out: Path, *argv: str) -> tuple[subprocess.Popen[bytes], int]:
    """As the first process of a terminal of its own; what is said goes to a file.  Closing the descriptor closes it.
    (Tests that run under nohup hand down that SIGHUP is ignored.)"""
    ours, theirs = pty.openpty()
    with out.open("wb") as said:
        process = subprocess.Popen(
            ["env", "--default-signal=HUP", "setsid", "--ctty", *argv], stdin=theirs, stdout=said, stderr=theirs
        )
    os.close(theirs)
    return process, ours


@pytest.mark.parametrize(("wrapper", "ends"), [((), True), (("nohup",), False)])
def test_a_terminal_that_is_closed_ends_what_was_started_in_it(
    tmp_path: Path, wrapper: tuple[str, ...], ends: bool
) -> None:
    words = (
        "up",
        "--compute-driver",
        "fake.FakeDriver",
        "--state-path",
        str(tmp_path / "s"),
        "--listen",
        "127.0.0.1:0",
    )
    out = tmp_path / "out"
    process, terminal = in_a_terminal(out, *wrapper, sys.executable, "-m", "kilonova", *words)
    try:
        wait_for(lambda: "\nready" in out.read_text(), why=out.read_text)
        os.close(terminal)
        if not ends:
            wait_for(lambda: "the configuration was read again" in out.read_text(), why=out.read_text)
            process.terminate()
        wait_for(lambda: process.poll() is not None, why=out.read_text)
        assert process.returncode == 0, out.read_text()
    finally:
        process.kill()
        process.wait()
