# SPDX-License-Identifier: Apache-2.0
"""Failures around the service: another process holds the database's lock, the log cannot be written."""

import http.client
import json
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

from bench.box import FLAVOR, Box
from bench.run import Bench
from bench.web import Web
from faults.lab import SERVERS, wait_for
from faults.table import Row, Samples

CALLERS = 8
PATIENCE_S = 20.0
"""The timeout of a call to the conductor: after it, an answer is due."""


def database_locked(bench: Bench) -> Row:
    """Creates while another process holds SQLite's lock, for less and for more than the longest wait of the service."""
    row = Row(
        "database locked",
        f"`BEGIN IMMEDIATE` by another connection, held while {CALLERS} clients create a server each; then each client "
        "that was not accepted sends its request again under the same Idempotency-Key.",
    )
    with Box(bench.directory()) as box:
        image = box.small_image()
        for held_s in (2, 24, 34)[: bench.n(3, 1)]:
            _creates_under_a_lock(row, box, image, held_s)
    return row


def _creates_under_a_lock(row: Row, box: Box, image: str, held_s: int) -> None:
    answers: list[tuple[int, float]] = [(0, 0.0)] * CALLERS

    def create(number: int) -> None:
        begun = time.monotonic()
        status, _ = _post(box, image, f"held-{held_s}-{number}")
        answers[number] = status, time.monotonic() - begun

    before = len(box.server_ids())
    with _lock(box.state / "kilonova.db"):
        begun = time.monotonic()
        clients = [Thread(target=create, args=(number,)) for number in range(CALLERS)]
        for client in clients:
            client.start()
        reads = _reads(box.port, box.token, begun + held_s)
    for client in clients:
        client.join()
    time.sleep(2)
    made = len(box.server_ids()) - before
    statuses = [status for status, _ in answers]
    accepted, unknown = statuses.count(202), statuses.count(504)
    what = f"lock held for {held_s} s"
    strange = [status for status in statuses if status not in (202, 503, 504)]
    row.none(f"{what}: answers that are neither accepted, nor refused, nor unknown", len(strange))
    row.true(
        f"{what}: no server of a refused create", accepted <= made <= accepted + unknown, f"{statuses}, {made} made"
    )
    row.most(f"{what}: slowest answer", max(took for _, took in answers), PATIENCE_S + 5, "s")
    row.most(f"{what}: slowest read meanwhile", max(reads), 1.0, "s")
    for number in range(CALLERS):
        _post(box, image, f"held-{held_s}-{number}")
    row.none(
        f"{what}: servers too many or too few after a repeat of each", abs(len(box.server_ids()) - before - CALLERS)
    )
    row.series.append(Samples(f"{what}: answers to creates", "s", [took for _, took in answers]))


@contextmanager
def _lock(path: Path) -> Generator[None]:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def _reads(port: int, token: str, until: float) -> list[float]:
    web, found = Web(port, token), [0.0]
    while time.monotonic() < until:
        begun = time.monotonic()
        web.expect(200, "GET", SERVERS)
        found.append(time.monotonic() - begun)
        time.sleep(0.1)
    web.close()
    return found


def _post(box: Box, image: str, key: str) -> tuple[int, Any]:
    """A create under a key."""
    body = {"server": {"name": key, "imageRef": image, "flavorRef": FLAVOR, "networks": "none"}}
    headers = {
        "X-Auth-Token": box.token,
        "OpenStack-API-Version": "compute 2.90",
        "Content-Type": "application/json",
        "Idempotency-Key": key,
    }
    with closing(http.client.HTTPConnection("127.0.0.1", box.port, timeout=60)) as link:
        link.request("POST", SERVERS, json.dumps(body), headers)
        reply = link.getresponse()
        return reply.status, json.loads(reply.read())


def log_unwritable(bench: Bench) -> Row:
    """A box whose output is /dev/full, from its start to its end."""
    row = Row(
        "log unwritable", "Standard output and standard error are /dev/full; servers are made and read meanwhile."
    )
    directory = bench.directory()
    directory.mkdir(mode=0o711, parents=True, exist_ok=True)
    status = directory / "status"
    (directory / "up.log").symlink_to("/dev/full")
    with Box(directory, config=f"[DEFAULT]\nstatus_listen = {status}\n") as box:
        image, count = box.small_image(), bench.n(50, 3)
        bad = 0
        for number in range(count):
            made, body = _post(box, image, f"s{number}")
            bad += made != 202
            server = body["server"]["id"]
            with suppress(ProcessLookupError):
                os.kill(box.process.pid, signal.SIGHUP)  # it reports that it has read its configuration again
            wait_for(lambda one=server: _is_active(box, one), 30, "ACTIVE")
            bad += box.web("GET", f"{SERVERS}/detail").status != 200
            box.web("DELETE", f"{SERVERS}/{server}")
        dropped = _dropped(status)
        alive = box.process.poll() is None
    row.none("requests that failed", bad)
    row.true("the process goes on", alive)
    row.true("what was dropped is counted", dropped > 0, f"{dropped:g} lines")
    row.true("it ends in order", box.process.returncode == 0, f"status {box.process.returncode}")
    return row


def _is_active(box: Box, server: str) -> bool:
    return box.web("GET", f"{SERVERS}/{server}").json()["server"]["status"] == "ACTIVE"


def _dropped(status: Path) -> float:
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(str(status))
        end.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        text = b"".join(iter(lambda: end.recv(65536), b"")).decode()
    lines = [line for line in text.splitlines() if line.startswith("kilonova_log_lines_dropped_total ")]
    return float(lines[0].split()[1]) if lines else 0.0
