# SPDX-License-Identifier: Apache-2.0
"""A cloud whose driver has the core and nothing besides: servers live on it, the rest is refused with the reason."""

from typing import Any

from tests.service.api import Api, message, running_api

PLAIN = {("DEFAULT", "compute_driver"): "tests.plain_driver.PlainDriver"}

BEYOND: tuple[dict[str, Any], ...] = (
    {"suspend": None},
    {"resize": {"flavorRef": "2"}},
    {"createImage": {"name": "copy"}},
    {"rescue": {}},
    {"shelve": None},
)


async def _refused(api: Api, server: str, body: dict[str, Any]) -> str:
    """What the action says when it has failed; the server runs as it did."""
    reply = await api.act(server, body)
    assert reply.status_code in (200, 202), reply.text
    shown = await api.until(server, "ACTIVE")
    assert (shown["OS-EXT-STS:power_state"], shown["flavor"]["original_name"]) == (1, "m1.nano")
    newest = (await api.json(f"/servers/{server}/os-instance-actions"))["instanceActions"][0]
    assert newest["action"] in body
    whole = await api.json(f"/servers/{server}/os-instance-actions/{newest['request_id']}")
    assert [event["event"].partition(".")[2] for event in whole["instanceAction"]["events"]] == ["observe"]
    return newest["message"]


async def test_what_the_driver_cannot_do_is_refused_in_a_sentence_and_the_server_runs_on() -> None:
    async with running_api(PLAIN) as api:
        server = await api.server(await api.image())
        for version in ("2.47", "2.90"):
            reply = await api.at(version).compute("GET", f"/servers/{server}/diagnostics")
            assert message(reply, 501, "notImplemented") == "This host's driver cannot measure a guest."
        for body in BEYOND:
            assert "This host's driver cannot " in await _refused(api, server, body)
        images = (await api.call("GET", "/image/v2/images")).json()["images"]
        assert [image["name"] for image in images] == ["image"]
        await api.act(server, {"os-stop": None})
        await api.until(server, "SHUTOFF")
        await api.compute("DELETE", f"/servers/{server}")
        await api.until(server, "GONE")
