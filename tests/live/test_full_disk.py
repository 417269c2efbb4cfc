# SPDX-License-Identifier: Apache-2.0
"""A file system that is really full: a build ends with the reason and leaves nothing; the watermark stops it before."""

import os
import shutil
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from lab.counting import cannot_run
from lab.daemon import Daemon
from tests.live.box import GUEST_IMAGE, Box, libvirt_box, wait_for

pytestmark = pytest.mark.live

MIB = 1 << 20
SIZE = 1300 * MIB
"""More than the 1 GiB of a flavor; the file behind it is sparse."""
IN_A_NAMESPACE = ("unshare", "--mount", "--propagation", "private", "sh", "-c")
MOUNT = 'mount -o loop "$1" "$2" && chmod 711 "$2" && shift 2 && exec "$@"'


class SmallBox:
    """A box that sees a small file system where guests' disks go; nobody else sees it."""

    def __init__(self, box: Box, directory: Path) -> None:
        self.box, self.config = box, directory / "k.conf"
        self.instances = directory / "i"
        self.instances.mkdir(exist_ok=True)
        box.words = (*box.words, "--config-file", str(self.config))
        disk = directory / "disk"
        with disk.open("wb") as file:
            file.truncate(SIZE)
        made = subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(disk)], timeout=60, check=False)
        box.wrapper = (*IN_A_NAMESPACE, MOUNT, "sh", str(disk), str(self.instances))
        if made.returncode or subprocess.run([*box.wrapper, "true"], timeout=30, check=False).returncode:
            cannot_run("no file system can be mounted in a namespace here")
        self.configure("0")

    def configure(self, watermark: str) -> None:
        self.config.write_text(f"[DEFAULT]\ninstances_path = {self.instances}\ndisk_watermark = {watermark}\n")

    @property
    def inside(self) -> Path:
        """The same directory as the service sees it."""
        assert self.box.process is not None
        return Path(f"/proc/{self.box.process.pid}/root{self.instances}")

    def leave_free(self, n_bytes: int) -> None:
        filler = self.inside / "filler"
        filler.unlink(missing_ok=True)
        found = os.statvfs(self.inside)
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - n_bytes)

    def files(self) -> list[str]:
        found = (path for path in self.inside.rglob("*") if path.is_file() and path.name != "filler")
        return sorted(str(path.relative_to(self.inside)) for path in found)

    def fails(self, image_id: str, name: str) -> str:
        """Why a build ended in ERROR; it is deleted then."""
        server_id = self.box.create(image_id, name)
        message = str(self.box.wait_status(server_id, "ERROR")["fault"]["message"])
        assert not [path for path in self.files() if server_id in path]
        self.box.delete(server_id)
        return message


@pytest.fixture
def small(daemon: Daemon) -> Generator[SmallBox]:
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        cannot_run("only root, with mkfs.ext4, can mount a file system")
    with libvirt_box(daemon) as box:
        made = SmallBox(box, daemon.directory.parent)
        box.start().ready()
        yield made


def test_no_space_left_for_the_image_then_for_the_disk_then_below_the_watermark(small: SmallBox) -> None:
    box = small.box
    image_id = box.upload(GUEST_IMAGE)
    small.leave_free(MIB)
    assert "No space left" in small.fails(image_id, "no-image")
    assert small.files() == []

    small.leave_free(GUEST_IMAGE.stat().st_size + 64 * 1024)  # the image fits, the overlay does not
    assert "No space left" in small.fails(image_id, "no-disk")
    (base,) = small.files()
    assert base.startswith("_base/")

    assert box.process is not None
    small.configure("50%")
    box.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "configuration was read again" in box.log.read_text(), why=box.last_words)
    wait_for(lambda: "DiskFilter" in small.fails(image_id, "refused"))
    said = small.fails(image_id, "refused-again")
    assert "No valid host was found. DiskFilter refused" in said
    assert f"less than 0.6 GiB are free at {small.instances}" in said
    assert small.files() == [base]
