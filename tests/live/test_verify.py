# SPDX-License-Identifier: Apache-2.0
"""`kilonova verify` on a real box: damage of every kind is planted at once, found without a change, and repaired where
its kind has a repair; what is not ours is left alone."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kilonova.objects.difference import KINDS
from lab.daemon import Daemon
from tests.live.box import Box, virsh, wait_for

pytestmark = pytest.mark.live

LONG_AGO = 1_000_000_000
FOREIGN = "99999999-9999-4999-8999-999999999999"
UNKNOWN, UNKNOWN_FILES, UNKNOWN_RECORD = (str(uuid.UUID(int=number, version=4)) for number in (1, 2, 3))
RAW = bytes(1 << 20)
Key = tuple[str, str]


def verify(clouds: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """The exit status and the report."""
    argv = [sys.executable, "-m", "kilonova", "verify", "--json", "--clouds-file", str(clouds), *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=180, check=False, stdin=subprocess.DEVNULL)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def keys(report: dict[str, Any]) -> set[Key]:
    return {(one["code"], one["subject"]) for one in report["differences"]}


@dataclass
class Servers:
    """Servers of the box, by what is done to them."""

    lost: str
    changed: str
    deleted: str
    moved: str
    without_disk: str
    broken: str
    raw: str
    gone: str


class Damage:
    """Plants it, and knows the difference that each plant makes."""

    def __init__(self, box: Box, daemon: Daemon, image_id: str) -> None:
        self.box, self.daemon, self.image_id = box, daemon, image_id
        self.instances, self.images = box.state / "instances", box.state / "images"
        names = ("lost", "changed", "deleted", "moved", "without_disk", "broken", "gone")
        ids = {name: box.create(image_id, name) for name in names}
        raw = box.state.parent / "raw"
        raw.write_bytes(RAW + b"raw")
        self.raw_image = box.upload(raw, "raw")
        self.servers = Servers(**ids, raw=box.create(self.raw_image, "raw"))
        for server_id in (*ids.values(), self.servers.raw):
            box.wait_status(server_id, "ACTIVE")
        box.delete(self.servers.gone)
        self.project = box.http.get("/compute/v2.1/servers/detail").json()["servers"][0]["tenant_id"]

    def sql(self, statement: str, *values: Any) -> None:
        with closing(sqlite3.connect(self.box.state / "kilonova.db", timeout=30)) as db, db:
            assert db.execute(statement, values).rowcount, statement

    def address(self, server_id: str) -> list[dict[str, str]]:
        with closing(sqlite3.connect(self.box.state / "kilonova.db", timeout=30)) as db:
            (found,) = db.execute("SELECT addresses FROM instances WHERE id = ?", (server_id,)).fetchone()
        return json.loads(found)

    def plant_everything(self) -> set[Key]:
        """Returns what must be found."""
        return {
            *self.in_the_database(),
            *self.guests(),
            *self.files_of_guests(),
            *self.cached_images(),
            *self.image_store(),
        }

    def in_the_database(self) -> set[Key]:
        host = self.box.node()["service"]["host"]
        kept = self.address(self.servers.without_disk)
        self.sql("UPDATE quota_usages SET instances = instances + 7, cores = cores - 1")
        self.sql("INSERT INTO quota_usages VALUES ('p-gone', 2, 2, 256)")
        self.sql("UPDATE compute_nodes SET vcpus_used = vcpus_used + 3, memory_mib_used = memory_mib_used - 64")
        self.sql("DELETE FROM addresses WHERE instance_id = ?", self.servers.without_disk)
        self.sql("INSERT INTO addresses VALUES (?, 'old', 4711, ?)", host, self.servers.gone)
        self.sql("UPDATE instances SET task_state = 'rebooting' WHERE id = ?", self.servers.without_disk)
        gone = "UPDATE instances SET deleted_at = updated_at, vm_state = 'deleted', power_state = 0 WHERE id = ?"
        self.sql(gone, self.servers.deleted)
        self.sql("UPDATE instances SET host = 'h9' WHERE id = ?", self.servers.moved)
        values = [value for one in kept for value in (one["address"], one["floating"]) if value]
        of_deleted = [
            value for one in self.address(self.servers.deleted) for value in (one["address"], one["floating"])
        ]
        return {
            ("quota-usage", self.project),
            ("quota-usage", "p-gone"),
            ("claim", host),
            *(("address-missing", f"{self.servers.without_disk} {value}") for value in values),
            ("address-kept", f"{self.servers.gone} 0.0.18.103"),
            *(("address-kept", f"{self.servers.deleted} {value}") for value in of_deleted if value),
            ("task-kept", self.servers.without_disk),
            ("host-unknown", self.servers.moved),
        }

    def guests(self) -> set[Key]:
        lost, changed = self.servers.lost, self.servers.changed
        document = virsh(self.daemon, "dumpxml", "--inactive", lost)
        name = virsh(self.daemon, "domname", lost).strip()
        unknown = document.replace(lost, UNKNOWN).replace(f"<name>{name}<", "<name>unknown<")
        self.define(re.sub(r"<mac address=[^>]*>", "", unknown))
        foreign = re.sub(r"<metadata>.*</metadata>", "", document, flags=re.DOTALL)
        foreign = foreign.replace(lost, FOREIGN).replace(f"<name>{name}<", "<name>foreign<")
        self.define(re.sub(r"<mac address=[^>]*>", "", foreign))
        virsh(self.daemon, "destroy", lost)
        self.box.wait_status(lost, "SHUTOFF")
        virsh(self.daemon, "undefine", lost)
        self.sql("UPDATE instances SET vm_state = 'active', power_state = 0, desired_power = 1 WHERE id = ?", lost)
        self.sql("UPDATE instances SET power_state = 4 WHERE id = ?", changed)
        return {
            ("guest-missing", lost),
            ("guest-power", changed),
            ("guest-deleted", self.servers.deleted),
            ("guest-elsewhere", self.servers.moved),
            ("guest-unknown", UNKNOWN),
        }

    def define(self, document: str) -> None:
        file = self.box.state.parent / "domain.xml"
        file.write_text(document)
        virsh(self.daemon, "define", str(file))

    def files_of_guests(self) -> set[Key]:
        changed, broken = self.instances / self.servers.changed, self.instances / self.servers.broken
        for name in (self.servers.gone, UNKNOWN_FILES):
            (self.instances / name).mkdir()
            (self.instances / name / "disk").write_bytes(b"left")
        for name in ("disk.unfinished", "snapshot-x", "disk.rescue"):
            (changed / name).touch()
        (changed / "disk.config").unlink()
        (self.instances / self.servers.without_disk / "disk").unlink()
        with (broken / "disk").open("r+b") as disk:
            disk.write(b"not qcow2")
        (self.box.state / "chains" / f"{UNKNOWN_RECORD}.json").write_text("{}")
        return {
            ("files-deleted", self.servers.gone),
            ("files-unknown", UNKNOWN_FILES),
            ("file-unfinished", f"{self.servers.changed}/disk.unfinished"),
            ("file-unfinished", f"{self.servers.changed}/snapshot-x"),
            ("file-kept", f"{self.servers.changed}/disk.rescue"),
            ("config-drive-missing", self.servers.changed),
            ("disk-missing", self.servers.without_disk),
            ("disk-unusable", self.servers.broken),
            ("record-kept", UNKNOWN_RECORD),
        }

    def cached_images(self) -> set[Key]:
        cache = self.instances / "_base"
        (of_raw,) = (path for path in cache.iterdir() if path.suffix == ".raw")
        (base,) = (path for path in cache.iterdir() if path.suffix == ".qcow2")
        of_raw.unlink()
        spoil(base)
        part = f".{base.name}.{FOREIGN}"
        (cache / part).touch()
        return {("base-missing", of_raw.name), ("base-damaged", base.name), ("cache-unfinished", part)}

    def image_store(self) -> set[Key]:
        file = self.box.state.parent / "raw"
        missing, short, damaged = (self.box.upload(file, "raw") for _ in range(3))
        (self.images / missing).unlink()
        os.truncate(self.images / short, 5)
        spoil(self.images / damaged)
        unknown, part = self.images / FOREIGN, self.images / f".{FOREIGN}.dead.1.part"
        for path in (unknown, part):
            path.write_bytes(b"left")
            os.utime(path, (LONG_AGO, LONG_AGO))
        return {
            ("image-missing", missing),
            ("image-size", short),
            ("image-damaged", damaged),
            ("image-unknown", FOREIGN),
            ("upload-unfinished", part.name),
        }


def spoil(path: Path) -> None:
    """One byte of the file is another one."""
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        (last,) = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))


NOT_HERE = {
    "files-elsewhere",
    "network-missing",
    "reservation-kept",
    "reservation-missing",
    "image-without-copy",
    "address-double",
}
"""Kinds that this box cannot have, or not beside the others: see the unit tests."""


def test_planted_damage_is_found_and_repaired(box: Box, daemon: Daemon, image_id: str) -> None:
    damage = Damage(box, daemon, image_id)
    clean = verify(box.clouds, "--checksums")
    assert clean == (0, {"parts": 3, "differences": [], "unseen": [], "count": 0})
    planted = damage.plant_everything()
    assert {code for code, _ in planted} == KINDS.keys() - NOT_HERE
    assert len({code for code, _ in planted}) >= 20

    for _ in range(2):  # a look changes nothing
        status, report = verify(box.clouds, "--checksums")
        assert (status, keys(report), report["unseen"]) == (1, planted, [])
    by_hand = {(one["code"], one["subject"]) for one in report["differences"] if not one["repair"]}
    assert all(one["repair"] or one["by_hand"] for one in report["differences"])

    status, report = verify(box.clouds, "--checksums", "--repair", "--pause", "1")
    assert (status, report["unseen"]) == (1, [])
    left = wait_for(lambda: only(keys(verify(box.clouds, "--checksums")[1]), by_hand), why=box.last_words)
    assert left == by_hand

    domains = set(virsh(daemon, "list", "--all", "--uuid").split())
    servers = damage.servers
    assert {FOREIGN, UNKNOWN, servers.moved, servers.lost} <= domains
    assert servers.deleted not in domains
    assert box.wait_status(servers.lost, "ACTIVE")["OS-EXT-STS:power_state"] == 1
    assert (damage.instances / UNKNOWN_FILES).exists()
    assert not (damage.instances / servers.gone).exists()
    assert not (damage.instances / servers.deleted).exists()


def only(found: set[Key], wanted: set[Key]) -> set[Key] | None:
    return found if found == wanted else None


def test_a_frozen_hypervisor_is_not_compared_and_delays_no_other_part(box: Box, daemon: Daemon) -> None:
    daemon.freeze()
    try:
        status, report = verify(box.clouds)
    finally:
        daemon.thaw()
    assert (status, report["parts"]) == (2, 3)
    (why,) = report["unseen"]
    assert "could not be compared" in why
    assert {one["code"] for one in report["differences"]} & {"task-kept", "image-missing"}, "the others were compared"
