# SPDX-License-Identifier: Apache-2.0
"""A host that rebooted, on real libvirt: every QEMU is killed while the service is down, and the boot id is another."""

import os
import signal
import sqlite3

import pytest

from tests.live.box import GUEST_IMAGE, Box, libvirt_box, private_libvirtd, virsh, wait_for

pytestmark = pytest.mark.live


def booted_before(box: Box) -> None:
    """What the database holds of an earlier boot: then the one of this machine is a new one."""
    with sqlite3.connect(box.state / "kilonova.db") as db:
        assert db.execute("UPDATE services SET boot_id = 'an-earlier-boot'").rowcount == 1
    db.close()


def actions(box: Box, server_id: str) -> list[str]:
    found = box.http.get(f"/compute/v2.1/servers/{server_id}/os-instance-actions").json()["instanceActions"]
    return [action["action"] for action in found]


def test_guests_that_should_run_do_so_after_the_host_rebooted() -> None:
    with private_libvirtd() as daemon, libvirt_box(daemon) as box:
        config = daemon.directory.parent / "kilonova.conf"
        config.write_text("[DEFAULT]\nshutdown_timeout = 1\n")
        box.words += ("--config-file", str(config))
        box.start().ready()
        image_id = box.upload(GUEST_IMAGE)
        one, two, off = (box.create(image_id, name) for name in ("one", "two", "off"))
        for server_id in (one, two, off):
            box.wait_status(server_id, "ACTIVE")
        box.act(off, {"os-stop": None})
        box.wait_status(off, "SHUTOFF", 90)
        assert box.stop() == 0
        for pid in daemon.guests().values():
            os.kill(pid, signal.SIGKILL)
        # On a machine that boots, libvirt knows that too.
        wait_for(lambda: virsh(daemon, "list", "--name").strip() == "")
        booted_before(box)
        box.start().ready()
        for server_id in (one, two):
            assert box.wait_status(server_id, "ACTIVE")["OS-EXT-STS:power_state"] == 1
            assert actions(box, server_id) == ["start", "create"]
        assert box.wait_status(off, "SHUTOFF")["OS-EXT-STS:power_state"] == 4
        assert actions(box, off) == ["stop", "create"]
        assert len(daemon.guests()) == 2
        for server_id in (one, two, off):
            box.delete(server_id)
