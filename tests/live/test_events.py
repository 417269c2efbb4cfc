# SPDX-License-Identifier: Apache-2.0
"""What happens to guests behind our back is seen, is told with libvirt's reason, and touches nobody else's guests."""

import os
import signal

import pytest

from lab.daemon import Daemon
from tests.live.box import Box, virsh, wait_for

pytestmark = pytest.mark.live

FOREIGN = "9f0c1d2e-3b4a-4c5d-8e6f-708192a3b4c5"
FOREIGN_XML = f"""<domain type='qemu'><name>somebody-elses</name><uuid>{FOREIGN}</uuid>
<metadata><x:note xmlns:x='http://example.org/x'>mine</x:note></metadata><memory>32768</memory>
<os><type arch='x86_64'>hvm</type></os></domain>"""


def seen(box: Box, server_id: str) -> list[str]:
    """What was seen of a server that nobody asked for, oldest first."""
    reply = box.http.get(f"/compute/v2.1/servers/{server_id}/os-instance-actions").json()["instanceActions"]
    return [action["message"] for action in reversed(reply) if action["action"] == "power-update"]


def test_each_change_behind_our_back_is_an_action_with_libvirts_reason(box: Box, daemon: Daemon, image_id: str) -> None:
    server_id = box.create(image_id, "watched")
    box.wait_status(server_id, "ACTIVE")
    virsh(daemon, "suspend", server_id)
    box.wait_status(server_id, "PAUSED")
    virsh(daemon, "resume", server_id)
    box.wait_status(server_id, "ACTIVE")
    virsh(daemon, "reset", server_id)  # it runs before and after: nothing is different
    virsh(daemon, "destroy", server_id)
    box.wait_status(server_id, "SHUTOFF")
    virsh(daemon, "start", server_id)
    box.wait_status(server_id, "ACTIVE")
    (pid,) = [pid for name, pid in daemon.guests().items() if server_id in name]
    os.kill(pid, signal.SIGKILL)
    box.wait_status(server_id, "SHUTOFF")
    said = seen(box, server_id)
    assert said[:4] == ["paused: user", "running: unpaused", "shutdown: destroyed", "running: booted"]
    assert len(said) == 5
    assert said[4].startswith(("crashed", "shutdown: "))
    # A repeat of the same observation, by the bulk read of a new process, records nothing.
    assert box.stop() == 0
    box.start().ready()
    assert seen(box, server_id) == said
    box.act(server_id, {"os-start": None})
    box.wait_status(server_id, "ACTIVE")
    box.delete(server_id)


def test_what_was_missed_while_libvirt_was_away_is_found(box: Box, daemon: Daemon, image_id: str) -> None:
    servers = [box.create(image_id, f"missed-{n}") for n in range(2)]
    for server_id in servers:
        box.wait_status(server_id, "ACTIVE")
    daemon.kill()
    wait_for(lambda: box.http.get("/readyz").status_code == 503)
    (pid,) = [pid for name, pid in daemon.guests().items() if servers[0] in name]
    os.kill(pid, signal.SIGKILL)
    daemon.start()
    box.ready()
    box.wait_status(servers[0], "SHUTOFF")
    assert len(seen(box, servers[0])) == 1
    assert seen(box, servers[1]) == []
    for server_id in servers:
        box.delete(server_id)


def test_a_foreign_domain_is_never_listed_counted_or_touched(box: Box, daemon: Daemon, image_id: str) -> None:
    described = daemon.directory / "foreign.xml"
    described.write_text(FOREIGN_XML)
    virsh(daemon, "define", str(described))
    virsh(daemon, "start", FOREIGN)
    (file,) = daemon.directory.glob("*/libvirt/qemu/somebody-elses.xml")
    look = lambda: (virsh(daemon, "dumpxml", FOREIGN), file.read_bytes(), daemon.guests()["somebody-elses"])  # noqa: E731
    before = look()
    try:
        server_id = box.create(image_id, "neighbour")
        box.wait_status(server_id, "ACTIVE")
        virsh(daemon, "suspend", FOREIGN)  # its events are nobody's business
        virsh(daemon, "resume", FOREIGN)
        daemon.restart()  # and the bulk read that follows passes over it
        wait_for(lambda: box.http.get("/readyz").status_code == 200)
        assert FOREIGN not in box.http.get("/compute/v2.1/servers/detail?all_tenants=1").text
        assert box.http.get(f"/compute/v2.1/servers/{FOREIGN}").status_code == 404
        assert box.http.delete(f"/compute/v2.1/servers/{FOREIGN}").status_code == 404
        node = box.node()
        assert (node["running_vms"], node["vcpus_used"]) == (1, 1)
        box.act(server_id, {"reboot": {"type": "HARD"}})
        box.wait_status(server_id, "ACTIVE")
        box.delete(server_id)
        assert box.stop() == 0
        box.start().ready()
        requests = "request method="  # the lines of our own requests above have its id in their paths
        assert not [line for line in box.last_words().splitlines() if FOREIGN in line and requests not in line]
        assert look() == before
    finally:
        virsh(daemon, "destroy", FOREIGN)
        virsh(daemon, "undefine", FOREIGN)
