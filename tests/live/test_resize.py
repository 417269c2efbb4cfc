# SPDX-License-Identifier: Apache-2.0
"""A real guest is resized, by a service that is killed in the middle, and goes back: it tells itself what it sees."""

import base64

import pytest

from tests.live.box import GUEST_IMAGE, libvirt_box, private_libvirtd, wait_for

pytestmark = pytest.mark.live

COUNTS_ITS_BOOTS = """#!/bin/sh
at="bs=512 count=1 conv=notrunc,sync"
before=$(dd if=/dev/vda skip=1000000 $at 2>/dev/null | tr -d '\\0')
echo $((before + 1)) | dd of=/dev/vda seek=1000000 $at 2>/dev/null
sync
echo "cpus=$(nproc) sectors=$(cat /sys/block/vda/size) boots-before=${before:-0}."
echo "ephemeral=$(findfs LABEL=ephemeral0 2>/dev/null) third=$(cat /sys/block/vdc/size 2>/dev/null)."
echo "made-by=$(cat /sys/class/dmi/id/product_name) serial=$(cat /sys/class/dmi/id/product_serial)."
"""
"""The count lies on the root disk, far behind what the image fills."""


def test_a_guest_sees_its_new_size_and_after_a_revert_its_old_disk() -> None:
    with private_libvirtd() as daemon, libvirt_box(daemon) as box:
        box.start("compute.resize.start.done=kill").ready()
        server_id = box.create(
            box.upload(GUEST_IMAGE), "sized", user_data=base64.b64encode(COUNTS_ITS_BOOTS.encode()).decode()
        )
        box.wait_status(server_id, "ACTIVE")

        def says(cpus: int, gib: int, boots_before: int, beside: str = "ephemeral= third=.") -> None:
            words = f"cpus={cpus} sectors={gib << 21} boots-before={boots_before}."
            told = f"made-by=OpenStack Nova serial={server_id}."
            said = lambda: str(box.act(server_id, {"os-getConsoleOutput": {}}, 200)["output"])  # noqa: E731
            wait_for(lambda: told in said().partition(words)[2], within_s=90, why=said)
            assert beside in said().rpartition(words)[2]

        says(cpus=1, gib=1, boots_before=0)
        sizes = {
            "name": "sized",
            "id": "sized",
            "ram": 192,
            "vcpus": 2,
            "disk": 2,
            "swap": 64,
            "OS-FLV-EXT-DATA:ephemeral": 1,
        }
        assert box.http.post("/compute/v2.1/flavors", json={"flavor": sizes}).status_code == 200
        box.act(server_id, {"resize": {"flavorRef": "sized"}})
        box.wait_dead()
        box.start().ready()
        box.wait_status(server_id, "VERIFY_RESIZE", 90)
        says(cpus=2, gib=2, boots_before=1, beside=f"ephemeral=/dev/vdb third={64 << 11}.")
        box.act(server_id, {"revertResize": None})
        box.wait_status(server_id, "ACTIVE")
        assert [path.name for path in box.files_of(server_id) if "kept" in path.name] == []
        says(cpus=1, gib=1, boots_before=1)  # what the larger one wrote went with its disk
        box.delete(server_id)
        assert (daemon.guests(), box.files_of(server_id)) == ({}, [])
