# SPDX-License-Identifier: Apache-2.0
"""Groups, roles that are made, and roles on the domain and on the system."""

from typing import Any

import httpx

from tests.service.api import Api, message, running_api
from tests.service.people import as_user, ask, grant, identity, member, project, role_id, user

DOMAIN = {"id": "default", "name": "Default"}


async def made_group(api: Api, name: str, *members: str) -> str:
    group = (await identity(api, "POST", "/groups", {"group": {"name": name, "domain_id": "default"}}, 201))["group"]
    for user_id in members:
        await identity(api, "PUT", f"/groups/{group['id']}/users/{user_id}", status=204)
    return group["id"]


async def made_role(api: Api, name: str) -> str:
    return (await identity(api, "POST", "/roles", {"role": {"name": name}}, 201))["role"]["id"]


async def scoped(api: Api, name: str, scope: Any) -> httpx.Response:
    said = {"user": {"name": name, "domain": DOMAIN, "password": f"password of {name}"}}
    return await ask(api, "password", said, scope)


async def test_a_group_gives_its_users_what_it_has_and_takes_it_away_again() -> None:
    async def main() -> None:
        async with running_api() as api:
            home, ann_id = await project(api, "home"), await user(api, "ann")
            crew = await made_group(api, "crew", ann_id)
            assert message(
                await api.call("POST", "/identity/v3/groups", json={"group": {"name": "crew"}}), 409, "error"
            )
            reader = await role_id(api, "member")
            given = f"/projects/{home}/groups/{crew}/roles"
            await identity(api, "HEAD", f"{given}/{reader}", status=404)
            await identity(api, "PUT", f"{given}/{reader}", status=204)
            await identity(api, "HEAD", f"{given}/{reader}", status=204)
            assert [one["name"] for one in (await identity(api, "GET", given))["roles"]] == ["member"]
            # What was given to the group is not the user's own.
            await grant(api, home, ann_id, "member", "HEAD", 404)
            assert (await identity(api, "GET", f"/projects/{home}/users/{ann_id}/roles"))["roles"] == []
            ann = await as_user(api, "ann", home)
            assert [one["id"] for one in (await identity(ann, "GET", "/auth/projects"))["projects"]] == [home]
            await _listed(api, crew, ann_id)
            await identity(ann, "GET", f"/groups/{crew}", status=403)
            assert [one["name"] for one in (await identity(ann, "GET", f"/users/{ann_id}/groups"))["groups"]] == [
                "crew"
            ]
            changed = {"group": {"name": "band", "motto": "on"}}
            assert (await identity(api, "PATCH", f"/groups/{crew}", changed))["group"]["motto"] == "on"
            for how in (f"/groups/{crew}/users/{ann_id}", f"/groups/{crew}"):
                await identity(api, "PUT", f"/groups/{crew}/users/{ann_id}", status=204)
                ann = await as_user(api, "ann", home)
                await identity(ann, "GET", "/auth/projects")
                await identity(api, "DELETE", how, status=204)
                await identity(ann, "GET", "/auth/projects", status=401)
            assert (await identity(api, "GET", "/role_assignments?scope.project.id=" + home))["role_assignments"] == []
            await identity(api, "GET", f"/groups/{crew}", status=404)

    async def _listed(api: Api, crew: str, ann_id: str) -> None:
        users = (await identity(api, "GET", f"/groups/{crew}/users"))["users"]
        assert users == [(await identity(api, "GET", f"/users/{ann_id}"))["user"]]
        query = f"/role_assignments?group.id={crew}&include_names"
        (entry,) = (await identity(api, "GET", query))["role_assignments"]
        assert (entry["group"]["name"], entry["scope"]["project"]["name"]) == ("crew", "home")
        query = f"/role_assignments?user.id={ann_id}&effective&include_names"
        effective = (await identity(api, "GET", query))["role_assignments"]
        assert {one["role"]["name"] for one in effective} == {"member", "reader"}
        assert all(one["user"]["name"] == "ann" and "membership" in one["links"] for one in effective)

    await main()


async def test_an_administrator_by_a_group_is_one_and_the_last_one_stays(api: Api) -> None:
    home, ann_id = await project(api, "home"), await user(api, "ann")
    crew = await made_group(api, "crew", ann_id)
    await identity(api, "PUT", f"/projects/{home}/groups/{crew}/roles/{await role_id(api, 'admin')}", status=204)
    ann = await as_user(api, "ann", home)
    (root,) = (await identity(ann, "GET", "/users?name=admin"))["users"]
    await identity(ann, "DELETE", f"/users/{root['id']}", status=204)
    for last in (f"/groups/{crew}", f"/groups/{crew}/users/{ann_id}", f"/users/{ann_id}"):
        refused = await ann.call("DELETE", f"/identity/v3{last}")
        assert "leave no administrator" in message(refused, 409, "error")
    assert (await identity(ann, "GET", f"/groups/{crew}/users"))["users"][0]["name"] == "ann"


async def test_a_role_that_is_made_permits_nothing_and_goes_from_everybody_with_its_end() -> None:
    async def main() -> None:
        async with running_api() as api:
            gardener = await made_role(api, "gardener")
            for taken in ("gardener", "Gardener", "admin", "ADMIN"):
                refused = await api.call("POST", "/identity/v3/roles", json={"role": {"name": taken}})
                assert "already" in message(refused, 409, "error")
            for unkept in ({"domain_id": "default"}, {"options": {"immutable": True}}):
                await identity(api, "POST", "/roles", {"role": {"name": "new", **unkept}}, 400)
            ann, ann_id, home = await member(api, "ann", "gardener")
            await identity(ann, "GET", f"/projects/{home}", status=403)
            assert (await ann.compute("GET", "/servers")).status_code == 403
            renamed = (await identity(api, "PATCH", f"/roles/{gardener}", {"role": {"name": "keeper"}}))["role"]
            assert (renamed["id"], renamed["name"]) == (gardener, "keeper")
            held = (await identity(api, "GET", f"/projects/{home}/users/{ann_id}/roles"))["roles"]
            assert held == [renamed]
            token = (await scoped(api, "ann", {"project": {"id": home}})).json()["token"]
            assert token["roles"] == [{"id": gardener, "name": "keeper"}]
            await identity(api, "DELETE", f"/roles/{gardener}", status=204)
            assert (await scoped(api, "ann", {"project": {"id": home}})).status_code == 401
            for immutable in ("admin", "member", "reader"):
                path = f"/identity/v3/roles/{await role_id(api, immutable)}"
                for method, more in (("DELETE", {}), ("PATCH", {"json": {"role": {"name": "x"}}})):
                    assert "immutable" in message(await api.call(method, path, **more), 403, "error")
                assert (await api.call("GET", path)).json()["role"]["options"] == {"immutable": True}
            await _implied(api)

    async def _implied(api: Api) -> None:
        ids = {name: await role_id(api, name) for name in ("admin", "member", "reader")}
        rules = (await identity(api, "GET", "/role_inferences"))["role_inferences"]
        assert [(one["prior_role"]["name"], [each["name"] for each in one["implies"]]) for one in rules] == [
            ("admin", ["member"]), ("member", ["reader"]),
        ]  # fmt: skip
        assert (await identity(api, "GET", f"/roles/{ids['reader']}/implies"))["role_inference"]["implies"] == []
        for prior, implied, status in (("admin", "member", 200), ("admin", "reader", 404), ("reader", "admin", 404)):
            one = f"/roles/{ids[prior]}/implies/{ids[implied]}"
            assert (await api.call("HEAD", f"/identity/v3{one}")).status_code == status
            await identity(api, "PUT", one, status=501)
            await identity(api, "DELETE", one, status=501)

    await main()


async def test_a_role_on_the_system_looks_at_users_and_opens_no_project() -> None:
    async def main() -> None:
        async with running_api() as api:
            (ann, ann_id, home), gardener = await member(api, "ann"), await made_role(api, "gardener")
            beyond = {"system": {"system": {"all": True}}, "domain": {"domain": {"name": "Default"}}}
            for kind, scope in beyond.items():
                assert (await scoped(api, "ann", scope)).status_code == 401
                where = "/system" if kind == "system" else "/domains/default"
                given = f"{where}/users/{ann_id}/roles"
                await identity(ann, "PUT", f"{given}/{await role_id(api, 'reader')}", status=403)
                await identity(api, "PUT", f"{given}/{await role_id(api, 'reader')}", status=204)
                assert [one["name"] for one in (await identity(api, "GET", given))["roles"]] == ["reader"]
                reply = await scoped(api, "ann", scope)
                token = reply.json()["token"]
                assert token[kind] == ({"all": True} if kind == "system" else DOMAIN)
                assert "project" not in token
                assert token["catalog"]
                assert len(token["roles"]) == 1
                one = Api(api.cloud, reply.headers["X-Subject-Token"])
                again = await ask(api, "token", {"id": one.token})
                assert again.json()["token"][kind] == token[kind]
                await _looks(one, ann_id, home)
                await identity(one, "GET", "/roles", status=200 if kind == "system" else 403)
                only = "scope.system=all" if kind == "system" else "scope.domain.id=default"
                (entry,) = (await identity(api, "GET", f"/role_assignments?user.id={ann_id}&{only}"))[
                    "role_assignments"
                ]
                assert kind in entry["scope"]
                scopes = await identity(ann, "GET", "/auth/system" if kind == "system" else "/auth/domains")
                assert len(scopes["system" if kind == "system" else "domains"]) == 1
                # Another role there keeps no token alive that does not have it.
                await identity(api, "PUT", f"{given}/{await role_id(api, 'member')}", status=204)
                await identity(api, "DELETE", f"{given}/{await role_id(api, 'reader')}", status=204)
                assert (await identity(api, "GET", given))["roles"][0]["name"] == "member"
                await identity(api, "PUT", f"{given}/{gardener}", status=204)
                await identity(api, "DELETE", f"{given}/{await role_id(api, 'member')}", status=204)
                await identity(one, "GET", "/users", status=401)
                await identity(api, "DELETE", f"{given}/{gardener}", status=204)
            # A role in a project is none beyond it, and none beyond is one in a project.
            for wrong in ({}, {"system": {"all": False}}, {**beyond["system"], **beyond["domain"]}):
                assert (await scoped(api, "ann", wrong)).status_code == 400
            assert (await scoped(api, "ann", {"domain": {"id": "other"}})).status_code == 401
            await identity(
                api, "PUT", f"/domains/other/users/{ann_id}/roles/{await role_id(api, 'reader')}", status=404
            )

    async def _looks(one: Api, ann_id: str, home: str) -> None:
        assert {each["name"] for each in (await identity(one, "GET", "/users"))["users"]} == {"admin", "ann"}
        assert {each["name"] for each in (await identity(one, "GET", "/projects"))["projects"]} >= {"admin"}
        await identity(one, "GET", f"/projects/{home}")
        await identity(one, "POST", "/users", {"user": {"name": "x"}}, 403)
        await identity(one, "PATCH", f"/users/{ann_id}", {"user": {"email": "x"}}, 403)
        for elsewhere in ("/compute/v2.1/servers", "/image/v2/images", "/network/v2.0/networks"):
            assert (await one.call("GET", elsewhere)).status_code == 403

    await main()


async def test_there_is_one_domain_and_no_generic_credential(api: Api) -> None:
    for name, code in (("Default", 409), ("default", 409), ("second", 403), ("", 400), ("x" * 65, 400)):
        assert message(await api.call("POST", "/identity/v3/domains", json={"domain": {"name": name}}), code, "error")
    for method in ("PATCH", "DELETE"):
        await identity(api, method, "/domains/default", status=403)
        await identity(api, method, "/domains/other", status=404)
    ann, ann_id, _ = await member(api, "ann")
    ec2 = f"/users/{ann_id}/credentials/OS-EC2"
    for path in ("/credentials", ec2):
        assert (await identity(ann, "GET", path))["credentials"] == []
        refused = await ann.call("POST", f"/identity/v3{path}", json={"credential": {"type": "cert", "blob": "x"}})
        assert message(refused, 501, "error").startswith("The action you have requested has not been implemented")
        assert "Could not find credential" in message(await ann.call("GET", f"/identity/v3{path}/x"), 404, "error")
    (root,) = (await identity(api, "GET", "/users?name=admin"))["users"]
    await identity(ann, "GET", f"/users/{root['id']}/credentials/OS-EC2", status=403)
