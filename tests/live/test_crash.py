# SPDX-License-Identifier: Apache-2.0
"""kill -9 in the middle of a build: the next process finishes it; one guest, ACTIVE, started once."""

import pytest

from tests.live.box import GUEST_IMAGE, libvirt_box, private_libvirtd, wait_for

pytestmark = pytest.mark.live

PLACES = [
    "conductor.create.accepted",
    "conductor.place.done",
    "compute.create.image.done",
    "compute.create.disks.done",
    "compute.create.define.done",
    "compute.create.start.done",
    "conductor.finish.recorded",
]


@pytest.mark.parametrize("place", PLACES)
def test_a_build_survives_the_death_of_its_process(place: str) -> None:
    with private_libvirtd() as daemon, libvirt_box(daemon) as box:
        box.start(f"{place}=kill").ready()
        image_id = box.upload(GUEST_IMAGE)
        try:
            server_id = box.create(image_id)
        except Exception:  # it died before it could answer: the request is on disk all the same
            assert place == "conductor.create.accepted"
            server_id = ""
        box.wait_dead()
        box.start()
        if not server_id:
            servers = box.http.get("/compute/v2.1/servers").json()["servers"]
            assert len(servers) == 1
            server_id = servers[0]["id"]
        server = box.wait_status(server_id, "ACTIVE")
        assert server["OS-EXT-STS:power_state"] == 1
        assert len(daemon.guests()) == 1
        box.delete(server_id)
        assert daemon.guests() == {}
        assert box.files_of(server_id) == []


def test_a_delete_survives_the_death_of_its_process() -> None:
    with private_libvirtd() as daemon, libvirt_box(daemon) as box:
        box.start("compute.delete.remove-start.done=kill").ready()
        server_id = box.create(box.upload(GUEST_IMAGE))
        box.wait_status(server_id, "ACTIVE")
        assert box.http.delete(f"/compute/v2.1/servers/{server_id}").status_code == 204
        box.wait_dead()
        box.start()
        wait_for(lambda: box.server(server_id) is None, why=box.last_words)
        assert daemon.guests() == {}
        assert box.files_of(server_id) == []
