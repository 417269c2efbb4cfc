# SPDX-License-Identifier: Apache-2.0
"""What depends on a server's state, or on its lock, besides the rules of the verbs."""

from typing import Any

import pytest

from tests.service.api import Api, message

NOTHING = "00000000-0000-4000-8000-000000000000"


async def test_only_a_guest_that_runs_can_be_asked_to_reboot(api: Api) -> None:
    server_id = await api.server(await api.image())
    for stop, status in (
        ({"os-stop": None}, "SHUTOFF"),
        ({"pause": None}, "PAUSED"),
        ({"suspend": None}, "SUSPENDED"),
    ):
        assert (await api.act(server_id, stop)).status_code == 202
        await api.until(server_id, status)
        soft = await api.act(server_id, {"reboot": {"type": "SOFT"}})
        assert "a hard reboot can" in message(soft, 409, "conflictingRequest")
        assert (await api.until(server_id, status))["status"] == status
        assert (await api.act(server_id, {"reboot": {"type": "HARD"}})).status_code == 202
        await api.until(server_id, "ACTIVE")


EDITS = (
    ("POST", "metadata", {"metadata": {"x": "y"}}),
    ("PUT", "metadata", {"metadata": {}}),
    ("PUT", "metadata/a", {"meta": {"a": "y"}}),
    ("DELETE", "metadata/a", None),
    ("PUT", "tags", {"tags": ["new"]}),
    ("PUT", "tags/new", None),
    ("DELETE", "tags/t", None),
    ("DELETE", "tags", None),
)


@pytest.mark.parametrize(("method", "path", "body"), EDITS)
async def test_metadata_and_tags_are_edited_in_the_states_in_which_nova_does(
    api: Api, method: str, path: str, body: Any
) -> None:
    server_id = await api.server(await api.image(), metadata={"a": "b"}, tags=["t"])
    assert (await api.act(server_id, {"rescue": {}})).status_code == 200
    before = await api.until(server_id, "RESCUE")
    refused = await api.compute(method, f"/servers/{server_id}/{path}", body)
    assert "while it is in vm_state rescued" in message(refused, 409, "conflictingRequest")
    assert (await api.json(f"/servers/{server_id}"))["server"] == before
    assert (await api.act(server_id, {"unrescue": None})).status_code == 202
    await api.until(server_id, "ACTIVE")
    assert (await api.act(server_id, {"os-stop": None})).status_code == 202
    await api.until(server_id, "SHUTOFF")
    assert (await api.compute(method, f"/servers/{server_id}/{path}", body)).status_code < 300


async def test_the_metadata_of_a_locked_server_is_its_administrators(api: Api) -> None:
    owner = api.as_("member")
    server_id = await owner.server(await api.image(visibility="public"), metadata={"a": "b"}, tags=["t"])
    assert (await owner.act(server_id, {"lock": {"locked_reason": "mine"}})).status_code == 202
    for method, path, body in EDITS:
        reply = await owner.compute(method, f"/servers/{server_id}/{path}", body)
        if path.startswith("metadata"):
            assert message(reply, 409, "conflictingRequest") == f"Instance {server_id} is locked"
        else:
            assert reply.status_code in (200, 201, 204, 404), (method, path)
    assert (await owner.json(f"/servers/{server_id}/metadata"))["metadata"] == {"a": "b"}
    by_admin = await api.compute("POST", f"/servers/{server_id}/metadata", {"metadata": {"c": "d"}})
    assert by_admin.json() == {"metadata": {"a": "b", "c": "d"}}


async def test_a_lock_that_is_there_stays_as_it_is_to_its_owner(api: Api) -> None:
    owner = api.as_("member")
    server_id = await owner.server(await api.image(visibility="public"))

    async def reason() -> Any:
        return (await owner.json(f"/servers/{server_id}"))["server"]["locked_reason"]

    for caller, text, kept in (
        (owner, "mine", "mine"),
        (owner, "mine again", "mine"),
        (api, "maintenance", "maintenance"),
        (owner, "mine after all", "maintenance"),
    ):
        assert (await caller.act(server_id, {"lock": {"locked_reason": text}})).status_code == 202
        assert await reason() == kept
    assert (await owner.act(server_id, {"lock": None})).status_code == 202
    assert await reason() == "maintenance"
    assert (await owner.act(server_id, {"unlock": None})).status_code == 403


async def test_a_delete_by_force_is_a_delete_and_nothing_can_be_restored(api: Api) -> None:
    server_id = await api.server(await api.image())
    path = f"/servers/{server_id}/action"
    refused = await api.compute("POST", path, {"restore": None})
    assert "Cannot 'restore'" in message(refused, 409, "conflictingRequest")
    for body in ({"restore": None}, {"forceDelete": None}):
        assert (await api.as_("reader").compute("POST", path, body)).status_code == 403
        assert (await api.as_("member").compute("POST", path, body)).status_code == 404
    assert (await api.act(server_id, {"forceDelete": None})).status_code == 202
    await api.until(server_id, "GONE")
    for body in ({"restore": None}, {"forceDelete": None}, {"dance": None}, {"migrate": None}):
        assert message(await api.compute("POST", path, body), 404, "itemNotFound")
        assert (await api.act(NOTHING, body)).status_code == 404


async def test_a_migration_says_that_there_is_no_other_host(api: Api) -> None:
    server_id = await api.server(await api.image())
    path, body = f"/servers/{server_id}/action", {"migrate": None}
    assert "No valid host was found" in message(await api.compute("POST", path, body), 400, "badRequest")
    assert (await api.as_("member").compute("POST", path, body)).status_code == 403
    assert (await api.act(server_id, {"suspend": None})).status_code == 202
    await api.until(server_id, "SUSPENDED")
    assert "Cannot 'migrate'" in message(await api.compute("POST", path, body), 409, "conflictingRequest")


async def test_names_may_have_the_blanks_of_any_script_and_host_names_are_as_at_a_create(api: Api) -> None:
    image = await api.image()
    odd = "\u6771\u4eac\u3000web\u00a01"
    server_id = await api.server(image, name=odd)
    assert [one["name"] for one in (await api.json(f"/servers?name=%5E{odd}%24"))["servers"]] == [odd]
    assert (await api.compute("GET", f"/servers/{odd}")).status_code == 404
    for bad in ("a\u200bb", "a\nb", "\u3000a", "a\u2028b"):
        assert (await api.compute("PUT", f"/servers/{server_id}", {"server": {"name": bad}})).status_code == 400
    assert (await api.act(server_id, {"rebuild": {"imageRef": image, "hostname": "x"}})).status_code == 400
