# SPDX-License-Identifier: Apache-2.0
"""Files that a create or a rebuild puts into a server, up to 2.56."""

import base64
import json
from typing import Any

from kilonova.objects.ids import InstanceId
from kilonova.virt.fake import FakeDriver
from tests.service.api import Api, message, running_api


def file(path: str, data: bytes) -> dict[str, str]:
    return {"path": path, "contents": base64.b64encode(data).decode()}


def given(api: Api, server_id: str) -> dict[str, bytes]:
    """What the guest finds in its config drive, by the path where it belongs."""
    driver = api.cloud.box.manager.driver
    assert isinstance(driver, FakeDriver)
    drive = driver.hypervisor.guests[InstanceId(server_id)].config_drive
    assert drive is not None
    meta = json.loads(drive["openstack/latest/meta_data.json"])
    return {one["path"]: drive[f"openstack{one['content_path']}"] for one in meta.get("files", ())}


async def test_files_reach_the_guest_by_its_config_drive() -> None:
    async with running_api() as newest:
        api, image = newest.at("2.56"), await newest.image()
        files = [file("/etc/motd", b"hello\n"), file("/etc/key", bytes(range(256)))]
        server_id = await api.server(image, personality=files)
        assert given(api, server_id) == {"/etc/motd": b"hello\n", "/etc/key": bytes(range(256))}
        assert "personality" not in (await api.json(f"/servers/{server_id}"))["server"]

        async def rebuild(**wish: Any) -> dict[str, bytes]:
            body = {"rebuild": {"imageRef": image, **wish}}
            reply = await api.act(server_id, body)
            assert reply.status_code == 202, reply.text
            await api.until(server_id, "ACTIVE")
            return given(api, server_id)

        assert len(await rebuild()) == 2
        assert await rebuild(personality=[file("/new", b"new")]) == {"/new": b"new"}
        assert await rebuild(personality=[]) == {}


async def test_files_that_are_refused() -> None:
    async with running_api({("quota", "injected_file_path_length"): 9}) as newest:
        api, image = newest.at("2.56"), await newest.image()

        async def refused(status: int, key: str, *files: Any, caller: Api = api) -> str:
            return message(await caller.create(image, personality=list(files)), status, key)

        assert "not valid base64" in await refused(400, "badRequest", {"path": "/a", "contents": "~"})
        assert "'path' is a required" in await refused(400, "badRequest", {"contents": ""})
        assert "'personality' was unexpected" in await refused(400, "badRequest", caller=newest.at("2.57"))
        assert "file limit" in await refused(403, "forbidden", *[file("/a", b"")] * 6)
        assert "path exceeds" in await refused(403, "forbidden", file("/too/long/", b""))
        assert "content exceeds" in await refused(403, "forbidden", file("/a", bytes(7700)))
        limits = (await api.json("/limits"))["limits"]["absolute"]
        assert (limits["maxPersonality"], limits["maxPersonalitySize"]) == (5, 10240)
        rebuilt = {"rebuild": {"imageRef": image, "personality": [{"path": "/a", "contents": "~"}]}}
        server_id = await newest.server(image)
        for caller in (api, newest):
            reply = await caller.act(server_id, rebuilt)
            assert message(reply, 400, "badRequest")
