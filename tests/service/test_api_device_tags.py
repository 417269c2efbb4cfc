# SPDX-License-Identifier: Apache-2.0
"""Tags of devices: taken at the versions that know them, shown, and told to the guest."""

import json

from kilonova.virt.fake import FakeDriver
from tests.service.api import Api, message

NETWORKS = "/network/v2.0/networks"


async def test_tags_of_the_nic_and_of_the_root_disk(api: Api) -> None:
    image = await api.image()
    network = (await api.call("GET", NETWORKS)).json()["networks"][0]["id"]
    root = {"source_type": "image", "destination_type": "local", "boot_index": 0, "uuid": image, "tag": "boot"}
    asked = {"networks": [{"uuid": network, "tag": "lan"}], "block_device_mapping_v2": [root]}
    for version in ("2.31", "2.37", "2.41"):
        assert "tag" in message(await api.at(version).create(image, **asked), 400, "badRequest")
    bad = {**asked, "networks": [{"uuid": network, "tag": "a,b"}]}
    assert "neither comma nor slash" in message(await api.create(image, **bad), 400, "badRequest")
    for version in ("2.32", "2.42", "2.90"):
        server = await api.at(version).server(image, **asked)
        (shown,) = (await api.json(f"/servers/{server}/os-interface"))["interfaceAttachments"]
        assert shown["tag"] == "lan"
        driver = api.cloud.box.manager.driver
        assert isinstance(driver, FakeDriver)
        drive = driver.hypervisor.guests[server].config_drive  # type: ignore[index]
        assert drive is not None
        told = json.loads(drive["openstack/latest/meta_data.json"])["devices"]
        assert [(device["type"], device["tags"]) for device in told] == [("nic", ["lan"]), ("disk", ["boot"])]
