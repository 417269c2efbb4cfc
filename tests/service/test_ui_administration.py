# SPDX-License-Identifier: Apache-2.0
"""What the page's API shows to administrators only: notifications of all projects, and the permissions of roles."""

from pathlib import Path
from typing import Any

from kilonova.api.rules import RULES
from tests.service.api import Api, message, running_api
from tests.service.pages import lock, quiet_server
from tests.service.people import identity, member, role_id

NOTIFICATIONS = "/ui/api/notifications"


async def found(api: Api, query: str = "") -> list[dict[str, Any]]:
    reply = await api.call("GET", f"{NOTIFICATIONS}{query}")
    assert reply.status_code == 200, reply.text
    return reply.json()["notifications"]


async def test_notifications_are_found_by_number_type_and_server(api: Api) -> None:
    image_id = await api.image()
    first = await quiet_server(api, image_id)
    await lock(api, first, 2)
    second = await quiet_server(api, image_id)
    reply = await api.call("GET", NOTIFICATIONS)
    assert reply.headers["cache-control"] == "no-store"
    every = reply.json()["notifications"][-6:]  # those before them are of the image
    last = every[-1]["number"]
    assert [one["number"] for one in every] == list(range(last - 5, last + 1))
    assert [one["event_type"].removeprefix("instance.") for one in every] == [
        "create.start", "create.end", "lock", "unlock", "create.start", "create.end",
    ]  # fmt: skip
    assert every[2]["payload"]["uuid"] == first
    assert every[2]["payload"]["request_id"].startswith("req-")
    delivery = {"numbered": last, "published": last, "waiting": 0, "waiting_since": None}
    assert reply.json()["delivery"] == delivery
    for query, expected in (
        ("?limit=2", every[4:]),
        (f"?before={last - 1}&limit=2", every[2:4]),
        (f"?after={last - 4}&limit=2", every[2:4]),
        (f"?after={last}", []),
        (f"?server={second}", every[4:]),
        (f"?server={first}&after={last - 4}", every[2:4]),
        ("?type=instance.create", [every[0], every[1], every[4], every[5]]),
        (f"?type=instance.create.end&server={first}", [every[1]]),
        ("?type=instance.cre", []),
        ("?type=instance_lock", []),
        ("?server=%25", []),
    ):
        assert [query, await found(api, query)] == [query, expected]


async def test_only_administrators_see_notifications_and_a_wrong_argument_is_named(api: Api) -> None:
    ann, _, _ = await member(api, "ann")
    assert "kilonova:notifications:list" in message(await ann.call("GET", NOTIFICATIONS), 403, "forbidden")
    assert (await api.cloud.http.get(NOTIFICATIONS)).status_code == 401
    for query, name in (("after=x", "after"), ("limit=-1", "limit"), ("all=1", "all")):
        refused = message(await api.call("GET", f"{NOTIFICATIONS}?{query}"), 400, "badRequest")
        assert name in refused


async def permitted(api: Api, role: str) -> set[str]:
    reply = await api.call("GET", f"/ui/api/roles/{await role_id(api, role)}/permissions")
    assert reply.status_code == 200, reply.text
    assert reply.json()["role"] == role
    rules = reply.json()["rules"]
    assert {one["rule"] for one in rules} == RULES.keys()
    return {one["rule"] for one in rules if one["permitted"]}


async def test_what_a_role_may_do_is_what_the_policy_in_force_permits(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text('"os_compute_api:os-services:list": "rule:context_is_admin or role:operator"\n')
    async with running_api({("oslo_policy", "policy_file"): str(path)}) as api:
        await identity(api, "POST", "/roles", {"role": {"name": "auditor"}}, 201)
        admin, ann, reader = [await permitted(api, role) for role in ("admin", "member", "reader")]
        assert admin > ann > reader
        assert {"os_compute_api:servers:create", "identity:change_password"} <= ann
        assert "os_compute_api:os-services:list" not in ann
        assert reader & {"os_compute_api:servers:create", "os_compute_api:servers:detail"} == {
            "os_compute_api:servers:detail"
        }
        operator, auditor = await permitted(api, "operator"), await permitted(api, "auditor")
        assert operator - auditor == {"os_compute_api:os-services:list"}
        assert auditor < reader
        ann_herself, _, _ = await member(api, "ann")
        address = f"/ui/api/roles/{await role_id(api, 'reader')}/permissions"
        assert "kilonova:roles:permissions" in message(await ann_herself.call("GET", address), 403, "forbidden")
        assert (await api.call("GET", "/ui/api/roles/nothing/permissions")).status_code == 404
