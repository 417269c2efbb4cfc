# SPDX-License-Identifier: Apache-2.0
"""A delete of a guest that libvirt holds in a start that nobody does, by the whole way."""

import json
import subprocess
import sys
from typing import Any

import pytest

from lab.daemon import Daemon
from tests.live.box import Box, wait_for
from tests.stuck import Note

pytestmark = pytest.mark.live


def doctor_names(box: Box, daemon: Daemon) -> list[str]:
    argv = [sys.executable, "-m", "kilonova", "doctor", "--json", "--connection-uri", daemon.uri]
    argv += ["--state-path", str(box.state)]
    said = json.loads(subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout)
    (finding,) = [one for one in said if one["check"] == "libvirt-stuck"]
    return list(finding["facts"]["guests"])


def test_a_delete_fails_early_with_the_way_out_and_is_done_once_that_was_gone(
    box: Box, daemon: Daemon, image_id: str
) -> None:
    server_id = box.create(image_id, "held")
    box.wait_status(server_id, "ACTIVE")
    note = Note.of(daemon, server_id)
    box.act(server_id, {"os-stop": None})
    box.wait_status(server_id, "SHUTOFF", 90)
    daemon.kill()
    note.leave()
    daemon.start()
    box.ready()
    assert box.http.delete(f"/compute/v2.1/servers/{server_id}").status_code == 204
    server: Any = box.wait_status(server_id, "ERROR", 120)
    assert f"remove kilonova-{server_id}.xml" in server["fault"]["message"]
    assert box.node()["running_vms"] == 1  # it keeps its place
    assert doctor_names(box, daemon) == [f"kilonova-{server_id}"]
    daemon.kill()
    note.path.unlink()
    daemon.start()
    wait_for(lambda: box.server(server_id) is None, within_s=120, why=box.last_words)
    assert box.files_of(server_id) == []
    assert (box.node()["running_vms"], doctor_names(box, daemon)) == (0, [])
