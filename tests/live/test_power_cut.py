# SPDX-License-Identifier: Apache-2.0
"""A machine loses its power: what was not synced is lost, and nothing that was accepted is."""

import hashlib
import os
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import httpx
import pytest

from kilonova.base.files import make_directory, publish, remove_files, rename_file, replace_file
from kilonova.objects.states import PowerState
from kilonova.virt.fake.durable import DIRECTORY, guests_in, lose_power
from lab import power
from lab.counting import cannot_run
from lab.power import PoweredDisk
from tests.crashes.view import differences
from tests.live.box import Box, CloudClient, wait_for

pytestmark = pytest.mark.live

SEEDS = (1, 2)
"""Each is one loss of power."""
CLIENTS = 4
BOOT_ID = "/proc/sys/kernel/random/boot_id"
CONFIG = "[DEFAULT]\ncompute_driver = fake.DurableFakeDriver\n[quota]\ninstances = -1\ncores = -1\nram = -1\n"


@pytest.fixture(scope="module", autouse=True)
def _can() -> None:
    if why := power.missing():
        cannot_run(f"no disk can lose its power here: {why}")


@contextmanager
def powered(mib: int) -> Generator[PoweredDisk]:
    """A disk with power, in this mount namespace."""
    with tempfile.TemporaryDirectory(prefix="kn-power-") as directory:
        disk = PoweredDisk(Path(directory) / "disk", mib)
        try:
            disk.mount()
            yield disk
        finally:
            disk.remove()


# -- files -------------------------------------------------------------------------------------------------------------


WORK: dict[str, tuple[Callable[[Path], object], Callable[[Path], bool]]] = {
    "make_directory": (lambda top: make_directory(top / "new/below"), lambda top: (top / "new/below").is_dir()),
    "replace_file": (
        lambda top: replace_file(top / "file", b"second", mode=0o640),
        lambda top: ((top / "file").read_bytes(), (top / "file").stat().st_mode & 0o777) == (b"second", 0o640),
    ),
    "publish": (
        lambda top: (top / "file").write_bytes(b"other") and publish(top / "file", top / "other"),
        lambda top: (top / "other").read_bytes() == b"other",
    ),
    "rename_file": (lambda top: rename_file(top / "file", top / "other"), lambda top: not (top / "file").exists()),
    "remove_files": (lambda top: remove_files([top / "file", top / "none"]), lambda top: not (top / "file").exists()),
    "nothing": (lambda top: (top / "file").write_bytes(b"x"), lambda top: (top / "file").read_bytes() != b"x"),
}
"""What is done before the loss, and whether it is so afterwards; the last one is not synced, and lost."""


@pytest.mark.parametrize("name", WORK)
def test_what_a_function_has_done_is_so_after_a_loss_of_power(name: str) -> None:
    do, holds = WORK[name]

    def work() -> bool:
        with powered(8) as disk:
            (disk.directory / "file").write_bytes(b"first")
            disk.sync()
            do(disk.directory)
            disk.lose_power()
            disk.unmount()
            disk.mount()
            return holds(disk.directory)

    assert power.apart(work)


# -- the one box -------------------------------------------------------------------------------------------------------


@dataclass
class Client:
    """Sends requests until none is answered.  `accepted`: the requests by their id, with verb and server; `images`: the
    digest of each image whose upload was answered."""

    box: Box
    random: Random
    image: str
    accepted: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    images: dict[str, str] = field(default_factory=dict[str, str])
    servers: list[str] = field(default_factory=list[str])

    def run(self, stop: threading.Event) -> None:
        with CloudClient(self.box.port).http as self.http:
            self.http.headers = self.box.http.headers
            while not stop.is_set():
                try:
                    self._one()
                except httpx.HTTPError:
                    return

    def _one(self) -> None:
        roll = self.random.random()
        if roll < 0.2:
            self._upload()
        elif not self.servers or roll < 0.5:
            server = {"name": "s", "imageRef": self.image, "flavorRef": "1", "networks": "auto"}
            self._send("create", "", "POST", "", {"server": server})
        elif roll < 0.65:
            self._send("delete", self.servers.pop(0), "DELETE", "")
        else:
            verb = self.random.choice(("os-stop", "os-start", "reboot"))
            body = {verb: {"type": "HARD"} if verb == "reboot" else None}
            self._send(verb, self.random.choice(self.servers), "POST", "/action", body)

    def _send(self, verb: str, server: str, method: str, more: str, body: object = None) -> None:
        path = f"/compute/v2.1/servers{'/' if server else ''}{server}{more}"
        reply = self.http.request(method, path, json=body)
        if reply.is_success:
            server = server or reply.json()["server"]["id"]
            self.accepted[reply.headers["x-openstack-request-id"]] = (verb, server)
            if verb == "create":
                self.servers.append(server)

    def _upload(self) -> None:
        data = self.random.randbytes(self.random.randint(1, 300_000))
        body = {"name": "i", "disk_format": "raw", "container_format": "bare"}
        made = self.http.post("/image/v2/images", json=body)
        if made.is_success:
            path = f"/image/v2/images/{made.json()['id']}"
            headers = {"Content-Type": "application/octet-stream"}
            if self.http.put(f"{path}/file", content=data, headers=headers).is_success:
                self.images[path] = hashlib.sha256(data).hexdigest()


def _load_until_the_power_is_lost(box: Box, disk: PoweredDisk, random: Random, image: str) -> list[Client]:
    clients = [Client(box, Random(random.random()), image) for _ in range(CLIENTS)]
    stop = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        ends = [pool.submit(one.run, stop) for one in clients]
        time.sleep(random.uniform(0.3, 1.2))
        assert box.process is not None
        power.stand_still([box.process.pid])
        disk.lose_power()
        box.kill()
        stop.set()
    for end in ends:
        end.result()
    disk.unmount()
    return clients


def _boot(box: Box, disk: PoweredDisk, boot_id: Path, number: int) -> None:
    disk.mount()
    lose_power(box.state / DIRECTORY)
    boot_id.write_text(f"boot-{number}\n")
    box.start().ready()


def _rows(box: Box, query: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(f"file:{box.state}/kilonova.db?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()


def _nothing_is_lost(box: Box, clients: list[Client]) -> None:
    wait_for(lambda: not _rows(box, "SELECT 1 FROM actions WHERE state = 'open'"), why=box.last_words)
    recorded = {row[0] for row in _rows(box, "SELECT request_id FROM actions")}
    deleted = {row[0] for row in _rows(box, "SELECT id FROM instances WHERE deleted_at IS NOT NULL")}
    for client in clients:
        for request_id, (verb, server) in client.accepted.items():
            assert request_id in recorded, f"the accepted {verb} of {server} is not recorded"
            assert verb != "delete" or server in deleted, f"{server} is not deleted"
        for path, digest in client.images.items():
            assert box.http.get(path).json()["status"] == "active"
            assert hashlib.sha256(box.http.get(f"{path}/file").content).hexdigest() == digest, path


def _guests_are_those_of_servers(box: Box) -> None:
    wanted = {
        (row[0], row[1] == "active")
        for row in _rows(box, "SELECT id, vm_state FROM instances WHERE deleted_at IS NULL")
    }
    guests = guests_in(box.state / DIRECTORY)
    assert wanted == {(id_, guest.power is PowerState.RUNNING) for id_, guest in guests.items()}
    wait_for(lambda: not differences(box.http), why=lambda: str(differences(box.http)))


def _lives(directory: Path) -> None:
    boot_id, config = directory / "boot_id", directory / "nova.conf"
    boot_id.write_text("boot-0\n")
    config.write_text(CONFIG)
    subprocess.run(["mount", "--bind", str(boot_id), BOOT_ID], check=True, timeout=30)
    with powered(512) as disk:
        box = Box(disk.directory, "--config-file", str(config))
        box.log = directory / "log"
        try:
            box.start().ready()
            file = directory / "image"
            file.write_bytes(os.urandom(65536))
            image = box.upload(file, "raw")
            clients: list[Client] = []
            for seed in SEEDS:
                clients += _load_until_the_power_is_lost(box, disk, Random(seed), image)
                _boot(box, disk, boot_id, seed)
                _nothing_is_lost(box, clients)
                _guests_are_those_of_servers(box)
            verbs = {verb for client in clients for verb, _ in client.accepted.values()}
            assert verbs >= {"create", "delete", "os-stop"}
            assert any(client.images for client in clients)
        finally:
            box.close()


def test_the_one_box_loses_nothing_that_it_has_accepted(tmp_path: Path) -> None:
    power.apart(partial(_lives, tmp_path))
