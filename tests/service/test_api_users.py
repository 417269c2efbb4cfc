# SPDX-License-Identifier: Apache-2.0
"""Users, projects and roles over Identity v3, and what their changes do to tokens."""

from typing import Any

import pytest

from tests.service.api import Api, message, running_api
from tests.service.people import as_user, by_password, grant, identity, member, project, role_id, user


async def status(api: Api, path: str = "/compute/v2.1/servers") -> int:
    return (await api.call("GET", path)).status_code


async def test_users_are_made_shown_changed_and_deleted(api: Api) -> None:
    home = await project(api, "home")
    address = "ann@example.org"
    asked = {"name": "ann", "password": "x", "default_project_id": home, "description": "t", "email": address}
    made = (await identity(api, "POST", "/users", {"user": asked}, 201))["user"]
    assert made.keys() == {
        "id", "name", "domain_id", "description", "enabled", "password_expires_at", "options", "links",
        "default_project_id", "email",
    }  # fmt: skip
    assert made["email"] == address
    one = f"/users/{made['id']}"
    assert (await identity(api, "GET", one))["user"] == made
    assert made["links"]["self"].endswith(f"/identity/v3{one}")
    await identity(api, "GET", "/users/ann", status=404)
    listed = (await identity(api, "GET", "/users"))["users"]
    assert [entry["name"] for entry in listed] == ["admin", "ann"]
    for query, names in (("name=ann", ["ann"]), ("enabled=false", []), ("domain_id=other", [])):
        found = (await identity(api, "GET", f"/users?{query}"))["users"]
        assert [entry["name"] for entry in found] == names
    changes = {"name": "anna", "description": "", "default_project_id": None}
    changed = (await identity(api, "PATCH", one, {"user": changes}))["user"]
    assert (changed["name"], changed["description"]) == ("anna", "")
    assert ("default_project_id" in changed, changed["email"]) == (False, address)
    changes = {"email": "anna@example.org", "default_project_id": home}
    changed = (await identity(api, "PATCH", one, {"user": changes}))["user"]
    assert {name: changed[name] for name in changes} == changes
    changed = (await identity(api, "PATCH", one, {"user": {"email": None}}))["user"]
    assert ("email" in changed, changed["default_project_id"]) == (False, home)
    await identity(api, "DELETE", one, status=204)
    for method in ("GET", "DELETE", "PATCH"):
        await identity(api, method, one, {"user": {}} if method == "PATCH" else None, 404)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": "admin"}, 409),
        ({"name": ""}, 400),
        ({"name": "x" * 256}, 400),
        ({"password": ""}, 400),
        ({"password": "x" * 1025}, 400),
        ({"default_project_id": "nowhere"}, 404),
        ({"domain_id": "other"}, 404),
        ({"email": "x" * 256}, 400),
        ({"options": {"lock_password": True}}, 400),
    ],
)
async def test_users_that_cannot_be(api: Api, fields: dict[str, Any], code: int) -> None:
    asked = {"user": {"name": "ann", "password": "x", **fields}}
    assert message(await api.call("POST", "/identity/v3/users", json=asked), code, "error")
    assert len((await identity(api, "GET", "/users"))["users"]) == 1


async def test_a_user_without_a_password_is_let_in_by_none(api: Api) -> None:
    await identity(api, "POST", "/users", {"user": {"name": "bot"}}, 201)
    for password in ("", "x"):
        assert (await by_password(api, "bot", password=password or "none")).status_code == 401


async def test_projects_are_made_changed_and_deleted(api: Api) -> None:
    asked = {"name": "web", "description": "pages", "domain_id": "default", "parent_id": "default"}
    made = (await identity(api, "POST", "/projects", {"project": asked}, 201))["project"]
    one = f"/projects/{made['id']}"
    assert (await identity(api, "GET", one))["project"] == made
    assert message(await api.call("POST", "/identity/v3/projects", json={"project": asked}), 409, "error")
    for wrong in (
        {"tags": ["x,y"]},
        {"options": {"immutable": True}},
        {"parent_id": made["id"]},
        {"is_domain": True},
        {"name": "x" * 65},
    ):
        await identity(api, "POST", "/projects", {"project": {**asked, "name": "new", **wrong}}, 400)
    changed = (await identity(api, "PATCH", one, {"project": {"name": "www"}}))["project"]
    assert changed == {**made, "name": "www"}
    await identity(api, "PATCH", one, {"project": {"name": "admin"}}, 409)
    await identity(api, "DELETE", one, status=204)
    await identity(api, "DELETE", one, status=404)


async def test_a_project_is_not_deleted_while_anything_is_in_it(api: Api) -> None:
    ann, ann_id, home = await member(api, "ann")
    image = await ann.image(name="picture")
    for name in ("one", "two"):
        server = await ann.server(image, name=name)
    refusal = message(await api.call("DELETE", f"/identity/v3/projects/{home}"), 409, "error")
    assert "2 servers (one, two) and 1 image (picture)" in refusal
    assert await status(ann) == 200
    for server in (await ann.json("/servers"))["servers"]:
        await ann.compute("DELETE", f"/servers/{server['id']}")
        await ann.until(server["id"], "GONE")
    refusal = message(await api.call("DELETE", f"/identity/v3/projects/{home}"), 409, "error")
    assert "still has 1 image (picture)" in refusal
    await ann.call("DELETE", f"/image/v2/images/{image}")
    await identity(api, "DELETE", f"/projects/{home}", status=204)
    assert await status(ann) == 401
    assert (await identity(api, "GET", "/role_assignments?user.id=" + ann_id))["role_assignments"] == []


async def test_roles_are_given_checked_listed_and_taken_away() -> None:
    async def main() -> None:
        async with running_api() as api:
            assert [one["name"] for one in (await identity(api, "GET", "/roles"))["roles"]] == [
                "admin", "member", "reader",
            ]  # fmt: skip
            reader = await role_id(api, "reader")
            assert (await identity(api, "GET", f"/roles/{reader}"))["role"]["name"] == "reader"
            await identity(api, "GET", "/roles/reader", status=404)
            home, ann_id = await project(api, "home"), await user(api, "ann")
            await grant(api, home, ann_id, "member", "HEAD", 404)
            for _ in range(2):
                await grant(api, home, ann_id, "member")
            await grant(api, home, ann_id, "member", "HEAD")
            await grant(api, home, ann_id, "reader", "HEAD", 404)
            given = (await identity(api, "GET", f"/projects/{home}/users/{ann_id}/roles"))["roles"]
            assert [one["name"] for one in given] == ["member"]
            await _assignments(api, home, ann_id)
            ann = await as_user(api, "ann", home)
            assert await status(ann) == 200
            await grant(api, home, ann_id, "member", "DELETE")
            await grant(api, home, ann_id, "member", "DELETE", 404)
            assert await status(ann) == 401
            for wrong in (f"/projects/{home}/users/nobody", f"/projects/nowhere/users/{ann_id}"):
                await identity(api, "PUT", f"{wrong}/roles/{reader}", status=404)

    async def _assignments(api: Api, home: str, ann_id: str) -> None:
        query = f"/role_assignments?user.id={ann_id}&include_names"
        (entry,) = (await identity(api, "GET", query))["role_assignments"]
        assert (entry["role"]["name"], entry["user"]["name"]) == ("member", "ann")
        assert entry["scope"]["project"] == {
            "id": home, "name": "home", "domain": {"id": "default", "name": "Default"},
        }  # fmt: skip
        effective = (await identity(api, "GET", query + "&effective=true"))["role_assignments"]
        assert {one["role"]["name"] for one in effective} == {"member", "reader"}
        assert (await identity(api, "GET", query + "&scope.project.id=x"))["role_assignments"] == []
        assert (await identity(api, "GET", query + "&group.id=x"))["role_assignments"] == []
        (plain,) = (await identity(api, "GET", f"/role_assignments?user.id={ann_id}"))["role_assignments"]
        assert plain["role"].keys() == {"id"}

    await main()


async def test_what_is_taken_away_stops_at_once_and_what_is_given_comes_with_the_next_token(api: Api) -> None:
    ann, ann_id, home = await member(api, "ann", "member", "reader")
    body = {"server": {}}
    assert (await ann.compute("POST", "/servers", body)).status_code == 400
    await grant(api, home, ann_id, "member", "DELETE")
    assert (await ann.compute("POST", "/servers", body)).status_code == 403
    assert await status(ann) == 200
    await grant(api, home, ann_id, "admin")
    assert await status(ann, "/compute/v2.1/os-services") == 403
    assert await status(await as_user(api, "ann", home), "/compute/v2.1/os-services") == 200


@pytest.mark.parametrize("change", [{"enabled": False}, {"password": "new"}])
async def test_disabling_a_user_or_a_new_password_ends_the_tokens(api: Api, change: dict[str, Any]) -> None:
    ann, ann_id, home = await member(api, "ann")
    assert await status(ann) == 200
    await identity(api, "PATCH", f"/users/{ann_id}", {"user": change})
    assert await status(ann) == 401
    assert (await by_password(api, "ann", home)).status_code == 401
    if "enabled" in change:
        await identity(api, "PATCH", f"/users/{ann_id}", {"user": {"enabled": True}})
    again = await as_user(api, "ann", home, change.get("password"))
    assert await status(again) == 200
    assert await status(ann) == 401


async def test_disabling_a_project_shuts_it_until_it_is_enabled(api: Api) -> None:
    ann, _, home = await member(api, "ann")
    assert await status(ann) == 200
    await identity(api, "PATCH", f"/projects/{home}", {"project": {"enabled": False}})
    assert await status(ann) == 401
    assert (await by_password(api, "ann", home)).status_code == 401
    await identity(api, "PATCH", f"/projects/{home}", {"project": {"enabled": True}})
    assert await status(ann) == 200


async def test_a_user_that_is_deleted_is_out_at_once_and_the_servers_stay(api: Api) -> None:
    ann, ann_id, home = await member(api, "ann")
    server = await ann.server(await ann.image())
    assert (await ann.compute("POST", "/os-keypairs", {"keypair": {"name": "key"}})).status_code == 201
    await identity(api, "DELETE", f"/users/{ann_id}", status=204)
    assert await status(ann) == 401
    assert (await by_password(api, "ann", home)).status_code == 401
    assert (await api.json(f"/servers/{server}"))["server"]["tenant_id"] == home


async def test_the_last_administrator_stays_one(api: Api) -> None:
    (admin,) = (await identity(api, "GET", "/users?name=admin"))["users"]
    (place,) = (await identity(api, "GET", "/projects?name=admin"))["projects"]
    asked = (
        ("DELETE", f"/users/{admin['id']}", None),
        ("PATCH", f"/users/{admin['id']}", {"user": {"enabled": False}}),
        ("PATCH", f"/projects/{place['id']}", {"project": {"enabled": False}}),
        ("DELETE", f"/projects/{place['id']}", None),
        ("DELETE", f"/projects/{place['id']}/users/{admin['id']}/roles/{await role_id(api, 'admin')}", None),
    )
    await user(api, "bot", password=None)
    (bot,) = (await identity(api, "GET", "/users?name=bot"))["users"]
    await grant(api, place["id"], bot["id"], "admin")  # nobody can log in as this one
    for method, path, body in asked:
        more = {} if body is None else {"json": body}
        refusal = await api.call(method, f"/identity/v3{path}", **more)
        assert "leave no administrator" in message(refusal, 409, "error")
        assert await status(api, "/compute/v2.1/os-services") == 200
    _, second, _ = await member(api, "second", "admin")
    await identity(api, "PATCH", f"/users/{second}", {"user": {"enabled": False}})
    assert (await api.call("DELETE", f"/identity/v3/users/{admin['id']}")).status_code == 409
    await identity(api, "PATCH", f"/users/{second}", {"user": {"enabled": True}})
    await identity(api, "DELETE", f"/users/{admin['id']}", status=204)


async def test_one_changes_ones_own_password_by_the_old_one(api: Api) -> None:
    ann, ann_id, home = await member(api, "ann")
    path = f"/users/{ann_id}/password"
    await identity(ann, "POST", path, {"user": {"password": "new", "original_password": "wrong"}}, 401)
    other, _, _ = await member(api, "other")
    right = {"user": {"password": "new", "original_password": "password of ann"}}
    await identity(other, "POST", path, right, 403)
    assert await status(ann) == 200
    await identity(ann, "POST", path, right, 204)
    assert await status(ann) == 401
    assert (await by_password(api, "ann", home)).status_code == 401
    assert await status(await as_user(api, "ann", home, "new")) == 200


async def test_who_is_no_administrator_sees_only_oneself(api: Api) -> None:
    ann, ann_id, home = await member(api, "ann")
    _, other_id, elsewhere = await member(api, "other")
    assert (await identity(ann, "GET", f"/users/{ann_id}"))["user"]["name"] == "ann"
    for path in (f"/users/{ann_id}/projects", "/auth/projects", "/projects"):
        assert [one["id"] for one in (await identity(ann, "GET", path))["projects"]] == [home]
    for path in (f"/users/{other_id}", f"/users/{other_id}/projects", f"/projects/{elsewhere}", "/users"):
        await identity(ann, "GET", path, status=403)
    assert (await identity(ann, "GET", "/domains/default"))["domain"]["name"] == "Default"
    assert len((await identity(ann, "GET", "/domains?name=Default"))["domains"]) == 1
    assert (await identity(ann, "GET", "/domains?name=x"))["domains"] == []
    await identity(ann, "GET", "/domains/other", status=404)
    assert (await identity(ann, "GET", "/auth/domains"))["domains"] == []
