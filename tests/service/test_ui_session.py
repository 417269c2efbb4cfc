# SPDX-License-Identifier: Apache-2.0
"""The page's session: a log-in that survives a reload, and that no other page can use."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from kilonova.base.errors import RpcUnavailable
from tests.service.api import Api, message, running_api
from tests.service.cloud import PASSWORD, password_login
from tests.service.people import DOMAIN, by_password, grant, identity, member, project

PAGE = {"X-Kilonova-UI": "1"}
OWN = {**PAGE, "Origin": "http://box", "Sec-Fetch-Site": "same-origin"}
EVIL = "http://evil.example"
HOSTILE_NAME = "<img src=x onerror=alert(1)>"


async def log_in(api: Api, body: Any = None, **headers: str) -> httpx.Response:
    return await api.cloud.http.post("/ui/session", json=body or password_login(PASSWORD), headers={**OWN, **headers})


async def resume(api: Api, **headers: str) -> httpx.Response:
    return await api.cloud.http.post("/ui/session/resume", headers={**OWN, **headers})


async def use(api: Api, token: str) -> int:
    return (await replace(api, token=token).compute("GET", "/servers")).status_code


async def test_a_log_in_survives_a_reload(api: Api) -> None:
    begun = await log_in(api)
    assert begun.status_code == 201, begun.text
    token = begun.headers["X-Subject-Token"]
    assert await use(api, token) == 200
    assert {one["type"] for one in begun.json()["token"]["catalog"]} >= {"compute", "image", "identity"}
    resumed = await resume(api)
    assert (resumed.status_code, resumed.headers["X-Subject-Token"]) == (200, token)
    assert resumed.json() == begun.json()
    for reply in (begun, resumed):
        assert reply.headers["cache-control"] == "no-store"


async def test_the_cookie_goes_to_the_session_only_and_no_script_reads_it(api: Api) -> None:
    name, *attributes = (await log_in(api)).headers["set-cookie"].split("; ")
    assert name.startswith("kilonova_session=")
    assert attributes == ["Path=/ui/session", "HttpOnly", "SameSite=Strict"]
    assert api.cloud.http.cookies
    for path in ("/compute/v2.1/servers", "/identity/v3/auth/projects", "/image/v2/images", "/ui/"):
        assert "cookie" not in api.cloud.http.build_request("GET", path).headers
    token = next(iter(api.cloud.http.cookies.values()))
    stolen = {"Cookie": f"kilonova_session={token}"}
    assert (await api.cloud.http.get("/compute/v2.1/servers", headers=stolen)).status_code == 401


async def test_the_cookie_is_secure_where_the_page_is() -> None:
    async with running_api({("api", "public_endpoint"): "https://cloud.example.org"}) as api:
        begun = await log_in(api, Origin="https://cloud.example.org")
        assert begun.headers["set-cookie"].endswith("; SameSite=Strict; Secure")
        refused = await api.cloud.http.post(
            "/ui/session/resume", headers={**PAGE, "Origin": "http://cloud.example.org"}
        )
        assert "another origin" in message(refused, 403, "forbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Kilonova-UI": "0", "Sec-Fetch-Site": "same-origin"},
        {**PAGE, "Origin": EVIL},
        {**PAGE, "Origin": "null"},
        {**PAGE, "Origin": "http://box.evil.example"},
        {**PAGE, "Origin": "http://box:81"},
        {**PAGE, "Origin": "http://box", "Sec-Fetch-Site": "cross-site"},
        {**PAGE, "Sec-Fetch-Site": "same-site"},
        {**PAGE, "Sec-Fetch-Site": "none"},
    ],
)
async def test_a_page_of_another_origin_neither_uses_nor_begins_a_session(api: Api, headers: dict[str, str]) -> None:
    token = (await log_in(api)).headers["X-Subject-Token"]
    http, login = api.cloud.http, password_login(PASSWORD)
    for method, path, body in (
        ("POST", "/ui/session", login),
        ("POST", "/ui/session/resume", None),
        ("POST", "/ui/session/project", {"scope": "unscoped"}),
        ("DELETE", "/ui/session", None),
    ):
        reply = await http.request(method, path, json=body, headers={**headers, "X-Auth-Token": token})
        assert "own page" in message(reply, 403, "forbidden"), path
        assert not {"set-cookie", "x-subject-token", "access-control-allow-origin"} & reply.headers.keys()
    assert await use(api, token) == 200
    preflight = await http.options("/ui/session/resume", headers={"Origin": EVIL})
    assert preflight.status_code == 405
    assert "access-control-allow-origin" not in preflight.headers


async def test_a_wrong_password_begins_nothing_and_is_counted_as_any_log_in(api: Api) -> None:
    refused = await log_in(api, password_login("wrong"))
    assert message(refused, 401, "error") == "The request you have made requires authentication."
    assert "set-cookie" not in refused.headers
    assert api.cloud.box.vitals.metrics.value("kilonova_refused_log_ins_total", reason="wrong") == 1
    reply = await resume(api)
    assert "log in" in message(reply, 401, "error")


async def test_an_application_credential_begins_a_session(api: Api) -> None:
    ann, ann_id, home = await member(api, "ann")
    asked = {"application_credential": {"name": "robot"}}
    path = f"/users/{ann_id}/application_credentials"
    made = (await identity(ann, "POST", path, asked, 201))["application_credential"]
    said = {"id": made["id"], "secret": made["secret"]}
    body = {"auth": {"identity": {"methods": ["application_credential"], "application_credential": said}}}
    assert (await log_in(api, body)).json()["token"]["project"]["id"] == home
    assert (await resume(api)).json()["token"]["application_credential"]["name"] == "robot"


async def test_another_project_is_another_token_in_the_same_session(api: Api) -> None:
    _, ann_id, home = await member(api, "ann")
    elsewhere = await project(api, "elsewhere")
    await grant(api, elsewhere, ann_id, "reader")
    said = {"user": {"name": "ann", "domain": DOMAIN, "password": "password of ann"}}
    scope = {"project": {"id": home}}
    body = {"auth": {"identity": {"methods": ["password"], "password": said}, "scope": scope}}
    first = (await log_in(api, body)).headers["X-Subject-Token"]

    async def switch(token: str, scope: Any) -> httpx.Response:
        headers = {**OWN, "X-Auth-Token": token}
        return await api.cloud.http.post("/ui/session/project", json={"scope": scope}, headers=headers)

    there = await switch(first, {"project": {"id": elsewhere}})
    assert (there.status_code, there.json()["token"]["project"]["id"]) == (201, elsewhere)
    assert (await resume(api)).json()["token"]["project"]["id"] == elsewhere
    assert await use(api, first) == 200
    refused = await switch(first, {"project": {"id": "no such"}})
    assert refused.status_code == 401
    assert (await resume(api)).json()["token"]["project"]["id"] == elsewhere
    for token in ("", "junk"):
        assert (await switch(token, "unscoped")).status_code == 401


async def test_a_log_out_revokes_the_token_and_forgets_the_cookie(api: Api) -> None:
    token = (await log_in(api)).headers["X-Subject-Token"]
    other = (await by_password(api, "admin", password=PASSWORD)).headers["X-Subject-Token"]
    cookie = {"Cookie": f"kilonova_session={token}"}
    ended = await api.cloud.http.delete("/ui/session", headers={**OWN, "X-Auth-Token": other})
    assert ended.status_code == 204
    assert "Max-Age=0" in ended.headers["set-cookie"]
    assert not api.cloud.http.cookies
    assert (await use(api, token), await use(api, other)) == (401, 401)
    resumed = await resume(api, **cookie)
    assert "session has ended" in message(resumed, 401, "error")
    assert "Max-Age=0" in resumed.headers["set-cookie"]
    assert (await api.cloud.http.delete("/ui/session", headers={**OWN, **cookie})).status_code == 204


async def test_a_log_out_that_cannot_be_recorded_can_be_repeated(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    token = (await log_in(api)).headers["X-Subject-Token"]

    async def away(*_: object) -> None:
        raise RpcUnavailable("No conductor answers.")

    with monkeypatch.context() as patch:
        patch.setattr(type(api.cloud.box.app.deps.rpc), "call", away)
        failed = await api.cloud.http.delete("/ui/session", headers=OWN)
    assert (failed.status_code, "set-cookie" in failed.headers) == (503, False)
    assert (await api.cloud.http.delete("/ui/session", headers=OWN)).status_code == 204
    assert await use(api, token) == 401


async def test_a_session_ends_with_its_token(api: Api) -> None:
    await log_in(api)
    clock, later = api.cloud.clock, api.cloud.clock.now() + timedelta(hours=2)
    clock.now = lambda: later  # pyright: ignore[reportAttributeAccessIssue]
    assert "session has ended" in message(await resume(api), 401, "error")
    assert not api.cloud.http.cookies


async def test_a_hostile_name_passes_as_json_and_unchanged(api: Api) -> None:
    image = await api.image()
    server_id = await api.server(image, name=HOSTILE_NAME, metadata={"k": HOSTILE_NAME})
    reply = await api.compute("GET", f"/servers/{server_id}")
    assert reply.headers["content-type"] == "application/json"
    assert (reply.json()["server"]["name"], reply.json()["server"]["metadata"]) == (HOSTILE_NAME, {"k": HOSTILE_NAME})
    await project(api, HOSTILE_NAME)
    found = await identity(api, "GET", "/projects")
    assert HOSTILE_NAME in [one["name"] for one in found["projects"]]
