# SPDX-License-Identifier: Apache-2.0
"""A backup while the service runs, and a restore under guests that run on."""

import subprocess
import sys
from collections.abc import Generator

import pytest

from lab.daemon import Daemon
from tests.live.box import GUEST_IMAGE, Box, libvirt_box, wait_for

pytestmark = pytest.mark.live

LOST = ("kilonova.db", "kilonova.db-wal", "kilonova.db-shm", "token.key", "compute_id")


@pytest.fixture
def quick(daemon: Daemon) -> Generator[Box]:
    """A box that looks for orphans often."""
    config = daemon.directory.parent / "k.conf"
    config.write_text("[DEFAULT]\norphan_report_interval = 1\nrunning_deleted_instance_poll_interval = 1\n")
    with libvirt_box(daemon) as box:
        box.words = (*box.words, "--config-file", str(config))
        yield box.start().ready()


def kilonova(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "kilonova", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def processes(daemon: Daemon, server_id: str) -> list[int]:
    """Of QEMU, for this guest."""
    found = subprocess.run(
        ["pgrep", "-f", f"qemu-system.*guest=kilonova-{server_id}"], capture_output=True, text=True, check=False
    )
    return [int(line) for line in found.stdout.split()]


def test_a_restore_takes_running_guests_back_and_leaves_newer_ones_alone(quick: Box, daemon: Daemon) -> None:
    box, file = quick, daemon.directory.parent / "b.tar"
    image_id = box.upload(GUEST_IMAGE)
    before = box.create(image_id, "before")
    box.wait_status(before, "ACTIVE")
    made = kilonova("backup", str(file), "--state-path", str(box.state))
    assert made.returncode == 0, made.stderr
    assert "1 images" in made.stdout
    after = box.create(image_id, "after")
    box.wait_status(after, "ACTIVE")
    running = {one: processes(daemon, one) for one in (before, after)}
    assert all(len(pids) == 1 for pids in running.values())

    refused = kilonova("restore", str(file), "--state-path", str(box.state))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "Another kilonova runs on" in refused.stderr
    box.kill()
    refused = kilonova("restore", str(file), "--state-path", str(box.state))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "is not empty" in refused.stderr

    for name in LOST:
        (box.state / name).unlink(missing_ok=True)
    (box.state / "images").rename(daemon.directory.parent / "images.lost")
    done = kilonova("restore", str(file), "--state-path", str(box.state))
    assert done.returncode == 0, done.stderr
    box.start().ready()
    assert box.wait_status(before, "ACTIVE")["OS-EXT-STS:power_state"] == 1
    assert box.server(after) is None
    wait_for(lambda: f"unknown={after}" in box.log.read_text(), why=box.last_words)
    another = box.create(image_id, "another")  # the image is there
    box.wait_status(another, "ACTIVE")
    assert {one: processes(daemon, one) for one in running} == running
    box.act(before, {"reboot": {"type": "HARD"}})  # it is ours again
    box.wait_status(before, "ACTIVE")
    assert processes(daemon, after) == running[after]
    actions = box.http.get(f"/compute/v2.1/servers/{before}/os-instance-actions").json()["instanceActions"]
    assert [action["action"] for action in actions] == ["reboot", "create"]
