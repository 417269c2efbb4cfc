# SPDX-License-Identifier: Apache-2.0
"""suspend, rescue and rebuild as the guest itself tells them."""

import base64
import os
import re
import subprocess
from pathlib import Path

import pytest

from lab.daemon import Daemon
from tests.live.box import GUEST_IMAGE, Box, libvirt_box, private_libvirtd, virsh, wait_for
from tests.live.test_box import console
from tests.live.test_events import seen

pytestmark = pytest.mark.live

SCRIPT = """#!/bin/sh
for disk in /sys/block/vd*; do echo "disk ${disk##*/} $(cat $disk/size)"; done
echo "begins NONCE"
n=0
while :; do echo "tick-$n-"; n=$((n+1)); sleep 1; done
"""
GIB_SECTORS = (1 << 30) // 512
MIB = 1 << 20


def script(nonce: str) -> str:
    return base64.b64encode(SCRIPT.replace("NONCE", nonce).encode()).decode()


def ticks(box: Box, server_id: str) -> list[int]:
    return [int(n) for n in re.findall(r"tick-(\d+)-", console(box, server_id))]


def goes_on(box: Box, server_id: str, above: int) -> None:
    """The guest counts on, beyond that."""
    wait_for(
        lambda: (ticks(box, server_id) or [-1])[-1] > above, within_s=90, why=lambda: console(box, server_id)[-2000:]
    )


def last_disks(box: Box, server_id: str) -> dict[str, int]:
    """Name to sectors, as the latest boot saw them."""
    latest = console(box, server_id).rpartition("disk vda ")[2]
    return {name: int(size) for name, size in re.findall(r"disk (vd.) (\d+)", f"disk vda {latest}")}


def begun(box: Box, server_id: str, nonce: str, times: int) -> None:
    """So many boots have come to where the script runs (its text is printed too)."""
    said = lambda: console(box, server_id)  # noqa: E731
    line = re.compile(rf"^begins {nonce}", re.MULTILINE)
    wait_for(lambda: len(line.findall(said())) == times, within_s=90, why=lambda: said()[-2000:])


def saved_files(daemon: Daemon) -> list[Path]:
    return list(daemon.directory.rglob("*.save"))


def limit_files(daemon: Daemon, most: str) -> None:
    """No file that the daemon, or a helper that it starts, writes from now on gets larger."""
    uid, gid = daemon.owner
    as_owner = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"] if os.geteuid() == 0 else []
    argv = [*as_owner, "prlimit", f"--pid={daemon.pid}", f"--fsize={most}:"]
    subprocess.run(argv, check=True, timeout=30)


def test_memory_goes_to_the_disk_and_comes_back(box: Box, daemon: Daemon, image_id: str) -> None:
    server_id = box.create(image_id, "sleeper", user_data=script("one"))
    box.wait_status(server_id, "ACTIVE")
    goes_on(box, server_id, 1)
    diagnostics = box.http.get(f"/compute/v2.1/servers/{server_id}/diagnostics").json()
    assert (diagnostics["state"], diagnostics["driver"], diagnostics["num_cpus"]) == ("running", "libvirt", 1)
    assert diagnostics["disk_details"][0]["read_bytes"] > MIB
    assert diagnostics["memory_details"]["maximum"] == 128

    # A file that cannot grow: the save breaks off in the middle, and the guest does not notice.
    limit_files(daemon, str(2 * MIB))
    box.act(server_id, {"suspend": None})
    box.wait_status(server_id, "ACTIVE")
    limit_files(daemon, "unlimited")
    newest = box.http.get(f"/compute/v2.1/servers/{server_id}/os-instance-actions").json()["instanceActions"][0]
    assert newest["action"] == "suspend"
    assert "could not be saved; the guest is running" in newest["message"]
    goes_on(box, server_id, ticks(box, server_id)[-1])

    box.act(server_id, {"suspend": None})
    assert box.wait_status(server_id, "SUSPENDED")["OS-EXT-STS:power_state"] == 7
    assert daemon.guests() == {}
    assert len(saved_files(daemon)) == 1
    asleep = ticks(box, server_id)[-1]
    daemon.restart()  # which forgets why the domain is off
    wait_for(lambda: box.http.get("/readyz").status_code == 200)
    assert box.stop() == 0
    box.start().ready()
    assert box.wait_status(server_id, "SUSPENDED")["OS-EXT-STS:power_state"] == 7
    assert seen(box, server_id) == []
    box.act(server_id, {"resume": None})
    box.wait_status(server_id, "ACTIVE")
    goes_on(box, server_id, asleep)
    found = ticks(box, server_id)
    assert found == list(range(len(found)))  # one boot, and not a beat missed

    virsh(daemon, "managedsave", server_id)
    box.wait_status(server_id, "SUSPENDED")
    virsh(daemon, "start", server_id)
    box.wait_status(server_id, "ACTIVE")
    said = seen(box, server_id)  # while its memory comes in libvirt calls it paused, if anybody looks just then
    assert "suspended: saved" in said
    assert said[-1] == "running: restored"
    box.act(server_id, {"suspend": None})
    box.wait_status(server_id, "SUSPENDED")
    box.delete(server_id)
    assert (saved_files(daemon), box.files_of(server_id)) == ([], [])


def test_a_rescue_boots_another_disk_and_a_rebuild_a_new_one(box: Box, daemon: Daemon, image_id: str) -> None:
    server_id = box.create(image_id, "patient", user_data=script("sick"))
    addresses = box.wait_status(server_id, "ACTIVE")["addresses"]
    begun(box, server_id, "sick", 1)
    own = last_disks(box, server_id)
    assert own["vda"] == GIB_SECTORS
    answer = box.act(server_id, {"rescue": {}}, 200)
    assert answer["adminPass"]
    box.wait_status(server_id, "RESCUE", 90)
    begun(box, server_id, "sick", 2)
    rescued = last_disks(box, server_id)
    assert rescued["vda"] < GIB_SECTORS
    assert (rescued["vdb"], rescued["vdc"]) == (own["vda"], own["vdb"])
    box.act(server_id, {"unrescue": None})
    box.wait_status(server_id, "ACTIVE", 90)
    begun(box, server_id, "sick", 3)
    assert last_disks(box, server_id) == own

    answer = box.act(server_id, {"rebuild": {"imageRef": image_id, "name": "well", "user_data": script("new")}})
    assert answer["server"]["status"] == "REBUILD"
    server = box.wait_status(server_id, "ACTIVE", 90)
    assert (server["name"], server["addresses"]) == ("well", addresses)
    begun(box, server_id, "new", 1)
    assert last_disks(box, server_id) == own
    box.act(server_id, {"rescue": {}}, 200)
    box.wait_status(server_id, "RESCUE", 90)
    box.delete(server_id)
    assert (daemon.guests(), box.files_of(server_id)) == ({}, [])


def test_a_rebuild_survives_the_death_of_its_process() -> None:
    with private_libvirtd() as daemon, libvirt_box(daemon) as box:
        box.start("compute.rebuild.disks.done=kill").ready()
        image_id = box.upload(GUEST_IMAGE)
        server_id = box.create(image_id)
        box.wait_status(server_id, "ACTIVE")
        (disk,) = [path for path in box.files_of(server_id) if path.name == "disk"]
        before = disk.stat().st_ino
        box.act(server_id, {"rebuild": {"imageRef": image_id}})
        box.wait_dead()
        assert daemon.guests() == {}
        box.start()
        box.wait_status(server_id, "ACTIVE")
        assert len(daemon.guests()) == 1
        assert disk.stat().st_ino != before
        shown = subprocess.run(
            ["qemu-img", "info", "-U", str(disk)], capture_output=True, text=True, timeout=30, check=True
        )
        assert "backing file format: qcow2" in shown.stdout
        box.delete(server_id)
        assert box.files_of(server_id) == []
