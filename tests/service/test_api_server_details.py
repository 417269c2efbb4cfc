# SPDX-License-Identifier: Apache-2.0
"""Metadata, tags, locks and the actions pause, unpause and reset state, as clients ask for them."""

from typing import Any

from tests.service.api import Api, message


async def test_metadata(api: Api) -> None:
    server_id = await api.server(await api.image(), metadata={"a b": "c"})
    path = f"/servers/{server_id}/metadata"
    assert await api.json(path) == {"metadata": {"a b": "c"}}
    assert await api.json(f"{path}/a%20b") == {"meta": {"a b": "c"}}
    merged = await api.compute("POST", path, {"metadata": {"x": "1"}})
    assert (merged.status_code, merged.json()) == (200, {"metadata": {"a b": "c", "x": "1"}})
    one = await api.compute("PUT", f"{path}/x", {"meta": {"x": "2"}})
    assert (one.status_code, one.json()) == (200, {"meta": {"x": "2"}})
    assert message(await api.compute("PUT", f"{path}/x", {"meta": {"y": "2"}}), 400, "badRequest")
    assert (await api.compute("DELETE", f"{path}/x")).status_code == 204
    assert message(await api.compute("DELETE", f"{path}/x"), 404, "itemNotFound")
    assert message(await api.compute("GET", f"{path}/x"), 404, "itemNotFound")
    assert (await api.compute("PUT", path, {"metadata": {"n": "v"}})).json() == {"metadata": {"n": "v"}}
    assert (await api.json(f"/servers/{server_id}"))["server"]["metadata"] == {"n": "v"}


async def test_bad_metadata_changes_nothing(api: Api) -> None:
    server_id = await api.server(await api.image(), metadata={"a": "b"})
    path = f"/servers/{server_id}/metadata"
    most = {f"k{n}": "" for n in range(128)}
    assert message(await api.compute("POST", path, {"metadata": most}), 403, "forbidden")
    for body in ({}, {"metadata": None}, {"metadata": {"a": 1}}, {"metadata": {"\u00e4": "x"}}, {"meta": {}}):
        assert message(await api.compute("POST", path, body), 400, "badRequest")
    for method, body in (("POST", {"metadata": {"x": "y"}}), ("PUT", {"metadata": {}}), ("DELETE", None)):
        key = "/a" if method == "DELETE" else ""
        assert (await api.as_("member").compute(method, path + key, body)).status_code == 404
        reader = api.as_("reader", project="p", user="u")
        assert (await reader.compute(method, path + key, body)).status_code == 403
    assert await api.json(path) == {"metadata": {"a": "b"}}


async def test_tags(api: Api) -> None:
    server_id = await api.server(await api.image())
    path = f"/servers/{server_id}/tags"
    assert await api.json(path) == {"tags": []}
    assert (await api.at("2.25").compute("GET", path)).status_code == 404
    new = await api.compute("PUT", f"{path}/red")
    assert (new.status_code, new.headers["location"].endswith(f"{path}/red")) == (201, True)
    assert (await api.compute("PUT", f"{path}/red")).status_code == 204
    assert (await api.compute("GET", f"{path}/red")).status_code == 204
    assert message(await api.compute("GET", f"{path}/blue"), 404, "itemNotFound")
    assert message(await api.compute("DELETE", f"{path}/blue"), 404, "itemNotFound")
    odd = await api.compute("PUT", f"{path}/%C3%BC%F0%A7%88%A2")
    assert (odd.status_code, odd.headers["location"].endswith("/%C3%BC%F0%A7%88%A2")) == (201, True)
    replaced = await api.compute("PUT", path, {"tags": ["b", "a", "b"]})
    assert (replaced.status_code, sorted(replaced.json()["tags"])) == (200, ["a", "b"])
    many = [f"t{n}" for n in range(51)]
    assert message(await api.compute("PUT", path, {"tags": many}), 400, "badRequest")
    assert message(await api.compute("PUT", f"{path}/{'x' * 61}"), 400, "badRequest")
    assert message(await api.compute("PUT", f"{path}/a,b"), 400, "badRequest")
    assert (await api.compute("PUT", path, {"tags": many[:50]})).status_code == 200
    assert message(await api.compute("PUT", f"{path}/one-more"), 400, "badRequest")
    assert (await api.compute("DELETE", f"{path}/t0")).status_code == 204
    assert len((await api.json(path))["tags"]) == 49
    assert (await api.compute("DELETE", path)).status_code == 204
    assert await api.json(path) == {"tags": []}


async def test_a_locked_server_is_its_administrators(api: Api) -> None:
    public = await api.image(visibility="public")
    owner = api.as_("member")
    server_id = await owner.server(public)

    async def act(caller: Api, body: dict[str, Any]) -> int:
        return (await caller.act(server_id, body)).status_code

    async def shown() -> tuple[bool, str | None]:
        server = (await owner.json(f"/servers/{server_id}"))["server"]
        return server["locked"], server["locked_reason"]

    assert await shown() == (False, None)
    assert await act(owner, {"lock": {"locked_reason": "mine"}}) == 202
    assert await shown() == (True, "mine")
    refused = await owner.act(server_id, {"os-stop": None})
    assert message(refused, 409, "conflictingRequest") == f"Instance {server_id} is locked"
    assert (await owner.compute("DELETE", f"/servers/{server_id}")).status_code == 409
    assert await act(owner, {"unlock": None}) == 202
    assert await shown() == (False, None)
    assert await act(api, {"lock": None}) == 202
    assert await act(owner, {"unlock": None}) == 403
    assert await act(owner, {"lock": None}) == 202
    assert await act(owner, {"unlock": None}) == 403, "an administrator's lock stays one"
    assert await act(api, {"pause": None}) == 202
    await owner.until(server_id, "PAUSED")
    assert await act(api, {"unlock": None}) == 202
    assert await act(owner, {"unpause": None}) == 202
    await owner.until(server_id, "ACTIVE")
    assert await act(owner.at("2.72"), {"lock": {"locked_reason": "x"}}) == 202
    assert await shown() == (True, None), "reasons came with 2.73"
    assert await act(owner, {"lock": {"locked_reason": ""}}) == 400
    names = [
        one["action"] for one in (await owner.json(f"/servers/{server_id}/os-instance-actions"))["instanceActions"]
    ]
    assert {"lock", "unlock", "pause", "unpause", "create"} == set(names)


async def test_pause_and_unpause(api: Api) -> None:
    server_id = await api.server(await api.image())
    path = f"/servers/{server_id}/action"
    assert message(await api.compute("POST", path, {"unpause": None}), 409, "conflictingRequest")
    assert (await api.compute("POST", path, {"pause": None})).status_code == 202
    assert (await api.until(server_id, "PAUSED"))["OS-EXT-STS:power_state"] == 3
    assert message(await api.compute("POST", path, {"os-stop": None}), 409, "conflictingRequest")
    assert (await api.compute("POST", path, {"unpause": None})).status_code == 202
    assert (await api.until(server_id, "ACTIVE"))["OS-EXT-STS:power_state"] == 1
    assert api.cloud.box.manager.driver.hypervisor.guests[server_id].starts == 1  # type: ignore[attr-defined]


async def test_an_administrator_resets_a_state(api: Api) -> None:
    server_id = await api.server(await api.image())
    path = f"/servers/{server_id}/action"
    body = {"os-resetState": {"state": "error"}}
    assert (await api.as_("member", project="p", user="u").compute("POST", path, body)).status_code == 403
    assert (await api.compute("POST", path, {"os-resetState": {"state": "stopped"}})).status_code == 400
    assert (await api.compute("POST", path, body)).status_code == 202
    await api.until(server_id, "ERROR")
    assert (await api.compute("POST", path, {"os-resetState": {"state": "active"}})).status_code == 202
    await api.until(server_id, "ACTIVE")
