# SPDX-License-Identifier: Apache-2.0
"""Images of guests, and shelving, on real libvirt and QEMU: what a guest has written is in the guest that comes after.

It writes far behind what its image fills, so that it still boots.
"""

import base64
import re
from typing import Any

import pytest

from tests.live.box import Box, wait_for

pytestmark = pytest.mark.live

MARK_AT_MIB = 200

# Writes a marker into the disk, past the page cache, and answers as a guest agent that can only freeze and thaw.
# What it says is written so that the script itself, which the guest shows too, does not say it.
WRITES = f"""#!/bin/sh
echo marker-4711 | dd of=/dev/vda bs=1M seek={MARK_AT_MIB} conv=notrunc,fsync 2>/dev/null
mknod /tmp/agent c $(sed 's/:/ /' /sys/class/virtio-ports/vport*/dev)
exec 3<>/tmp/agent
echo "marker-""written"
while :; do
    read -r line <&3 || {{ usleep 100000; continue; }}
    number=$(echo "$line" | sed -n 's/.*"id":\\([0-9]*\\).*/\\1/p')
    case $line in
        *guest-sync*) echo "{{\\"return\\": $number}}" >&3 ;;
        *fsfreeze-freeze*) echo "agent-""freeze"; echo '{{"return": 1}}' >&3 ;;
        *fsfreeze-thaw*) echo "agent-""thaw"; echo '{{"return": 1}}' >&3 ;;
    esac
done
"""

READS = f"""#!/bin/sh
echo "found $(dd if=/dev/vda bs=1M skip={MARK_AT_MIB} count=1 2>/dev/null | head -n 1)"
"""


def words(script: str) -> str:
    return base64.b64encode(script.encode()).decode()


def said(box: Box, server_id: str) -> str:
    return str(box.act(server_id, {"os-getConsoleOutput": {}}, 200)["output"])


def heard(box: Box, server_id: str, text: str) -> None:
    wait_for(lambda: text in said(box, server_id), within_s=90, why=lambda: said(box, server_id))


def image_of(box: Box, image_id: str) -> dict[str, Any]:
    def whole() -> dict[str, Any] | None:
        shown: dict[str, Any] = box.http.get(f"/image/v2/images/{image_id}").json()
        return shown if shown.get("status") == "active" else None

    found: dict[str, Any] = wait_for(whole, why=box.last_words)
    return found


def test_a_guest_becomes_an_image_and_a_guest_of_it_has_what_it_wrote(box: Box, image_id: str) -> None:
    first = box.create(image_id, "writes", user_data=words(WRITES))
    box.wait_status(first, "ACTIVE")
    heard(box, first, "marker-written")

    copy = box.act(first, {"createImage": {"name": "of-a-running-one"}})["image_id"]
    shown = image_of(box, copy)
    assert shown["virtual_size"] == 1 << 30
    assert shown["size"] < 100 << 20  # what was never written takes no room
    box.wait_status(first, "ACTIVE")
    heard(box, first, "agent-thaw")
    assert re.findall(r"agent-(\w+)", said(box, first)) == ["freeze", "thaw"]
    second = box.create(copy, "reads", user_data=words(READS))
    box.wait_status(second, "ACTIVE")
    heard(box, second, "found marker-4711")
    box.delete(second)

    box.act(first, {"os-stop": None})
    box.wait_status(first, "SHUTOFF", 90)
    off = box.act(first, {"createImage": {"name": "of-one-that-is-off"}})["image_id"]
    assert image_of(box, off)["virtual_size"] == 1 << 30
    box.wait_status(first, "SHUTOFF")
    box.act(first, {"shelve": None})
    away = box.wait_status(first, "SHELVED_OFFLOADED", 120)
    assert away["OS-EXT-SRV-ATTR:host"] is None
    assert not [path for path in box.files_of(first) if path.is_relative_to(box.state / "instances")]
    (shelved,) = box.http.get("/image/v2/images?name=writes-shelved").json()["images"]
    box.act(first, {"unshelve": None})
    back = box.wait_status(first, "ACTIVE", 90)
    assert back["addresses"] == away["addresses"]
    heard(box, first, "marker-written")  # it boots as it did, from its own disk
    assert box.http.get(f"/image/v2/images/{shelved['id']}").status_code == 404
    assert not (box.state / "images" / shelved["id"]).exists()
    box.delete(first)
    for one in (copy, off):
        assert box.http.delete(f"/image/v2/images/{one}").status_code == 204
