# SPDX-License-Identifier: Apache-2.0
"""Nobody sees, changes or learns of what is another project's: every route and every action, walked from their tables.

A row that this does not know how to address fails by name (see `PARAMS` here and `walk`).
"""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from kilonova.api.http.route import DefaultPolicy
from kilonova.api.identity.catalog import stable_id
from kilonova.networks.ids import network_id, port_id, security_group_id
from tests.service.api import Api, running_api
from tests.service.people import as_user, grant, identity, member, role_id, user
from tests.service.walk import (
    ADMINS,
    COMPUTE,
    IDENTITY,
    IMAGE,
    NETWORK,
    UNKNOWN_HEX,
    UNKNOWN_NAME,
    UNKNOWN_UUID,
    Target,
    targets,
)

TARGETS = tuple(targets())
TOKENS = "/identity/v3/auth/tokens"


@dataclass(frozen=True)
class TwoTenants:
    """`owner` is a member with one of everything, `reader` one who may look at it, `stranger` a member elsewhere with a
    server too.  `things` are the owner's, by name."""

    admin: Api
    owner: Api
    reader: Api
    stranger: Api
    things: Mapping[str, str]
    strangers_server: str

    async def state(self) -> Any:
        """All that there is of the owner's, as an administrator sees it."""
        one, ours = self.things, f"{IDENTITY}/users/{self.things['user']}"
        paths = [
            *(
                f"{COMPUTE}/servers/{one['server']}{more}"
                for more in ("", "/metadata", "/tags", "/os-instance-actions")
            ),
            f"{COMPUTE}/os-keypairs?user_id={one['user']}",
            f"{IMAGE}/images/{one['image']}",
            f"{IMAGE}/images/{one['image']}/members",
            f"{COMPUTE}/os-server-groups/{one['group']}",
            f"{COMPUTE}/os-quota-sets/{one['project']}/detail",
            *(f"{ours}{more}" for more in ("", "/application_credentials")),
            f"{IDENTITY}/projects/{one['project']}",
            f"{IDENTITY}/role_assignments?scope.project.id={one['project']}",
        ]
        replies = [await self.admin.call("GET", path) for path in paths]
        assert {reply.status_code for reply in replies} == {200}
        return [reply.json() for reply in replies]


@asynccontextmanager
async def world() -> AsyncGenerator[TwoTenants]:
    async with running_api() as admin:
        owner, user_id, project_id = await member(admin, "owner")
        stranger, _, _ = await member(admin, "stranger")
        reader_id = await user(admin, "reader")
        await grant(admin, project_id, reader_id, "reader")
        # Before the owner's: the first address of a network is no secret.
        elsewhere = await stranger.server(await stranger.image(name="image"), name="server")
        image = await owner.image(name="private picture")
        # With a third project, so that there is a membership that is nobody else's to see.
        await owner.call("POST", f"{IMAGE}/images/{image}/members", json={"member": "third project"})
        key = await owner.compute("POST", "/os-keypairs", {"keypair": {"name": "own-key"}})
        assert key.status_code == 201
        group = {"server_group": {"name": "own-group", "policy": "soft-affinity"}}
        grouped = (await owner.compute("POST", "/os-server-groups", group)).json()["server_group"]["id"]
        tagged = {"metadata": {"example": "own-value"}, "tags": ["own-tag"], "key_name": "own-key"}
        server = await owner.server(image, name="own-server", **tagged)
        shown = (await owner.json(f"/servers/{server}"))["server"]
        asked = {"application_credential": {"name": "own-credential"}}
        path = f"/users/{user_id}/application_credentials"
        limit = {"service_id": stable_id("image"), "resource_name": "image_count_total", "resource_limit": 50}
        limits = await identity(admin, "POST", "/limits", {"limits": [{"project_id": project_id, **limit}]}, 201)
        things = {
            "server": server,
            "image": image,
            "group": grouped,
            "user": user_id,
            "project": project_id,
            "port": port_id(server, 0),
            "security group": security_group_id(project_id),
            "request": (await owner.json(f"/servers/{server}/os-instance-actions"))["instanceActions"][0]["request_id"],
            "address": shown["addresses"]["kilonova"][0]["addr"],
            "credential": (await identity(owner, "POST", path, asked, 201))["application_credential"]["id"],
            "limit": limits["limits"][0]["id"],
            "names": "own-",
        }
        yield TwoTenants(admin, owner, await as_user(admin, "reader", project_id), stranger, things, elsewhere)


@dataclass(frozen=True)
class Param:
    """What stands for a name in a path: the owner's thing, or one that all share; and what is nobody's."""

    value: Callable[[Mapping[str, str]], str]
    unknown: str | None = None


def own(thing: str, unknown: str = UNKNOWN_UUID) -> Param:
    return Param(lambda things: things[thing], unknown)


def shared(value: str) -> Param:
    return Param(lambda things: value)


PARAMS: Mapping[tuple[str, str], Param] = {
    (COMPUTE, "server_id"): own("server"),
    (COMPUTE, "key"): shared("example"),
    (COMPUTE, "tag"): shared("own-tag"),
    (COMPUTE, "network"): shared("kilonova"),
    (COMPUTE, "port_id"): own("port"),
    (COMPUTE, "request_id"): own("request", f"req-{UNKNOWN_UUID}"),
    (COMPUTE, "name"): Param(lambda things: "own-key", UNKNOWN_NAME),
    (COMPUTE, "flavor_id"): shared("1"),
    (COMPUTE, "hypervisor_id"): shared(UNKNOWN_UUID),
    (COMPUTE, "service_id"): shared(UNKNOWN_UUID),
    (COMPUTE, "aggregate_id"): shared("1"),
    (COMPUTE, "migration_id"): shared("1"),
    (COMPUTE, "class_id"): shared("default"),
    (COMPUTE, "volume_id"): shared(UNKNOWN_UUID),
    (COMPUTE, "host"): shared("box1"),
    (COMPUTE, "before"): shared("2026-01-01 00:00:00"),
    (COMPUTE, "alias"): shared("os-consoles"),
    (COMPUTE, "group_id"): own("group"),
    (COMPUTE, "project_id"): own("project", UNKNOWN_HEX),
    (COMPUTE, "image_id"): own("image"),
    (IMAGE, "image_id"): own("image"),
    (IMAGE, "tag"): shared("own-tag"),
    (IMAGE, "member_id"): own("project", UNKNOWN_HEX),
    ("/image-store/v1", "image_id"): shared(UNKNOWN_UUID),
    (IDENTITY, "user_id"): own("user", UNKNOWN_HEX),
    (IDENTITY, "project_id"): own("project", UNKNOWN_HEX),
    (IDENTITY, "credential_id"): own("credential", UNKNOWN_HEX),
    (IDENTITY, "limit_id"): own("limit", UNKNOWN_HEX),
    (IDENTITY, "role_id"): shared(UNKNOWN_HEX),
    (IDENTITY, "implied_role_id"): shared(UNKNOWN_HEX),
    (IDENTITY, "group_id"): shared(UNKNOWN_HEX),
    (IDENTITY, "tag"): shared("own-tag"),
    (IDENTITY, "domain_id"): shared("default"),
    (IDENTITY, "service_id"): shared(UNKNOWN_HEX),
    (IDENTITY, "endpoint_id"): shared(UNKNOWN_HEX),
    (IDENTITY, "region_id"): shared("RegionOne"),
    (NETWORK, "networks"): shared(network_id("kilonova")),
    (NETWORK, "subnets"): shared(UNKNOWN_UUID),
    (NETWORK, "ports"): own("port"),
    (NETWORK, "security-groups"): own("security group"),
    (NETWORK, "security-group-rules"): shared(UNKNOWN_UUID),
    (NETWORK, "extensions"): shared("port"),
    (NETWORK, "quotas"): own("project", UNKNOWN_HEX),
}
"""By service and name; Network, whose ids are all called so, by the word before it."""


def param(target: Target, name: str) -> Param:
    service = "/".join(target.template.split("/")[:3])
    key = target.template.split("/")[3] if service == NETWORK else name
    found = PARAMS.get((service, key))
    assert found is not None, f"{target.what}: tests/service/test_tenants.py has no {key} of {service} in PARAMS"
    return found


def filled(target: Target, things: Mapping[str, str], *, unknown: bool = False) -> dict[str, str]:
    """Values for the names in the path: the owner's things, or what is nobody's in their place."""
    values: dict[str, str] = {}
    for name in target.names:
        one = param(target, name)
        values[name] = one.unknown if unknown and one.unknown is not None else one.value(things)
    return values


def is_anothers(target: Target) -> bool:
    return any(param(target, name).unknown is not None for name in target.names)


async def send(api: Api, target: Target, params: Mapping[str, str], query: str = "") -> httpx.Response:
    asked = target.asked(params)
    headers = {
        **asked.pop("headers"),
        **({"X-Auth-Token": api.token, "X-Subject-Token": api.token} if api.token else {}),
    }
    return await api.cloud.http.request(**{**asked, "url": asked["url"] + query}, headers=headers)


def without(text: str, values: Mapping[str, str] | list[str]) -> str:
    """An answer without what was asked for, which it may repeat."""
    for value in values.values() if isinstance(values, Mapping) else values:
        text = text.replace(value, "IT").replace(value.upper(), "IT")
    return text


def test_every_row_can_be_addressed() -> None:
    for target in TARGETS:
        for name in target.names:
            param(target, name)
    assert len(TARGETS) > 100


async def test_without_a_token_there_are_versions_health_and_the_log_in_and_nothing_else() -> None:
    async def main() -> None:
        async with running_api() as api:
            nobody = replace(api, token="")
            names = ("server", "port", "request", "image", "group", "user", "project", "credential", "limit")
            things = dict.fromkeys((*names, "security group"), UNKNOWN_UUID)
            for target in TARGETS:
                reply = await send(nobody, target, filled(target, things))
                if target.default is not DefaultPolicy.ANYBODY:
                    assert reply.status_code == 401, target.what
                    assert reply.json()["error"]["code"] == 401

    await main()
    open_to_all = {target.what for target in TARGETS if target.default is DefaultPolicy.ANYBODY}
    assert open_to_all == {
        "GET ",
        "GET /healthz",
        "GET /readyz",
        "GET /openapi.json",
        *(f"GET {path}" for path in ("/compute", "/compute/v2", "/identity", "/image", "/image/versions", "/network")),
        *(f"GET {path}" for path in (COMPUTE, IDENTITY, IMAGE, NETWORK)),
        "POST /identity/v3/auth/tokens",
        # Signed URLs: the signature is the permission (tests/service/test_image_stores.py).
        "GET /image-store/v1/images/{image_id}",
        "PUT /image-store/v1/images/{image_id}",
    }


async def test_a_reader_changes_nothing_and_a_member_does_nothing_of_an_administrators() -> None:
    async with world() as w:
        before = await w.state()
        for target in TARGETS:
            for api, roles in ((w.reader, (DefaultPolicy.MEMBER, *ADMINS)), (w.owner, ADMINS)):
                if target.default in roles:
                    reply = await send(api, target, filled(target, w.things))
                    assert reply.status_code == 403, (target.what, reply.text)
                    assert "Policy doesn't allow" in reply.text
        assert await w.state() == before


async def test_a_reader_reads() -> None:
    """So that the test above does not pass because of something else."""

    async with world() as w:
        for path in (f"/servers/{w.things['server']}", "/servers/detail", "/flavors"):
            assert (await w.reader.compute("GET", path)).status_code == 200
        assert (await w.reader.call("GET", f"/image/v2/images/{w.things['image']}")).status_code == 200


async def test_what_is_anothers_is_answered_like_what_is_not_there() -> None:
    async with world() as w:
        before, walked = await w.state(), 0
        for target in TARGETS:
            if target.default in (DefaultPolicy.ANYBODY, *ADMINS) or not is_anothers(target):
                continue
            theirs, nothing = filled(target, w.things), filled(target, w.things, unknown=True)
            found, missing = await send(w.stranger, target, theirs), await send(w.stranger, target, nothing)
            assert found.status_code in (403, 404), (target.what, found.text)
            assert found.status_code == missing.status_code, (target.what, found.text, missing.text)
            assert without(found.text, theirs) == without(missing.text, nothing), target.what
            assert await w.state() == before, target.what
            walked += 1
        assert walked > 40


def marks(things: Mapping[str, str]) -> list[str]:
    """What would betray the owner."""
    return [value for name, value in things.items() if name != "security group"]


async def test_lists_hold_nothing_of_anothers() -> None:
    async with world() as w:
        for target in TARGETS:
            if target.method == "GET" and target.default is not DefaultPolicy.ANYBODY and not is_anothers(target):
                reply = await send(w.stranger, target, filled(target, w.things))
                betrayed = [mark for mark in marks(w.things) if mark in reply.text]
                assert betrayed == [], (target.what, reply.text)
        assert "own-server" in json.dumps(await w.owner.json("/servers"))


ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    IMAGE: ("name", "id", "owner", "status", "visibility", "marker", "limit", "sort_key", "instance_uuid"),
    NETWORK: ("id", "name", "device_id", "project_id", "tenant_id", "fixed_ips", "network_id", "marker", "limit"),
    IDENTITY: ("name", "user_id", "domain_id", "user.id", "scope.project.id", "marker", "limit"),
}
"""What the lists of services that declare no arguments might look at."""


@pytest.mark.parametrize("service", [COMPUTE, IDENTITY, IMAGE, NETWORK])
async def test_filters_and_markers_tell_nothing_of_anothers(service: str) -> None:
    async with world() as w:
        pairs = [
            (w.things["server"], UNKNOWN_UUID),
            (w.things["project"], UNKNOWN_HEX),
            (w.things["user"], UNKNOWN_HEX),
            ("own-server", UNKNOWN_NAME),
            ("own-tag", UNKNOWN_NAME),
            ("own-key", UNKNOWN_NAME),
            (w.things["address"], "203.0.113.7"),
        ]
        for target in TARGETS:
            if target.method != "GET" or target.default in (DefaultPolicy.ANYBODY, *ADMINS) or is_anothers(target):
                continue
            if not target.template.startswith(service):
                continue
            params = filled(target, w.things)
            for argument in target.query or ARGUMENTS.get(service, ()):
                for theirs, nothing in pairs:
                    found = await send(w.stranger, target, params, f"?{argument}={theirs}")
                    missing = await send(w.stranger, target, params, f"?{argument}={nothing}")
                    where = (target.what, argument, theirs)
                    assert found.status_code == missing.status_code, (where, found.text, missing.text)
                    said = without(missing.text, [nothing, UNKNOWN_UUID])
                    assert without(found.text, [theirs, UNKNOWN_UUID]) == said, where


async def test_all_projects_are_an_administrators() -> None:
    async with world() as w:
        theirs = f"project_id={w.things['project']}"
        for words in ("all_tenants=1", "all_tenants", "all_tenants=True", f"all_tenants=1&{theirs}"):
            for path in ("/servers", "/servers/detail"):
                assert (await w.stranger.compute("GET", f"{path}?{words}")).status_code == 403
        elsewhere = await w.stranger.json(f"/servers?{theirs}")
        assert [server["id"] for server in elsewhere["servers"]] == [w.strangers_server]
        mine = (await w.admin.json("/servers?all_tenants=1"))["servers"]
        assert {server["id"] for server in mine} == {w.things["server"], w.strangers_server}


async def test_a_server_is_not_made_of_anothers_things() -> None:
    async with world() as w:
        shown = (await w.stranger.json(f"/servers/{w.strangers_server}"))["server"]
        asked = {"name": "thief", "flavorRef": "1", "networks": "auto", "imageRef": shown["image"]["id"]}
        pairs = (
            ({"imageRef": w.things["image"]}, {"imageRef": UNKNOWN_UUID}),
            ({"key_name": "own-key"}, {"key_name": UNKNOWN_NAME}),
        )
        for fields, unknown in pairs:
            found = await w.stranger.compute("POST", "/servers", {"server": {**asked, **fields}})
            missing = await w.stranger.compute("POST", "/servers", {"server": {**asked, **unknown}})
            assert found.status_code == missing.status_code == 400
            assert without(found.text, fields) == without(missing.text, unknown)
        said: list[str] = []
        for group in (w.things["group"], UNKNOWN_UUID):
            hint = {"server": asked, "os:scheduler_hints": {"group": group}}
            reply = await w.stranger.compute("POST", "/servers", hint)
            assert reply.status_code == 400
            said.append(without(reply.text, [group]))
        assert said[0] == said[1]
        for image in (w.things["image"], UNKNOWN_UUID):
            for action in ({"rebuild": {"imageRef": image}}, {"rescue": {"rescue_image_ref": image}}):
                reply = await w.stranger.act(w.strangers_server, action)
                assert reply.status_code == 400
                said.append(without(reply.text, [image]))
        assert said[2:4] == said[4:6]


async def test_a_token_of_anothers_is_not_shown_and_not_revoked() -> None:
    async with world() as w:
        for method in ("GET", "HEAD", "DELETE"):
            for token in (w.owner.token, "no token"):
                reply = await w.stranger.call(method, TOKENS, headers={"X-Subject-Token": token})
                assert reply.status_code == 404
        assert (await w.owner.compute("GET", "/servers")).status_code == 200
        path = f"{IDENTITY}/projects/{w.things['project']}/users/{w.things['user']}/roles"
        reply = await w.stranger.call("PUT", f"{path}/{await role_id(w.admin, 'reader')}")
        assert reply.status_code == 403
