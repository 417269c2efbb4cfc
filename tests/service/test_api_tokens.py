# SPDX-License-Identifier: Apache-2.0
"""Tokens: revoked, unscoped, made from each other; and application credentials."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.service.api import Api, message
from tests.service.people import DOMAIN, as_user, ask, by_password, grant, identity, member, project, user

TOKENS = "/identity/v3/auth/tokens"


async def about(api: Api, method: str, token: str) -> httpx.Response:
    return await api.call(method, TOKENS, headers={"X-Subject-Token": token})


async def status(api: Api) -> int:
    return (await api.compute("GET", "/servers")).status_code


async def test_a_token_that_was_revoked_is_no_token(api: Api) -> None:
    ann, _, home = await member(api, "ann")
    other, _, _ = await member(api, "other")
    second = await as_user(api, "ann", home)
    derived = replace(ann, token=(await ask(api, "token", {"id": ann.token})).headers["X-Subject-Token"])
    for token in (ann.token, derived.token):
        assert (await about(api, "HEAD", token)).status_code == 200
    assert (await about(other, "DELETE", ann.token)).status_code == 404
    assert await status(ann) == 200
    assert (await about(ann, "DELETE", ann.token)).status_code == 204
    assert await status(ann) == 401
    assert message(await about(api, "GET", ann.token), 404, "error")
    assert (await about(api, "DELETE", ann.token)).status_code == 404
    assert (await ask(api, "token", {"id": ann.token})).status_code == 401
    assert (await status(second), await status(derived)) == (200, 200)
    assert (await about(api, "DELETE", second.token)).status_code == 204
    assert await status(second) == 401


async def test_an_unscoped_token_shows_where_one_can_log_in_and_opens_nothing_else(api: Api) -> None:
    _, _, home = await member(api, "ann")
    said = {"user": {"name": "ann", "domain": DOMAIN, "password": "password of ann"}}
    for scope in (None, "unscoped"):
        reply = await ask(api, "password", said, scope)
        assert reply.status_code == 201
        assert not {"project", "roles", "catalog"} & reply.json()["token"].keys()
        bare = replace(api, token=reply.headers["X-Subject-Token"])
        assert [one["id"] for one in (await identity(bare, "GET", "/auth/projects"))["projects"]] == [home]
        for path in ("/compute/v2.1/servers", "/image/v2/images", "/network/v2.0/networks"):
            assert (await bare.call("GET", path)).status_code == 403
        action = await bare.compute("POST", "/servers/x/action", {"os-stop": None})
        assert "no project" in message(action, 403, "forbidden")
        scoped = await ask(api, "token", {"id": bare.token}, {"project": {"id": home}})
        assert scoped.json()["token"]["project"]["id"] == home
        unscoped = await ask(api, "token", {"id": bare.token})
        assert "project" not in unscoped.json()["token"]


async def test_a_token_is_exchanged_for_one_of_another_project(api: Api) -> None:
    ann, ann_id, _ = await member(api, "ann")
    elsewhere = await project(api, "elsewhere")
    scope = {"project": {"name": "elsewhere", "domain": DOMAIN}}
    assert (await ask(api, "token", {"id": ann.token}, scope)).status_code == 401
    await grant(api, elsewhere, ann_id, "reader")
    token = (await ask(api, "token", {"id": ann.token}, scope)).json()["token"]
    assert token["project"]["id"] == elsewhere
    assert [one["name"] for one in token["roles"]] == ["reader"]


async def test_a_default_project_without_a_role_makes_an_unscoped_token(api: Api) -> None:
    home = await project(api, "home")
    ann_id = await user(api, "ann", default_project_id=home)
    assert "project" not in (await by_password(api, "ann")).json()["token"]
    await grant(api, home, ann_id, "member")
    assert (await by_password(api, "ann")).json()["token"]["project"]["id"] == home
    await identity(api, "DELETE", f"/projects/{home}", status=204)
    assert "project" not in (await by_password(api, "ann")).json()["token"]
    assert "default_project_id" not in (await identity(api, "GET", f"/users/{ann_id}"))["user"]


async def credential(api: Api, user_id: str, code: int = 201, **fields: Any) -> Any:
    asked = {"application_credential": {"name": "robot", **fields}}
    reply = await identity(api, "POST", f"/users/{user_id}/application_credentials", asked, code)
    return reply["application_credential"] if code == 201 else reply["error"]["message"]


async def by_credential(api: Api, made: Any) -> Api:
    reply = await ask(api, "application_credential", {"id": made["id"], "secret": made["secret"]})
    assert reply.status_code == 201, reply.text
    return replace(api, token=reply.headers["X-Subject-Token"])


async def test_a_credential_logs_in_for_its_user_in_its_project(api: Api) -> None:
    ann, ann_id, home = await member(api, "ann")
    made = await credential(ann, ann_id, description="of a robot")
    assert (made["project_id"], made["unrestricted"], made["expires_at"]) == (home, False, None)
    assert {one["name"] for one in made["roles"]} == {"member", "reader"}
    path = f"/users/{ann_id}/application_credentials"
    shown = (await identity(ann, "GET", f"{path}/{made['id']}"))["application_credential"]
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (await identity(ann, "GET", f"{path}?name=robot"))["application_credentials"] == [shown]
    assert (await identity(ann, "GET", f"{path}?name=x"))["application_credentials"] == []
    named = {"name": "robot", "user": {"name": "ann", "domain": DOMAIN}, "secret": made["secret"]}
    for said in ({"id": made["id"], "secret": made["secret"]}, named):
        token = (await ask(api, "application_credential", said)).json()["token"]
        assert (token["project"]["id"], token["user"]["id"]) == (home, ann_id)
        reference = {"id": made["id"], "name": "robot", "restricted": True}
        assert token["application_credential"] == reference
    scope = {"project": {"id": home}}
    for wrong in ({"id": made["id"], "secret": "x"}, {**named, "name": "y"}, {"id": "z", "secret": "x"}):
        assert (await ask(api, "application_credential", wrong)).status_code == 401
    refused = await ask(api, "application_credential", {**named}, scope)
    assert "cannot request a scope" in message(refused, 401, "error")


async def test_a_restricted_credential_manages_none_and_an_unrestricted_one_does(api: Api) -> None:
    ann, ann_id, _ = await member(api, "ann")
    made = await credential(ann, ann_id)
    robot = await by_credential(api, made)
    assert await status(robot) == 200
    assert "restricted" in await credential(robot, ann_id, 403, name="second")
    path = f"/users/{ann_id}/application_credentials/{made['id']}"
    await identity(robot, "DELETE", path, status=403)
    derived = await ask(api, "token", {"id": robot.token})
    assert derived.json()["token"]["application_credential"]["restricted"]
    again = replace(api, token=derived.headers["X-Subject-Token"])
    assert "restricted" in await credential(again, ann_id, 403, name="second")
    free = await by_credential(api, await credential(ann, ann_id, name="free", unrestricted=True))
    await credential(free, ann_id, name="second")
    await identity(free, "DELETE", path, status=204)
    assert (await status(robot), await status(again)) == (401, 401)


async def test_a_credential_has_some_roles_of_its_user_and_never_more(api: Api) -> None:
    ann, ann_id, home = await member(api, "ann")
    reader = await by_credential(api, await credential(ann, ann_id, roles=[{"name": "reader"}]))
    assert await status(reader) == 200
    assert (await reader.compute("POST", "/servers", {"server": {}})).status_code == 403
    assert "admin" in await credential(ann, ann_id, 400, name="x", roles=[{"name": "admin"}])
    full = await by_credential(api, await credential(ann, ann_id, name="full"))
    await grant(api, home, ann_id, "admin")
    assert (await full.compute("GET", "/os-services")).status_code == 403
    # The user gives what he has by now, and a credential what it has itself.
    await credential(ann, ann_id, name="newer", roles=[{"name": "admin"}])
    free = await by_credential(
        api, await credential(ann, ann_id, name="free", roles=[{"name": "reader"}], unrestricted=True)
    )
    assert "admin" in await credential(free, ann_id, 400, name="y", roles=[{"name": "admin"}])
    assert "member" in await credential(free, ann_id, 400, name="y", roles=[{"name": "member"}])
    await grant(api, home, ann_id, "admin", "DELETE")
    await grant(api, home, ann_id, "member", "DELETE")
    assert await status(full) == 401


async def test_a_credentials_token_keeps_to_its_project(api: Api) -> None:
    ann, ann_id, home = await member(api, "ann")
    elsewhere = await project(api, "elsewhere")
    await grant(api, elsewhere, ann_id, "admin")
    robot = await by_credential(api, await credential(ann, ann_id))
    for scope in ({"project": {"id": elsewhere}}, "unscoped"):
        assert (await ask(api, "token", {"id": robot.token}, scope)).status_code == 401
    same = await ask(api, "token", {"id": robot.token}, {"project": {"id": home}})
    assert same.json()["token"]["project"]["id"] == home


async def test_a_credential_ends_at_its_time_and_with_its_user(api: Api) -> None:
    ann, ann_id, _ = await member(api, "ann")
    now = api.cloud.clock.now()
    at = (now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%f")
    made = await credential(ann, ann_id, expires_at=at)
    assert made["expires_at"] == at
    robot = await by_credential(api, made)
    later = now + timedelta(hours=2)
    api.cloud.clock.now = lambda: later  # pyright: ignore[reportAttributeAccessIssue]
    said = {"id": made["id"], "secret": made["secret"]}
    assert (await ask(api, "application_credential", said)).status_code == 401
    api.cloud.clock.now = lambda: now  # pyright: ignore[reportAttributeAccessIssue]
    assert await status(robot) == 200
    await identity(api, "PATCH", f"/users/{ann_id}", {"user": {"enabled": False}})
    assert await status(robot) == 401
    assert (await ask(api, "application_credential", said)).status_code == 401


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"access_rules": [{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]}, "access_rules"),
        ({"expires_at": "yesterday"}, "ISO 8601"),
        ({"expires_at": "2020-01-01T00:00:00"}, "past"),
        ({"name": ""}, "name"),
        ({"secret": ""}, "secret"),
        ({"roles": [{}]}, "role"),
    ],
)
async def test_credentials_that_cannot_be(api: Api, fields: dict[str, Any], word: str) -> None:
    ann, ann_id, _ = await member(api, "ann")
    assert word in await credential(ann, ann_id, 400, **fields)


async def test_credentials_are_their_users_own(api: Api) -> None:
    ann, ann_id, _ = await member(api, "ann")
    other, other_id, _ = await member(api, "other")
    made = await credential(ann, ann_id)
    assert "called robot already" in await credential(ann, ann_id, 409)
    await credential(api, ann_id, 403, name="by another")
    path = f"/application_credentials/{made['id']}"
    for method in ("GET", "DELETE"):
        await identity(other, method, f"/users/{ann_id}{path}", status=403)
        await identity(other, method, f"/users/{other_id}{path}", status=404)
    bare = replace(api, token=(await by_password(api, "ann")).headers["X-Subject-Token"])
    assert "belongs to a project" in await credential(bare, ann_id, 400, name="x")
    await identity(api, "DELETE", f"/users/{ann_id}{path}", status=204)
