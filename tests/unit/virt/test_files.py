# SPDX-License-Identifier: Apache-2.0
"""A guest's files: disks, config drive, console log."""

import asyncio
import os
import shutil
from pathlib import Path

import pycdlib
import pytest

from kilonova.base.errors import HypervisorError, HypervisorUnavailable
from kilonova.base.threads import InlineWorkers
from kilonova.objects.ids import InstanceId
from kilonova.virt.base_image import BaseImage
from kilonova.virt.libvirt.disks import config_drive, disks
from kilonova.virt.libvirt.disks.disks import Disks
from kilonova.virt.libvirt.disks.resizing import KeptDisks
from lab.counting import cannot_run

GUEST = InstanceId("5f0e3b2a-7d0c-4f57-9f3b-0a2f6f1d9c11")
FILES = {
    "openstack/latest/meta_data.json": b'{"uuid": "x"}',
    "openstack/latest/user_data": bytes(range(256)) * 40,
    "openstack/2018-08-27/network_data.json": b"{}",
    "empty": b"",
}


def in_directory(path: Path) -> Disks:
    return Disks(path / "instances", "qemu:///session", InlineWorkers(), path / "chains")


@pytest.fixture
def qemu_img() -> None:
    if shutil.which("qemu-img") is None:
        cannot_run("qemu-img is not installed")


def test_a_config_drive_holds_exactly_the_files(tmp_path: Path) -> None:
    path = tmp_path / "iso"
    path.write_bytes(config_drive.build(FILES))
    assert config_drive.contents(path) == FILES
    iso = pycdlib.PyCdlib()
    iso.open(str(path))
    try:
        assert iso.pvd.volume_identifier.rstrip() == b"config-2"
        names = {f"{folder}/{name}".lstrip("/") for folder, _, here in iso.walk(rr_path="/") for name in here}
        assert names == set(FILES)
    finally:
        iso.close()


def test_the_label_is_where_a_guest_looks_for_it() -> None:
    image = config_drive.build({})
    assert image[32768 + 1 : 32768 + 6] == b"CD001"
    assert image[32768 + 40 : 32768 + 72].rstrip() == b"config-2"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "n" * 300])
def test_a_name_that_cannot_be_in_a_config_drive_is_refused(name: str) -> None:
    with pytest.raises(HypervisorError):
        config_drive.build({name: b""})


def test_what_is_no_image_has_no_contents(tmp_path: Path) -> None:
    assert config_drive.contents(tmp_path / "none") is None
    (tmp_path / "torn").write_bytes(config_drive.build(FILES)[:40000])
    assert config_drive.contents(tmp_path / "torn") != FILES
    (tmp_path / "other").write_bytes(b"x" * 100000)
    assert config_drive.contents(tmp_path / "other") is None


@pytest.mark.usefixtures("qemu_img")
def test_a_base_that_is_not_there_leaves_no_disk(tmp_path: Path) -> None:
    async def test() -> None:
        where = in_directory(tmp_path)
        with pytest.raises(HypervisorError, match="cannot be read: No such file"):
            await where.ensure_overlay(GUEST, BaseImage(tmp_path / "none", "qcow2", 1 << 20), 1)
        assert not where.root_disk(GUEST).exists()
        await where.remove(GUEST)
        assert not list(where.root.rglob("*"))

    asyncio.run(test())


@pytest.mark.usefixtures("qemu_img")
def test_what_a_crash_left_is_made_anew(tmp_path: Path) -> None:
    async def test() -> None:
        where = in_directory(tmp_path)
        base = tmp_path / "base.raw"
        base.write_bytes(b"\0" * (1 << 20))
        where.directory(GUEST).mkdir(parents=True)
        where.root_disk(GUEST).with_name("disk.unfinished").write_bytes(b"half")
        await where.ensure_overlay(GUEST, BaseImage(base, "raw", 1 << 20), 0)
        assert [path.name for path in where.directory(GUEST).iterdir()] == ["disk"]
        assert where.root_disk(GUEST).stat().st_mode & 0o777 == 0o600

    asyncio.run(test())


def test_the_console_is_read_over_its_rotated_parts(tmp_path: Path) -> None:
    async def test() -> None:
        where = in_directory(tmp_path)
        assert await where.console_tail(GUEST, 10) == b""
        where.directory(GUEST).mkdir(parents=True)
        log = where.console_log(GUEST)
        log.write_bytes(b"789")
        log.with_name("console.log.0").write_bytes(b"456")
        log.with_name("console.log.1").write_bytes(b"123")
        assert await where.console_tail(GUEST, 100) == b"123456789"
        assert await where.console_tail(GUEST, 5) == b"56789"
        assert await where.console_tail(GUEST, 2) == b"89"

    asyncio.run(test())


def test_files_that_cannot_be_used_are_an_error_of_the_hypervisor(tmp_path: Path) -> None:
    async def test() -> None:
        (tmp_path / "instances").write_text("not a directory")
        (tmp_path / "base").write_bytes(b"x")
        where = in_directory(tmp_path)
        with pytest.raises(HypervisorError, match="cannot be used"):
            await where.ensure_overlay(GUEST, BaseImage(tmp_path / "base", "raw", 1), 0)

    asyncio.run(test())


def test_the_owner_of_files_is_the_user_of_a_session_daemon(tmp_path: Path) -> None:
    socket = tmp_path / "sock"
    socket.touch()
    uri = f"qemu+unix:///session?socket={socket}"
    assert disks.owner_of_files("qemu:///system") is None
    assert disks.owner_of_files(uri) is None
    if os.geteuid() == 0:
        os.chown(socket, 65534, 65533)
        assert disks.owner_of_files(uri) == disks.Owner(65534, 65533)
        socket.unlink()
        with pytest.raises(HypervisorUnavailable):
            disks.owner_of_files(uri)


def test_a_copy_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    guests = in_directory(tmp_path)
    guests.directory(GUEST).mkdir(parents=True)
    os.mkfifo(guests.root_disk(GUEST))  # nobody writes into it: its copying never ends
    kept = KeptDisks(guests, watermark=lambda _total: 0)

    async def main() -> None:
        copying = asyncio.ensure_future(kept.keep(GUEST, "tag"))
        while not list(guests.directory(GUEST).glob("disk.kept-*")):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.01)
        copying.cancel()
        await asyncio.wait((copying,))
        assert copying.cancelled()
        assert [path.name for path in guests.directory(GUEST).iterdir()] == ["disk"]

    asyncio.run(main())
