# SPDX-License-Identifier: Apache-2.0
"""The one box on real libvirt and QEMU: life of a server, of the service, and of the daemon below."""

import base64
import os
import signal

import pytest

from lab.daemon import Daemon
from tests.live.box import GUEST_IMAGE, Box, libvirt_box, private_libvirtd, wait_for

pytestmark = pytest.mark.live


def console(box: Box, server_id: str) -> str:
    return str(box.act(server_id, {"os-getConsoleOutput": {}}, 200)["output"])


def test_a_guest_boots_and_speaks_and_obeys(box: Box, image_id: str) -> None:
    nonce = "nonce-7c3f91"
    user_data = base64.b64encode(f"hello {nonce}\n".encode()).decode()
    server_id = box.create(image_id, "Speaks Well", user_data=user_data)
    server = box.wait_status(server_id, "ACTIVE")
    shown = next(iter(server["addresses"].values()))
    (address,) = [one for one in shown if one["OS-EXT-IPS:type"] == "fixed"]
    said = lambda: console(box, server_id)  # noqa: E731
    wait_for(lambda: nonce in said() and f"address={address['addr']}" in said(), within_s=90, why=said)
    assert "hostname=speaks-well" in said()
    box.act(server_id, {"os-stop": None})
    assert box.wait_status(server_id, "SHUTOFF", 90)["OS-EXT-STS:power_state"] == 4
    box.act(server_id, {"os-start": None})
    box.wait_status(server_id, "ACTIVE")
    box.act(server_id, {"reboot": {"type": "HARD"}})
    box.wait_status(server_id, "ACTIVE")
    actions = box.http.get(f"/compute/v2.1/servers/{server_id}/os-instance-actions").json()["instanceActions"]
    assert [a["action"] for a in actions] == ["reboot", "start", "stop", "create"]
    box.delete(server_id)
    assert box.files_of(server_id) == []


def test_a_request_is_followed_into_the_libvirt_driver_by_its_id(box: Box, image_id: str) -> None:
    server_id = box.create(image_id, "followed")
    box.wait_status(server_id, "ACTIVE")
    actions = f"/compute/v2.1/servers/{server_id}/os-instance-actions"
    (create,) = box.http.get(actions).json()["instanceActions"]
    followed = [line for line in box.last_words().splitlines() if f"[{create['request_id']}]" in line]
    for event in ("request method=POST", "a host was chosen", "libvirt started a guest", "action ended"):
        assert any(event in line for line in followed), (event, followed)
    box.delete(server_id)


def test_a_delete_at_any_moment_of_a_build_leaves_nothing(box: Box, image_id: str) -> None:
    servers = [box.create(image_id, f"brief-{n}") for n in range(6)]
    for server_id in servers:  # the first are being built, the last wait for their turn
        box.delete(server_id)
        assert box.files_of(server_id) == []
    node = box.node()
    assert (node["vcpus_used"], node["running_vms"]) == (0, 0)


def test_guests_run_on_without_the_service_and_are_taken_back(image_id: str, box: Box) -> None:
    server_id = box.create(image_id, "stays")
    box.wait_status(server_id, "ACTIVE")
    assert box.stop() == 0
    assert "guests keep running" in box.last_words()
    box.start().ready()
    assert box.wait_status(server_id, "ACTIVE")["OS-EXT-STS:power_state"] == 1
    box.act(server_id, {"reboot": {"type": "HARD"}})
    box.wait_status(server_id, "ACTIVE")
    box.delete(server_id)


def test_libvirt_absent_at_start_and_lost_later() -> None:
    with private_libvirtd() as daemon, libvirt_box(daemon) as box:
        daemon.kill()
        box.start()
        reply = box.http.get("/readyz")
        assert reply.status_code == 503
        assert "libvirt" in reply.json()["reason"]
        image_id = box.upload(GUEST_IMAGE)  # what needs no hypervisor is served
        daemon.start()
        box.ready()
        server_id = box.create(image_id)
        box.wait_status(server_id, "ACTIVE")
        daemon.kill()
        wait_for(lambda: box.http.get("/readyz").status_code == 503)
        refused = box.create(image_id, "refused")
        assert "libvirt" in box.wait_status(refused, "ERROR")["fault"]["message"]
        assert box.server(server_id)["status"] == "ACTIVE"  # type: ignore[index] # unknown is never shown as off
        daemon.start()
        box.ready()
        assert box.wait_status(server_id, "ACTIVE")["OS-EXT-STS:power_state"] == 1
        box.delete(server_id)
        box.delete(refused)


def test_a_guest_that_dies_behind_our_back_is_shown_so(daemon: Daemon, box: Box, image_id: str) -> None:
    server_id = box.create(image_id, "killed")
    box.wait_status(server_id, "ACTIVE")
    (pid,) = [pid for name, pid in daemon.guests().items() if server_id in name]
    os.kill(pid, signal.SIGKILL)
    assert box.wait_status(server_id, "SHUTOFF", 30)["OS-EXT-STS:power_state"] in (4, 6)
    box.act(server_id, {"os-start": None})
    box.wait_status(server_id, "ACTIVE")
    box.delete(server_id)
