# SPDX-License-Identifier: Apache-2.0
"""Guests' processes and disks, what is left of guests, images' bytes: real files, records and processes."""

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.db import schema
from kilonova.db.codec import ACTIONS, IMAGES, INSTANCES
from kilonova.db.migrate import ensure_schema
from kilonova.doctor import guests, images
from kilonova.doctor.examine import broke
from kilonova.doctor.finding import Level
from kilonova.doctor.subject import Subject
from kilonova.objects.action import Action
from kilonova.objects.action_params import DeleteParams
from kilonova.objects.ids import ActionId, HostName, ImageId, InstanceId
from kilonova.objects.image import Image, ImageStatus
from kilonova.objects.leg import one_leg
from kilonova.objects.states import TaskState, Verb, VmState
from kilonova.virt.libvirt.disks.chains import Records
from kilonova.virt.libvirt.host.survey import MarkedDomain
from kilonova.virt.libvirt.xml.layer import Layer
from tests.make import NOW, instance
from tests.unit.doctor.arranged import subject
from tests.unit.doctor.test_hypervisor import GOOD

GUEST = InstanceId("11111111-1111-4111-8111-111111111111")
OTHER = "99999999-9999-4999-8999-999999999999"
IMAGE = ImageId("22222222-2222-4222-8222-222222222222")


def host_of(state: Path) -> Subject:
    return subject(state, host="h1")


def insert(state: Path, table: sa.Table, values: dict[str, Any]) -> None:
    ensure_schema(state / "kilonova.db")
    engine = sa.create_engine(f"sqlite:///{state}/kilonova.db")
    with engine.begin() as connection:
        connection.execute(table.insert().values(values))
    engine.dispose()


def qcow2(path: Path, backing: str = "") -> None:
    """A head that names `backing`."""
    name = backing.encode()
    head = struct.pack(">4sIQIIQ", b"QFI\xfb", 2, 72 if name else 0, len(name), 16, 1 << 20)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head.ljust(72, b"\0") + name)


def with_guest(state: Path, **changes: Any) -> tuple[Path, Path]:
    """A guest with its record, its disk and what that lies on; the two files."""
    deleted = {"deleted_at": changes.pop("deleted_at", None)}
    values = {"vm_state": VmState.ACTIVE, "task_state": None, "host": HostName("h1"), **changes}
    insert(state, schema.instances, INSTANCES.dump(instance(GUEST, **values)) | deleted)
    base, disk = state / "instances" / "_base" / "image.raw", state / "instances" / GUEST / "disk"
    qcow2(disk, str(base))
    base.parent.mkdir(exist_ok=True)
    base.touch()
    Records(state / "chains").expect(GUEST, "disk", [Layer(str(base), "raw")])
    return disk, base


def marked(state: Path, guest: str = GUEST, *more: str) -> MarkedDomain:
    return MarkedDomain(guest, f"kilonova-{guest}", (str(state / "instances" / guest / "disk"), *more))


def test_all_is_there(tmp_path: Path) -> None:
    with_guest(tmp_path)
    host, survey = host_of(tmp_path), replace(GOOD, marked=(marked(tmp_path),))
    assert guests.disks(host, survey).level is Level.OK
    assert guests.disks_by_record(host).level is Level.OK
    assert guests.orphan_domains(host, survey).level is Level.OK
    assert guests.orphan_directories(host).level is Level.OK
    assert guests.processes(host).level is Level.OK


@pytest.mark.parametrize("lost", ["disk", "base"])
def test_a_file_of_a_disk_is_gone(tmp_path: Path, lost: str) -> None:
    disk, base = with_guest(tmp_path)
    (disk if lost == "disk" else base).unlink()
    found = guests.disks_by_record(host_of(tmp_path))
    assert (found.level, GUEST in found.found) == (Level.ERROR, True)
    assert found.facts["files"] == [str(disk if lost == "disk" else base)]


def test_a_file_that_only_libvirt_knows_of_is_gone(tmp_path: Path) -> None:
    with_guest(tmp_path)
    snapshot = str(tmp_path / "instances" / GUEST / "disk.s1")
    elsewhere = "/nowhere/disk"  # not ours to judge
    found = guests.disks(host_of(tmp_path), replace(GOOD, marked=(marked(tmp_path, GUEST, snapshot, elsewhere),)))
    assert (found.level, found.facts["files"]) == (Level.ERROR, [snapshot])


def test_a_base_of_before_there_were_records_is_looked_for_in_the_cache_alone(tmp_path: Path) -> None:
    disk, base = with_guest(tmp_path)
    Records(tmp_path / "chains").forget(GUEST)
    assert guests.disks_by_record(host_of(tmp_path)).level is Level.OK
    base.unlink()
    assert guests.disks_by_record(host_of(tmp_path)).facts["files"] == [str(base)]
    qcow2(disk, str(tmp_path / "token.key"))
    assert "names a backing file that is not in the record" in guests.disks_by_record(host_of(tmp_path)).found


def test_a_header_that_a_guest_wrote_is_not_followed(tmp_path: Path) -> None:
    disk, _ = with_guest(tmp_path)
    qcow2(disk, "/etc/passwd")
    assert "names a backing file that is not in the record" in guests.disks_by_record(host_of(tmp_path)).found
    disk.unlink()
    disk.symlink_to("/etc/passwd")
    assert "cannot be used" in guests.disks_by_record(host_of(tmp_path)).found
    disk.unlink()
    disk.write_bytes(b"no head")
    assert "cannot be used" in guests.disks_by_record(host_of(tmp_path)).found


@pytest.mark.parametrize(
    "changes",
    [
        {"task_state": TaskState.REBUILDING},
        {"host": HostName("another")},
        {"vm_state": VmState.SHELVED_OFFLOADED},
        {"vm_state": VmState.BUILDING},
    ],
)
def test_guests_that_need_no_disk_here_now(tmp_path: Path, changes: dict[str, Any]) -> None:
    disk, base = with_guest(tmp_path, **changes)
    disk.unlink()
    base.unlink()
    assert guests.disks_by_record(host_of(tmp_path)).level is Level.OK


def test_domains_that_are_no_instances(tmp_path: Path) -> None:
    with_guest(tmp_path)
    survey = replace(GOOD, marked=(marked(tmp_path), marked(tmp_path, OTHER)))
    assert guests.disks(host_of(tmp_path), survey).level is Level.OK  # what an orphan lacks is missed by nobody
    found = guests.orphan_domains(host_of(tmp_path), survey)
    assert (found.level, found.facts["domains"]) == (Level.WARNING, {OTHER: f"kilonova-{OTHER}"})
    theirs = replace(GOOD, marked=(marked(tmp_path / "box2", OTHER),))  # of another Kilonova on this libvirt
    assert guests.orphan_domains(host_of(tmp_path), theirs).level is Level.NOTE


def test_directories_that_are_no_instances(tmp_path: Path) -> None:
    with_guest(tmp_path)
    (tmp_path / "instances" / OTHER).mkdir()
    (tmp_path / "instances" / "lost+found").mkdir()
    found = guests.orphan_directories(host_of(tmp_path))
    assert (found.level, found.facts["paths"]) == (Level.WARNING, [str(tmp_path / "instances" / OTHER)])


def test_a_delete_that_waits_for_its_host_leaves_no_orphan(tmp_path: Path) -> None:
    with_guest(tmp_path, deleted_at=NOW)
    host, survey = host_of(tmp_path), replace(GOOD, marked=(marked(tmp_path),))
    assert guests.orphan_directories(host).level is Level.WARNING
    assert guests.orphan_domains(host, survey).level is Level.WARNING
    legs = one_leg(HostName("h1"), Verb.DELETE)
    action = Action(ActionId("a1"), GUEST, Verb.DELETE, "req-1", "u1", "p1", NOW, NOW, NOW, legs, params=DeleteParams())
    insert(tmp_path, schema.actions, ACTIONS.dump(action) | {"host": "h1"})
    assert guests.orphan_directories(host).level is Level.OK
    assert guests.orphan_domains(host, survey).level is Level.OK


def test_a_host_without_records_is_not_judged_by_them(tmp_path: Path) -> None:
    (tmp_path / "instances" / OTHER).mkdir(parents=True)
    host, survey = host_of(tmp_path), replace(GOOD, marked=(marked(tmp_path, OTHER),))
    assert guests.orphan_directories(host).level is Level.NOTE
    assert guests.orphan_domains(host, survey).level is Level.NOTE
    assert images.stored_bytes(host).level is Level.NOTE
    assert guests.disks(host, survey).level is Level.ERROR  # libvirt's word holds


def test_records_that_cannot_be_read_are_the_databases_finding(tmp_path: Path) -> None:
    (tmp_path / "kilonova.db").write_bytes(b"nonsense" * 1000)
    with pytest.raises(Exception, match="not a database") as raised:
        guests.orphan_directories(host_of(tmp_path))
    assert broke("orphan-directories", raised.value).level is Level.NOTE


def test_a_trouble_that_passes_is_none() -> None:
    looks = iter(({"a": "gone", "b": "gone"}, {"b": "gone", "c": "gone"}))
    assert guests.twice(lambda: next(looks)) == {"b": "gone"}
    assert guests.twice(dict) == {}


@contextmanager
def qemu(uuid: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose arguments are those of the guest's QEMU."""
    argv = ["qemu-system-x86_64", "-c", "import time; print(flush=True); time.sleep(60)", "-uuid", uuid]
    with subprocess.Popen(argv, executable=sys.executable, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # it is that program by now
            yield process
        finally:
            process.kill()


def test_a_qemu_that_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "instances" / GUEST).mkdir(parents=True)
    host = host_of(tmp_path)
    with qemu(GUEST) as process, qemu(OTHER) as theirs:
        assert guests.processes(host).facts["running"] == 1
        for one in (theirs, process):
            assert guests.processes(host).level is Level.OK
            one.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, one.pid, os.WSTOPPED | os.WNOWAIT)
        found = guests.processes(host)
    assert (found.level, found.cure) == (Level.ERROR, f"kill -CONT {process.pid}")


def test_images_without_their_bytes(tmp_path: Path) -> None:
    image = Image(IMAGE, "i", ImageStatus.ACTIVE, "p1", "private", "raw", "bare", NOW, NOW, size=5)
    insert(tmp_path, schema.images, IMAGES.dump(image))
    insert(
        tmp_path, schema.images, IMAGES.dump(replace(image, id=ImageId(OTHER), status=ImageStatus.QUEUED, size=None))
    )
    host, stored = host_of(tmp_path), tmp_path / "images" / IMAGE
    assert images.stored_bytes(host).facts["images"] == {IMAGE: "is missing"}
    stored.parent.mkdir()
    stored.write_bytes(b"1234")
    assert images.stored_bytes(host).facts["images"] == {IMAGE: "has 4 bytes instead of 5"}
    stored.write_bytes(b"12345")
    assert images.stored_bytes(host).level is Level.OK
