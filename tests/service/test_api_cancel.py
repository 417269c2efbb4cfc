# SPDX-License-Identifier: Apache-2.0
"""POST /kilonova/cancel: who may cancel what, and what the answer is when there is nothing to cancel."""

import asyncio
from typing import Any

import httpx

from kilonova.objects.ids import InstanceId
from kilonova.virt.fake.driver import FakeDriver
from tests.service.api import Api, message, until
from tests.service.people import member


async def cancel(api: Api, name: str) -> httpx.Response:
    return await api.compute("POST", "/kilonova/cancel", {"cancel": {"id": name}})


async def test_members_cancel_what_waits_in_their_project(api: Api) -> None:
    driver = api.cloud.box.manager.driver
    assert isinstance(driver, FakeDriver)
    opened, reached = asyncio.Event(), asyncio.Event()

    async def hang(call: str, _guest: InstanceId | None) -> None:
        if call == "define":
            reached.set()
            await opened.wait()

    ann, _, home = await member(api, "ann", "member")
    driver.hypervisor.before_call = hang
    created = await ann.create(await ann.image())
    server_id, request_id = created.json()["server"]["id"], created.headers["x-openstack-request-id"]
    await reached.wait()

    reader = api.as_("reader", project=home, user="u-reader")
    assert "kilonova:actions:cancel" in message(await cancel(reader, server_id), 403, "forbidden")
    stranger = api.as_("member")
    for name in (server_id, request_id, "nothing"):
        message(await cancel(stranger, name), 404, "itemNotFound")
    await api.act(server_id, {"lock": None}, 202)
    assert "is locked" in message(await cancel(ann, server_id), 409, "conflictingRequest")
    await api.act(server_id, {"unlock": None}, 202)

    (one,) = (await cancel(ann, request_id)).json()["cancel"]["actions"]
    assert (one["action"], one["server_id"], one["result"]) == ("create", server_id, "cleaning-up")
    opened.set()

    async def ended() -> Any:
        return (await ann.json("/servers/detail"))["servers"][0]["addresses"] == {}

    await until(ended)
    again = message(await cancel(ann, one["id"]), 409, "conflictingRequest")
    assert again.endswith("has ended (cancelled).")
    message(await cancel(ann, server_id), 404, "itemNotFound")
    actions = (await ann.json(f"/servers/{server_id}/os-instance-actions"))["instanceActions"]
    action = next(each for each in actions if each["action"] == "create")
    assert action["message"].startswith("Cancelled by ann at ")
    detail = await ann.json(f"/servers/{server_id}/os-instance-actions/{request_id}")
    assert "conductor.cancel" in [event["event"] for event in detail["instanceAction"]["events"]]
