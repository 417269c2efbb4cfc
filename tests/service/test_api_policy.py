# SPDX-License-Identifier: Apache-2.0
"""An operator's policy file in a running cloud."""

from pathlib import Path

import pytest

from kilonova.base.errors import ConfigError
from kilonova.config.load import load
from tests.service.api import message, running_api
from tests.service.cloud import running_cloud
from tests.service.people import as_user, grant, identity, member, role_id

OPERATOR = """
"os_compute_api:os-services:list": "rule:context_is_admin or role:operator"
"os_compute_api:servers:stop": "!"
"os_compute_api:servers:delete": "rule:context_is_admin"
"""


async def test_a_role_of_the_file_may_what_the_file_says_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(OPERATOR)

    async with running_api({("oslo_policy", "policy_file"): str(path)}) as api:
        ann, ann_id, home = await member(api, "ann", "member", "operator")
        token = await ann.call("GET", "/identity/v3/auth/tokens", headers={"X-Subject-Token": ann.token})
        assert [role["name"] for role in token.json()["token"]["roles"]] == ["member", "operator", "reader"]
        services = await ann.json("/os-services?binary=nova-compute")
        assert [service["binary"] for service in services["services"]] == ["nova-compute"]
        refused = await ann.compute("GET", "/os-hypervisors")
        assert "os_compute_api:os-hypervisors:list" in message(refused, 403, "forbidden")
        server = await ann.server(await ann.image())
        stop = await api.act(server, {"os-stop": None})
        assert "os_compute_api:servers:stop" in message(stop, 403, "forbidden")
        assert (await ann.compute("DELETE", f"/servers/{server}")).status_code == 403
        assert (await api.compute("DELETE", f"/servers/{server}")).status_code == 204
        path.write_text("")
        api.cloud.box.reload(load(overrides={("oslo_policy", "policy_file"): str(path)}))
        assert (await ann.compute("GET", "/os-services")).status_code == 403
        names = [one["name"] for one in (await identity(api, "GET", "/roles"))["roles"]]
        assert names == ["admin", "member", "operator", "reader"]  # somebody still has it
        await grant(api, home, ann_id, "operator", "DELETE")
        assert "operator" not in {one["name"] for one in (await identity(api, "GET", "/roles"))["roles"]}


async def test_who_context_is_admin_names_sees_all_projects(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text('"context_is_admin": "role:admin or role:support"\n')

    async with running_api({("oslo_policy", "policy_file"): str(path)}) as api:
        server = await api.server(await api.image())
        _, ann_id, home = await member(api, "ann", "reader", "support")
        ann = await as_user(api, "ann", home)
        assert (await ann.json(f"/servers/{server}"))["server"]["OS-EXT-SRV-ATTR:host"] == "box1"
        assert [one["id"] for one in (await ann.json("/servers?all_tenants=1"))["servers"]] == [server]
        await identity(ann, "GET", "/users", status=403)
        hidden = await ann.call("GET", "/identity/v3/auth/tokens", headers={"X-Subject-Token": api.token})
        assert hidden.status_code == 404
        assert [one["id"] for one in (await identity(ann, "GET", "/projects"))["projects"]] == [home]
        one = f"/projects/{home}/users/{ann_id}/roles/{await role_id(api, 'admin')}"
        await identity(ann, "PUT", one, status=403)
        await grant(api, home, ann_id, "support", "DELETE")
        assert (await ann.compute("GET", f"/servers/{server}")).status_code == 404


async def test_finer_rules_open_lists_limits_and_publishing(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    names = ("os_compute_api:servers:detail:get_all_tenants", "os_compute_api:limits:other_project", "publicize_image")
    path.write_text("".join(f'"{name}": "role:auditor"\n' for name in names))

    async with running_api({("oslo_policy", "policy_file"): str(path)}) as api:
        server = await api.server(await api.image())
        ann, _, _ = await member(api, "ann", "member", "auditor")
        (shown,) = (await ann.json("/servers/detail?all_tenants=1"))["servers"]
        assert shown["id"] == server
        assert "OS-EXT-SRV-ATTR:host" not in shown
        assert (await ann.compute("GET", "/servers?all_tenants=1")).status_code == 403
        assert (await api.compute("GET", "/servers/detail?all_tenants=1")).status_code == 403
        assert (await ann.compute("GET", f"/limits?tenant_id={shown['tenant_id']}")).status_code == 200
        await ann.image(visibility="public")


async def test_each_action_of_aggregates_and_flavors_has_the_rule_that_nova_has(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    opened = ("os-aggregates:add_host", "os-aggregates:show", "os-flavor-access:add_tenant_access", "os-flavor-access")
    rules = [f'"os_compute_api:{name}": "role:operator or rule:context_is_admin"' for name in opened]
    path.write_text("\n".join([*rules, '"os_compute_api:os-aggregates:set_metadata": "!"']))

    async with running_api({("oslo_policy", "policy_file"): str(path)}) as api:
        ann, _, home = await member(api, "ann", "operator", "member")
        bob, _, _ = await member(api, "bob")
        made = (await api.compute("POST", "/os-aggregates", {"aggregate": {"name": "rack"}})).json()["aggregate"]
        rack = f"/os-aggregates/{made['id']}/action"
        add, remove = {"add_host": {"host": "box1"}}, {"remove_host": {"host": "box1"}}
        assert "os-aggregates:add_host" in message(await bob.compute("POST", rack, add), 403, "forbidden")
        assert (await ann.compute("POST", rack, add)).json()["aggregate"]["hosts"] == ["box1"]
        assert "os-aggregates:remove_host" in message(await ann.compute("POST", rack, remove), 403, "forbidden")
        metadata = {"set_metadata": {"metadata": {"disk": "ssd"}}}
        assert "os-aggregates:set_metadata" in message(await api.compute("POST", rack, metadata), 403, "forbidden")
        assert (await api.compute("POST", rack, remove)).json()["aggregate"]["hosts"] == []

        flavor = {"name": "own", "id": "own", "ram": 1, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": False}
        assert (await api.compute("POST", "/flavors", {"flavor": flavor})).status_code == 200
        own, entry = "/flavors/own/action", {"flavor_id": "own", "tenant_id": home}
        add, remove = {"addTenantAccess": {"tenant": home}}, {"removeTenantAccess": {"tenant": home}}
        assert "add_tenant_access" in message(await bob.compute("POST", own, add), 403, "forbidden")
        assert (await api.compute("POST", own, add)).json()["flavor_access"] == [entry]
        assert (await ann.compute("POST", own, add)).status_code == 409
        assert "remove_tenant_access" in message(await ann.compute("POST", own, remove), 403, "forbidden")
        assert (await api.compute("POST", own, remove)).json()["flavor_access"] == []


async def test_a_file_that_cannot_be_used_stops_the_start_and_not_a_running_service(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text('"os_compute_api:servers:show": "role:x andd role:y"')
    settings = {("oslo_policy", "policy_file"): str(path)}

    with pytest.raises(ConfigError):
        async with running_cloud(settings):
            pass
    async with running_api() as api:
        with pytest.raises(ConfigError, match="cannot be parsed"):
            api.cloud.box.reload(load(overrides=settings))
        assert (await api.compute("GET", "/servers")).status_code == 200


def test_a_path_that_is_not_absolute() -> None:
    with pytest.raises(ConfigError, match=r"not absolute: policy\.yaml"):
        load(overrides={("oslo_policy", "policy_file"): "policy.yaml"})
