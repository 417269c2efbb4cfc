# SPDX-License-Identifier: Apache-2.0
"""The port, the running service, the bus, the clock: real sockets that answer in every wrong way."""

import http.server
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from kilonova.cmd.common import prepare_state
from kilonova.doctor import service
from kilonova.doctor.finding import Level
from kilonova.doctor.service import ClockFacts
from kilonova.doctor.subject import Places
from tests.unit.doctor.arranged import subject

OURS = {"/": (200, {"name": "kilonova", "version": "1"}), "/healthz": (200, {"healthy": True})}


@contextmanager
def serving(answers: dict[str, tuple[int, Any]]) -> Iterator[int]:
    """An HTTP server with these answers; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, None))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_args: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextmanager
def saying(words: bytes | None) -> Iterator[int]:
    """A TCP server that says this to whoever comes; None: nothing, and it hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with ExitStack() as kept, suppress(OSError):
                while True:
                    end = kept.enter_context(server.accept()[0])
                    if words is not None:
                        with suppress(OSError):  # who has heard enough may be gone
                            end.sendall(words)
                            end.shutdown(socket.SHUT_RDWR)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_a_port_that_is_free_ours_or_anothers(tmp_path: Path) -> None:
    assert service.api_port(subject(tmp_path, api__port=free_port())).level is Level.OK
    with serving(OURS) as port:
        assert service.api_port(subject(tmp_path, api__port=port)).facts["served"] is True
    with serving({"/": (200, {"name": "other"})}) as port:
        found = service.api_port(subject(tmp_path, api__port=port))
        assert found.level is Level.ERROR
        assert f"sport = :{port}" in found.cure
    with saying(b"SSH-2.0\r\n") as port:
        assert service.api_port(subject(tmp_path, api__port=port)).level is Level.ERROR
    assert service.api_port(subject(tmp_path, api__port=0)).level is Level.OK


def test_an_address_that_is_not_this_hosts(tmp_path: Path) -> None:
    assert service.api_port(subject(tmp_path, api__listen="192.0.2.77", api__port=free_port())).level is Level.ERROR


def test_a_service_that_is_ready_or_says_why_not(tmp_path: Path) -> None:
    assert service.readiness(subject(tmp_path, api__port=free_port())).level is Level.NOTE
    with serving({**OURS, "/readyz": (200, {"ready": True})}) as port:
        assert service.readiness(subject(tmp_path, api__port=port)).level is Level.OK
    with serving({**OURS, "/readyz": (503, {"ready": False, "reason": "waiting for libvirt"})}) as port:
        found = service.readiness(subject(tmp_path, api__port=port))
        assert found.level is Level.ERROR
        assert "waiting for libvirt" in found.found
    with serving({}) as port:
        assert service.readiness(subject(tmp_path, api__port=port)).level is Level.NOTE


def health(**reasons: str) -> tuple[int, Any]:
    checks = {name: {"ok": not reason, "reason": reason} for name, reason in reasons.items()}
    return (503 if any(reasons.values()) else 200), {"healthy": not any(reasons.values()), "checks": checks}


@pytest.mark.parametrize(
    ("answers", "level", "words"),
    [
        ({"/healthz": health(bus="", conductor="", hypervisor="")}, Level.OK, "bus, conductor, hypervisor"),
        ({"/healthz": health(bus="", hypervisor="gone")}, Level.ERROR, "not ready: hypervisor: gone."),
        ({}, Level.ERROR, "not a status port"),
    ],
)
def test_a_host_of_a_fleet_is_asked_at_its_status_port(
    answers: dict[str, tuple[int, Any]], level: Level, words: str, tmp_path: Path
) -> None:
    with serving(answers) as port:
        # The API's port is nobody's here: it must not be asked.
        asked = subject(tmp_path, status_listen=f"127.0.0.1:{port}", api__port=free_port())
        found = service.readiness(asked)
    assert (found.level, words in found.found) == (level, True), found


def test_a_status_port_that_is_not_there_or_not_one(tmp_path: Path) -> None:
    for nobody in (f"127.0.0.1:{free_port()}", str(tmp_path / "status")):
        assert service.readiness(subject(tmp_path, status_listen=nobody)).level is Level.NOTE
    with saying(b"SSH-2.0\r\n") as port:
        assert service.readiness(subject(tmp_path, status_listen=f":{port}")).level is Level.ERROR
    assert service.readiness(subject(tmp_path, status_listen="nonsense")).level is Level.ERROR


def test_a_status_port_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "HEALTH_S", 0.2)
    with saying(None) as port, holding(tmp_path):
        found = service.readiness(subject(tmp_path, status_listen=f"127.0.0.1:{port}"))
    assert (found.level, "hangs" in found.found) == (Level.ERROR, True)


@contextmanager
def holding(state: Path) -> Iterator[None]:
    """This process holds the state directory, as a running service does."""
    with prepare_state(state):
        yield


def test_a_service_that_hangs(tmp_path: Path) -> None:
    with saying(None) as port, holding(tmp_path):
        found = service.readiness(subject(tmp_path, api__port=port))
        assert (found.level, found.facts["pid"]) == (Level.ERROR, os.getpid())
        assert "hangs" in found.found
        assert service.api_port(subject(tmp_path, api__port=port)).level is Level.ERROR


def test_another_program_on_our_port_is_no_service_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "HEALTH_S", 0.2)
    (tmp_path / "lock").touch()  # of a service that has ended
    with saying(None) as port:
        assert service.api_port(subject(tmp_path, api__port=port)).level is Level.ERROR
        found = service.readiness(subject(tmp_path, api__port=port))
        assert (found.level, "another program" in found.found) == (Level.NOTE, True)
        found = service.readiness(subject(tmp_path, status_listen=f"127.0.0.1:{port}"))
        assert (found.level, "another program" in found.found) == (Level.ERROR, True)


def test_a_service_is_asked_where_it_really_listens(tmp_path: Path) -> None:
    """It was started with --listen; the files know another port, which is free or another program's."""
    ready = {**OURS, "/readyz": (503, {"ready": False, "reason": "waiting for libvirt"})}
    with serving(ready) as port, saying(b"SSH-2.0\r\n") as other, holding(tmp_path):
        for configured in (free_port(), other):
            host = subject(tmp_path, api__port=configured)
            found = service.api_port(host)
            assert (found.level, found.facts["running_at"]) == (Level.NOTE, f"127.0.0.1:{port}")
            assert "waiting for libvirt" in service.readiness(host).found


def test_a_service_that_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    with (tmp_path / "lock").open() as lock, subprocess.Popen(["sleep", "60"], stdin=lock) as process:
        try:
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            found = service.readiness(subject(tmp_path, api__port=free_port()))
        finally:
            process.kill()
    assert (found.level, found.cure) == (Level.ERROR, f"kill -CONT {process.pid}")


@pytest.mark.parametrize(
    ("facts", "level"),
    [
        (ClockFacts(True, 0.0, "boot"), Level.OK),
        (ClockFacts(False, 0.0, "boot"), Level.WARNING),
        (ClockFacts(None, 0.0, "boot"), Level.NOTE),
        (ClockFacts(True, 0.0, ""), Level.WARNING),
        (ClockFacts(True, 3600.0, "boot"), Level.ERROR),
    ],
)
def test_clocks(facts: ClockFacts, level: Level) -> None:
    assert service.judge_clock(facts).level is level


def test_a_clock_that_went_back(tmp_path: Path) -> None:
    path = tmp_path / "kilonova.db"
    path.touch()
    ahead = path.stat().st_mtime + 3600
    os.utime(path, (ahead, ahead))
    assert service.clock(subject(tmp_path)).level is Level.ERROR
    os.utime(path, (0, 0))
    assert "no boot id" in service.clock(subject(tmp_path, Places(proc=tmp_path))).found


def test_programs_that_are_not_installed(tmp_path: Path) -> None:
    assert service.programs(subject(tmp_path, compute_driver="fake.FakeDriver")).level is Level.OK
