# SPDX-License-Identifier: Apache-2.0
"""The database's own disk is full: nothing new is accepted, with a word about it; nothing that was accepted is lost."""

import os
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from lab.counting import cannot_run
from tests.live.box import Box, wait_for
from tests.live.test_full_disk import IN_A_NAMESPACE

pytestmark = pytest.mark.live

MOUNT = 'mount -t tmpfs -o size=%dm kilonova "$1" && shift && exec "$@"'
SMALL_MIB, AMPLE_MIB = 16, 240
"""Without room for the database's reserve, and with it."""
RAW = bytes(1 << 20)


@pytest.fixture(params=[SMALL_MIB])
def box(request: pytest.FixtureRequest) -> Generator[Box]:
    """The fake driver on a state directory of so many MiB."""
    if os.geteuid() != 0:
        cannot_run("only root can mount a file system")
    with tempfile.TemporaryDirectory(prefix="kn") as name:
        directory = Path(name)
        config = directory / "k.conf"
        config.write_text("[DEFAULT]\ncompute_driver = fake.FakeDriver\nreport_interval = 0.5\n")
        made = Box(directory, "--config-file", str(config))
        made.state.mkdir()
        made.wrapper = (*IN_A_NAMESPACE, MOUNT % request.param, "sh", str(made.state))
        if subprocess.run([*made.wrapper, "true"], timeout=30, check=False).returncode:
            cannot_run("no file system can be mounted in a namespace here")
        try:
            yield made
        finally:
            made.close()


def filler(box: Box) -> Path:
    assert box.process is not None
    return Path(f"/proc/{box.process.pid}/root{box.state}/filler")


def fill(box: Box) -> None:
    with filler(box).open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return


def test_a_full_disk_refuses_what_is_new_and_loses_nothing(box: Box) -> None:
    box.start().ready()
    image = box.state.parent / "image"
    image.write_bytes(RAW)
    image_id = box.upload(image, "raw")
    kept = box.create(image_id, "kept")
    box.wait_status(kept, "ACTIVE")
    fill(box)

    server = {"name": "new", "imageRef": image_id, "flavorRef": "1", "networks": "none"}
    refused = wait_for(lambda: _refused(box, server), why=box.last_words)
    assert "full" in refused["message"]
    assert "try again later" in refused["message"]
    ready = box.http.get("/readyz")
    assert (ready.status_code, "full" in ready.json()["reason"]) == (503, True)
    assert [one["id"] for one in box.http.get("/compute/v2.1/servers").json()["servers"]][-1] == kept
    body = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    assert box.http.post("/image/v2/images", json=body).status_code == 503
    before = {one["id"] for one in box.http.get("/compute/v2.1/servers").json()["servers"]}

    filler(box).unlink()
    after = box.create(image_id, "after")
    box.wait_status(after, "ACTIVE")
    for id_ in before:  # what was accepted while the disk was filling, too
        box.wait_status(id_, "ACTIVE")
    assert "Traceback" not in box.log.read_text()


@pytest.mark.parametrize("box", [AMPLE_MIB], indirect=True)
def test_with_not_a_byte_free_deletes_and_stops_go_on(box: Box) -> None:
    box.start().ready()
    image = box.state.parent / "image"
    image.write_bytes(RAW)
    image_id = box.upload(image, "raw")
    stopped, *deleted = [box.create(image_id, f"s{number}") for number in range(4)]
    for id_ in (stopped, *deleted):
        box.wait_status(id_, "ACTIVE")
    journal = filler(box).with_name("kilonova.db-wal")
    wait_for(lambda: journal.stat().st_size >= 8 << 20, why=box.last_words)
    fill(box)
    assert os.statvfs(filler(box).parent).f_bavail == 0

    assert box.http.post(f"/compute/v2.1/servers/{stopped}/action", json={"os-stop": None}).status_code == 202
    box.wait_status(stopped, "SHUTOFF")
    for id_ in deleted:
        assert box.http.delete(f"/compute/v2.1/servers/{id_}").status_code == 204
    wait_for(lambda: len(box.http.get("/compute/v2.1/servers").json()["servers"]) == 1, why=box.last_words)
    assert os.statvfs(filler(box).parent).f_bavail == 0
    filler(box).unlink()
    box.wait_status(box.create(image_id, "after"), "ACTIVE")


def _refused(box: Box, server: dict[str, str]) -> dict[str, str] | None:
    """The fault; None while there was still room."""
    reply = box.http.post("/compute/v2.1/servers", json={"server": server})
    if reply.status_code == 202:
        return None
    assert reply.status_code == 503, reply.text
    assert int(reply.headers["Retry-After"]) > 0
    return dict(reply.json()["serviceUnavailable"])


def test_an_image_that_does_not_fit_is_refused_and_can_be_sent_again(box: Box) -> None:
    box.start().ready()
    body = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    image_id = box.http.post("/image/v2/images", json=body).json()["id"]
    path, headers = f"/image/v2/images/{image_id}", {"Content-Type": "application/octet-stream"}
    reply = box.http.put(f"{path}/file", content=RAW * 20, headers=headers)
    assert (reply.status_code, "Retry-After" in reply.headers) == (503, True)
    assert "There is no room" in reply.json()["serviceUnavailable"]["message"]
    assert box.http.get(path).json()["status"] == "queued"
    assert box.http.put(f"{path}/file", content=RAW, headers=headers).status_code == 204
