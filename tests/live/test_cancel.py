# SPDX-License-Identifier: Apache-2.0
"""Actions of real guests are cancelled while libvirtd or QEMU is frozen: the answer comes all the same, and nothing is
left."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from lab.daemon import Daemon
from tests.live.box import Box, virsh, wait_for

pytestmark = pytest.mark.live


def cancel(box: Box, name: str) -> dict[str, Any]:
    argv = [sys.executable, "-m", "kilonova", "cancel", name, "--json", "--clouds-file", str(box.clouds)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)
    return dict(one)


def state_of(box: Box, server_id: str, verb: str) -> str:
    reply = box.http.get("/ui/api/actions", params={"server_id": server_id, "action": verb})
    return str(reply.json()["actions"][0]["state"])


def test_a_build_is_cancelled_while_libvirtd_is_frozen(box: Box, daemon: Daemon, image_id: str) -> None:
    daemon.freeze()
    try:
        server_id = box.create(image_id, "frozen")
        wait_for(lambda: (box.server(server_id) or {})["OS-EXT-STS:task_state"] == "spawning", why=box.last_words)
        one = cancel(box, "frozen")
        assert (one["action"], one["server_id"]) == ("create", server_id)
        assert one["result"] in ("cancelled", "cleaning-up")
        server = box.wait_status(server_id, "ERROR")
        assert "Cancelled by admin" in server["fault"]["message"]
    finally:
        daemon.thaw()
    wait_for(lambda: state_of(box, server_id, "create") == "cancelled", why=box.last_words)
    assert server_id not in virsh(daemon, "list", "--all", "--uuid")
    assert box.files_of(server_id) == []
    assert box.node()["running_vms"] == 0
    server = box.wait_status(server_id, "ERROR")
    assert (server["OS-EXT-SRV-ATTR:host"], server["addresses"]) == (None, {})
    box.delete(server_id)


def test_a_stop_is_cancelled_while_qemu_is_frozen(box: Box, daemon: Daemon, image_id: str) -> None:
    server_id = box.create(image_id, "ill")
    box.wait_status(server_id, "ACTIVE")
    pid = daemon.guests()[f"kilonova-{server_id}"]
    os.kill(pid, signal.SIGSTOP)
    try:
        box.act(server_id, {"os-stop": None})
        assert cancel(box, server_id)["result"] in ("cancelled", "cleaning-up")
        assert (box.server(server_id) or {})["OS-EXT-STS:task_state"] is None
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: state_of(box, server_id, "stop") == "cancelled", why=box.last_words)
    server = box.server(server_id) or {}
    # The guest may obey a request that it received before.
    assert server["status"] in ("ACTIVE", "SHUTOFF")
    assert "fault" not in server
    box.delete(server_id)
    assert box.files_of(server_id) == []
