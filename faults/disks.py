# SPDX-License-Identifier: Apache-2.0
"""Disks whose files are gone, or were moved by other tools."""

import subprocess
from typing import Any

from bench.run import Bench
from faults.lab import SERVERS, Scene, files_of, scene, wait_for
from faults.table import Row

LARGER = {"flavor": {"name": "larger", "ram": 192, "vcpus": 1, "disk": 2}}
ENDED_S = 60.0


def gone(bench: Bench) -> Row:
    """The disk file of a running guest is removed, then each verb that stops a guest is requested."""
    row = Row(
        "a running guest's disk file is removed",
        "Each verb that stops a guest is requested in turn. The guest's open file is the last copy of its disk.",
    )
    with scene(bench) as here:
        server = here.create(here.image())
        here.active(server)
        larger = here.box.web.expect(200, "POST", "/compute/v2.1/flavors", LARGER).json()["flavor"]["id"]
        pid = here.pid(server)
        next(path for path in files_of(here, server) if path.name == "disk").unlink()
        bodies: dict[str, dict[str, Any]] = {
            "stop": {"os-stop": None},
            "reboot": {"reboot": {"type": "HARD"}},
            "resize": {"resize": {"flavorRef": larger}},
            "rescue": {"rescue": {}},
            "suspend": {"suspend": None},
            "shelve": {"shelve": None},
        }
        messages = {verb: _ended(here, server, body) for verb, body in bodies.items()}
        saved = _ended(here, server, {"createImage": {"name": "saved"}})
        lives = here.daemon.guests().values()
        shown = here.show(server) or {}
        here.box.web.expect(202, "POST", f"{SERVERS}/{server}/action", {"rebuild": {"imageRef": shown["image"]["id"]}})
        here.active(server)
    explained = sum("cannot be read: No such file" in message for message in messages.values())
    row.true("each is refused with the reason", explained == len(bodies), f"{explained} of {len(bodies)}")
    row.true("the guest's process is the same", pid in lives)
    row.true("the server is shown as ACTIVE", shown.get("status") == "ACTIVE", str(shown.get("status")))
    row.true("an image of it can be made", not saved, saved)
    row.true("it can be rebuilt", True)
    return row


def moved(bench: Bench) -> Row:
    """A disk-only snapshot by libvirt's own tool, then a stop and a start."""
    row = Row(
        "a guest's active disk is moved by a snapshot of virsh",
        "A disk-only snapshot; then a resize is requested, and a hard reboot, a stop and a start.",
    )
    with scene(bench) as here:
        server = here.create(here.image())
        here.active(server)
        larger = here.box.web.expect(200, "POST", "/compute/v2.1/flavors", LARGER).json()["flavor"]["id"]
        _virsh(here, "snapshot-create-as", server, "s1", "--disk-only", "--atomic")
        active = _source(here, server)
        refused = _ended(here, server, {"resize": {"flavorRef": larger}})
        after: list[str] = []
        for body in ({"reboot": {"type": "HARD"}}, {"os-stop": None}, {"os-start": None}):
            _ended(here, server, body)
            after.append(_source(here, server))
        here.active(server)
    row.true("the snapshot is another file", active.endswith("disk.s1"), active.rpartition("/")[2])
    row.true("the resize is refused by name", "disk.s1, a snapshot by other tools" in refused, refused)
    row.true("the guest keeps its active disk", set(after) == {active}, str([one.rpartition("/")[2] for one in after]))
    return row


def _ended(here: Scene, server: str, body: dict[str, Any]) -> str:
    """The result of the action: its message, empty when it succeeded."""
    before = here.actions(server)[0]["request_id"]
    here.box.web.expect(200 if "rescue" in body else 202, "POST", f"{SERVERS}/{server}/action", body)

    def rests() -> bool:
        shown = here.show(server) or {}
        return shown.get("OS-EXT-STS:task_state", "") is None and here.actions(server)[0]["request_id"] != before

    wait_for(rests, ENDED_S, f"the end of {next(iter(body))}")
    return here.actions(server)[0]["message"] or ""


def _virsh(here: Scene, *words: str) -> str:
    argv = ["virsh", "--quiet", "--connect", here.daemon.uri, *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout


def _source(here: Scene, server: str) -> str:
    """The file of the guest's first disk, as libvirt reports it."""
    rows = [line.split() for line in _virsh(here, "domblklist", server).splitlines()]
    return next(row[1] for row in rows if row and row[0] == "vda")
