# SPDX-License-Identifier: Apache-2.0
"""Images of a fleet of real processes: two API processes with a store each, and a host that shares no directory."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.box import wait_for
from tests.live.fleet import ApiServer, Fleet
from tests.live.fleet import fleet as running_fleet

pytestmark = pytest.mark.live

DATA = b"\x55" * (4 << 20)


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running_fleet() as made:
        yield made


def store_of(fleet: Fleet, name: str) -> Path:
    return fleet.directory / f"store-{name}"


def start(fleet: Fleet, *names: str) -> list[ApiServer]:
    """A conductor, a host of its own directory, and these API processes, each with its store."""
    fleet.conductor.start().ready()
    servers = [
        fleet.api_server(name, f"[image]\nstore_path = {store_of(fleet, name)}\nupkeep_interval = 1\n").start()
        for name in names
    ]
    own = fleet.directory / "own"
    own.mkdir()
    config = fleet.configure("host", (str(fleet.state), str(own)), ("host = box1", "host = box2"))
    fleet.service("compute", config).start().ready()
    for server in servers:
        server.ready()
    fleet.bootstrap(*servers)
    for server in servers:
        server.service.wait_said("the image store is reported")
    return servers


def bases(fleet: Fleet) -> list[Path]:
    return [*(fleet.directory / "own/instances/_base").glob("[0-9a-f]*")]


def upload(fleet: Fleet, server: ApiServer) -> str:
    file = fleet.directory / "image.raw"
    file.write_bytes(DATA)
    return server.upload(file, "raw")


def test_the_death_of_one_process_loses_no_image(fleet: Fleet) -> None:
    a, b = start(fleet, "a", "b")
    image = upload(fleet, a)
    assert [(store_of(fleet, name) / image).read_bytes() == DATA for name in ("a", "b")] == [True, True]
    a.service.kill()
    shutil.rmtree(store_of(fleet, "a"))
    assert b.http.get(f"/image/v2/images/{image}/file").content == DATA
    server = b.create(image)
    b.wait_status(server, "ACTIVE")
    assert [path.read_bytes() for path in bases(fleet)] == [DATA]
    reply = b.http.post(f"/compute/v2.1/servers/{server}/action", json={"createImage": {"name": "snapshot"}})
    assert reply.status_code == 202, reply.text
    made = reply.json()["image_id"]
    wait_for(lambda: b.http.get(f"/image/v2/images/{made}").json()["status"] == "active", why=b.last_words)
    assert (store_of(fleet, "b") / made).exists()
    for service in (b.service, fleet.conductor):
        assert "signature=" not in service.said()
        assert "Traceback" not in service.said()
