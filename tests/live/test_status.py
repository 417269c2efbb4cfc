# SPDX-License-Identifier: Apache-2.0
"""The status port, SIGHUP, systemd's socket and SIGTERM, of real processes."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kilonova.doctor.finding import Level
from kilonova.doctor.service import readiness
from tests.live.box import GUEST_IMAGE, libvirt_box, private_libvirtd, wait_for
from tests.live.fleet import Fleet
from tests.live.fleet import fleet as running_fleet
from tests.unit.doctor.arranged import subject

pytestmark = pytest.mark.live


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running_fleet() as made:
        yield made


def ask(path: Path, page: str) -> httpx.Response:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://x", timeout=10) as client:
        return client.get(page)


def failing(path: Path) -> Any:
    reply = ask(path, "/healthz")
    assert (reply.status_code == 200) == (reply.json()["failing"] == [])
    return reply.json()["failing"]


def with_status(fleet: Fleet) -> tuple[Path, Path]:
    """Configurations of their own for compute and conductor; their status sockets."""
    paths: list[Path] = []
    for service, name in ((fleet.compute, "compute"), (fleet.conductor, "conductor")):
        path, config = fleet.directory / f"{name}.status", fleet.directory / f"{name}.conf"
        text = fleet.config.read_text().replace("[conductor]", f"status_listen = {path}\n[conductor]")
        config.write_text(text)
        service.words = ["--config-file", str(config)]
        paths.append(path)
    return paths[0], paths[1]


def test_what_fails_is_named_and_the_rest_is_not(fleet: Fleet) -> None:
    compute, conductor = with_status(fleet)
    fleet.conductor.start().ready()
    fleet.compute.start().ready()
    assert (failing(compute), failing(conductor)) == ([], [])
    metrics = ask(compute, "/metrics").text
    assert "kilonova_hypervisor_up 1.0" in metrics
    assert readiness(subject(fleet.state, status_listen=str(compute))).level is Level.OK
    wait_for(lambda: 'kilonova_periodic_seconds_count{task="heartbeat"}' in ask(compute, "/metrics").text)
    os.kill(fleet.conductor.pid, signal.SIGSTOP)
    assert failing(compute) == ["conductor"]
    looked = readiness(subject(fleet.state, status_listen=str(compute)))
    assert (looked.level, f"process {fleet.conductor.pid} is stopped" in looked.found) == (Level.ERROR, True)
    os.kill(fleet.conductor.pid, signal.SIGCONT)
    wait_for(lambda: failing(compute) == [])
    fleet.nats.stop()
    wait_for(lambda: failing(compute) == ["bus", "conductor"])
    assert failing(conductor) == ["bus"]


def test_sighup_takes_what_may_change_and_tells_the_conductor(fleet: Fleet) -> None:
    import sqlite3

    fleet.conductor.start().ready()
    fleet.compute.start().ready()

    def capacity() -> int:
        with sqlite3.connect(fleet.state / "kilonova.db") as db:
            found: int = db.execute("SELECT vcpus_capacity FROM compute_nodes").fetchone()[0]
        db.close()
        return found

    before = capacity()
    text = fleet.config.read_text()
    fleet.config.write_text(text.replace("report_interval", "cpu_allocation_ratio = 8\ndebug = true\nreport_interval"))
    os.kill(fleet.compute.pid, signal.SIGHUP)
    wait_for(lambda: capacity() == 2 * before, why=fleet.compute.said)
    fleet.config.write_text("cpu_allocation_ratio = much")
    os.kill(fleet.compute.pid, signal.SIGHUP)
    fleet.compute.wait_said("the configuration was not read again")
    assert capacity() == 2 * before


def test_systemd_hears_ready_signs_of_life_and_stopping(fleet: Fleet) -> None:
    """READY though no conductor is there yet; no sign of life from a process that stands still."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(fleet.directory / "notify"))
        end.settimeout(10)
        env = {"NOTIFY_SOCKET": str(fleet.directory / "notify"), "WATCHDOG_USEC": "600000"}
        fleet.compute.start(env=env)
        assert end.recv(200).startswith(b"READY=1\nSTATUS=waiting for the conductor")
        fleet.conductor.start().ready()
        heard: set[bytes] = set()
        while not {b"WATCHDOG=1", b"STATUS=serving"} <= heard:
            heard.add(end.recv(200))
        os.kill(fleet.compute.pid, signal.SIGSTOP)
        time.sleep(0.3)
        end.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while end.recv(200):
                pass  # what it had said before
        end.settimeout(1.5)
        with pytest.raises(TimeoutError):
            end.recv(200)
        os.kill(fleet.compute.pid, signal.SIGCONT)
        end.settimeout(10)
        os.kill(fleet.compute.pid, signal.SIGTERM)
        while end.recv(200) != b"STOPPING=1":
            pass
        assert fleet.compute.wait_dead() == 0


def test_figures_of_guests_and_an_end_though_libvirtd_is_frozen() -> None:
    with private_libvirtd() as daemon, libvirt_box(daemon) as box:
        status = daemon.directory.parent / "status"
        config = daemon.directory.parent / "kilonova.conf"
        config.write_text(f"[DEFAULT]\nstatus_listen = {status}\n")
        box.words += ("--config-file", str(config))
        box.start().ready()
        server_id = box.create(box.upload(GUEST_IMAGE))
        box.wait_status(server_id, "ACTIVE")
        assert failing(status) == []
        figures = dict(line.rsplit(" ", 1) for line in ask(status, "/metrics").text.splitlines() if line[0] != "#")
        of_guest = {name: float(figures[f'kilonova_guest_{name}{{instance="{server_id}"}}']) for name in FIGURES}
        assert of_guest["cpu_seconds"] > 0
        assert of_guest["memory_bytes"] >= 32 << 20
        assert of_guest["disk_bytes"] > 0
        assert figures['kilonova_actions_total{outcome="done",verb="create"}'] == "1.0"
        daemon.freeze()
        try:
            assert failing(status) == ["hypervisor"]
            assert box.http.delete(f"/compute/v2.1/servers/{server_id}").status_code == 204
            assert box.stop() == 0
        finally:
            daemon.thaw()
        box.start().ready()
        wait_for(lambda: box.server(server_id) is None, why=box.last_words)
        assert daemon.guests() == {}


FIGURES = ("cpu_seconds", "memory_bytes", "disk_bytes", "received_bytes", "sent_bytes")
