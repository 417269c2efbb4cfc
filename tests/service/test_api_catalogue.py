# SPDX-License-Identifier: Apache-2.0
"""Flavors, key pairs, limits: what servers are made from."""

import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.service.api import Api, message

FLAVOR: dict[str, Any] = {"name": "own", "ram": 256, "vcpus": 2, "disk": 3}


async def create(api: Api, **fields: Any) -> Any:
    return await api.compute("POST", "/flavors", {"flavor": {**FLAVOR, **fields}})


async def flavors(api: Api, query: str = "") -> list[str]:
    return [flavor["id"] for flavor in (await api.json(f"/flavors{query}"))["flavors"]]


async def test_flavors_at_their_microversions(api: Api) -> None:
    old = (await api.at("2.1").json("/flavors/1"))["flavor"]
    assert old.keys() == {
        "id", "name", "ram", "vcpus", "disk", "swap", "OS-FLV-EXT-DATA:ephemeral", "OS-FLV-DISABLED:disabled",
        "os-flavor-access:is_public", "rxtx_factor", "links",
    }  # fmt: skip
    assert (old["swap"], old["ram"]) == ("", 128)
    assert (await api.at("2.55").json("/flavors/1"))["flavor"].keys() - old.keys() == {"description"}
    assert (await api.at("2.61").json("/flavors/1"))["flavor"]["extra_specs"] == {}
    assert (await api.at("2.75").json("/flavors/1"))["flavor"]["swap"] == 0
    assert (await api.at("2.54").json("/flavors"))["flavors"][0].keys() == {"id", "name", "links"}
    assert (await api.at("2.55").json("/flavors"))["flavors"][0].keys() == {
        "id",
        "name",
        "links",
        "description",
    }
    assert message(await api.compute("GET", "/flavors/m1.nano"), 404, "itemNotFound")


async def test_making_and_deleting_flavors(api: Api) -> None:
    made = await create(api, description="mine", swap=5)
    assert made.status_code == 200
    flavor = made.json()["flavor"]
    assert re.fullmatch(r"[0-9a-f-]{36}", flavor["id"])
    assert (flavor["swap"], flavor["description"], flavor["rxtx_factor"]) == (5, "mine", 1.0)
    assert (await create(api)).status_code == 409
    assert (await create(api, name="other", id=flavor["id"])).status_code == 409
    assert (await create(api, name="auto", id="auto")).json()["flavor"]["id"] != "auto"
    assert (await create(api, name="chosen", id="my flavor")).json()["flavor"]["id"] == "my flavor"
    assert (await create(api, name="numbered", id=4711)).json()["flavor"]["id"] == "4711"
    gone = await api.compute("DELETE", f"/flavors/{flavor['id']}")
    assert (gone.status_code, gone.content, gone.headers["content-length"]) == (202, b"", "0")
    assert (await api.compute("DELETE", f"/flavors/{flavor['id']}")).status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"ram": 0}, {"vcpus": 0}, {"disk": -1}, {"name": ""}, {"id": " x"}, {"id": "a/b"}, {"id": ""}, {"ram": None},
        {"rxtx_factor": 0}, {"rxtx_factor": "nan"}, {"os-flavor-access:is_public": "maybe"}, {"nonsense": 1},
        {"ram": 1.5}, {"id": True},
    ],
)  # fmt: skip
async def test_what_no_flavor_can_be(api: Api, fields: dict[str, Any]) -> None:
    assert message(await create(api, **fields), 400, "badRequest")
    assert (await create(api.at("2.54"), description="early")).status_code == 400


async def test_lists_of_flavors(api: Api) -> None:
    await create(api, id="secret", **{"os-flavor-access:is_public": False})
    assert await flavors(api) == ["1", "2", "3", "4", "5"]
    assert await flavors(api, "?is_public=None") == ["1", "2", "3", "4", "5", "secret"]
    assert await flavors(api, "?is_public=no") == ["secret"]
    assert await flavors(api, "?minRam=2048&minDisk=40") == ["4", "5"]
    assert await flavors(api, "?sort_key=memory_mb&sort_dir=desc&limit=2") == ["5", "4"]
    assert await flavors(api, "?marker=3") == ["4", "5"]
    page = await api.json("/flavors/detail?limit=2&minRam=1")
    assert page["flavors_links"][0]["href"] == "http://box/compute/v2.1/flavors/detail?limit=2&minRam=1&marker=2"
    assert "flavors_links" not in await api.json("/flavors")
    for bad in ("is_public=maybe", "limit=-1", "marker=x", "minRam=x", "sort_key=x", "sort_dir=x"):
        assert (await api.compute("GET", f"/flavors?{bad}")).status_code == 400, bad
    other = api.as_("member")
    assert await flavors(other, "?is_public=None") == ["1", "2", "3", "4", "5"]
    assert (await other.compute("GET", "/flavors/secret")).status_code == 404
    assert (await other.compute("DELETE", "/flavors/1")).status_code == 403


async def keypair(api: Api, name: str, **fields: Any) -> Any:
    return await api.compute("POST", "/os-keypairs", {"keypair": {"name": name, **fields}})


async def test_key_pairs_and_their_codes(api: Api) -> None:
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    text = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    made = await keypair(api, "given", public_key=text)
    assert made.status_code == 201
    assert made.json()["keypair"].keys() == {"name", "public_key", "fingerprint", "type", "user_id"}
    fresh = (await keypair(api, "fresh key")).json()["keypair"]
    assert fresh["private_key"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert message(await keypair(api, "given", public_key=text), 409, "conflictingRequest")
    old = api.at("2.1")
    first = await keypair(old, "old")
    assert first.status_code == 200
    assert first.json()["keypair"].keys() == {"name", "public_key", "fingerprint", "user_id", "private_key"}
    assert (await old.compute("DELETE", "/os-keypairs/old")).status_code == 202
    shown = (await api.json("/os-keypairs/fresh%20key"))["keypair"]
    assert shown.keys() == {
        "name", "public_key", "fingerprint", "type", "user_id", "id", "created_at", "updated_at", "deleted",
        "deleted_at",
    }  # fmt: skip
    assert (await api.compute("DELETE", "/os-keypairs/fresh%20key")).status_code == 204
    assert (await api.compute("DELETE", "/os-keypairs/fresh%20key")).status_code == 404
    assert (await api.compute("GET", "/os-keypairs/fresh%20key")).status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"public_key": "ssh-rsa JUNK"},
        {"public_key": "ssh-rsa " + "A" * 2048},
        {"public_key": ""},
        {"name": "a/b"},
        {"name": " a"},
        {"name": ""},
        {"name": "a@b"},
        {"type": "gpg"},
        {"more": 1},
    ],
)
async def test_what_no_key_pair_can_be(api: Api, fields: dict[str, Any]) -> None:
    assert message(await keypair(api, **{"name": "k", **fields}), 400, "badRequest")


async def test_lists_of_key_pairs_and_other_users(api: Api) -> None:
    for name in ("b", "a", "c"):
        await keypair(api, name)
    other = api.as_("member")
    await keypair(other, "theirs")

    async def listed(caller: Api, query: str = "") -> list[str]:
        return [one["keypair"]["name"] for one in (await caller.json(f"/os-keypairs{query}"))["keypairs"]]

    assert await listed(api) == ["a", "b", "c"]
    assert await listed(api, "?limit=1&marker=a") == ["b"]
    assert await listed(api.at("2.34"), "?limit=1") == ["a", "b", "c"]
    page = await api.json("/os-keypairs?limit=2")
    assert page["keypairs_links"][0]["href"].endswith("/os-keypairs?limit=2&marker=b")
    assert await listed(other) == ["theirs"]
    assert await listed(api, "?user_id=u-other") == ["theirs"]
    assert (await other.compute("GET", "/os-keypairs?user_id=someone")).status_code == 403
    assert (await keypair(other, "x", user_id="someone")).status_code == 403
    assert (await keypair(api.at("2.9"), "x", user_id="u-other")).status_code == 400
    assert (await keypair(api, "given", user_id="u-other")).status_code == 201
    assert await listed(other) == ["given", "theirs"]
    assert (await api.compute("GET", "/os-keypairs?marker=x")).status_code == 400


async def test_limits_by_microversion(api: Api) -> None:
    await api.server(await api.image())
    new = (await api.json("/limits"))["limits"]
    assert new["rate"] == []
    absolute = new["absolute"]
    assert (absolute["totalInstancesUsed"], absolute["totalCoresUsed"], absolute["totalRAMUsed"]) == (1, 1, 128)
    assert absolute["maxTotalInstances"] == -1
    for version, name in (("2.35", "maxSecurityGroups"), ("2.38", "maxImageMeta"), ("2.56", "maxPersonality")):
        assert name in (await api.at(version).json("/limits"))["limits"]["absolute"]
        later = f"2.{int(version[2:]) + 1}"
        assert name not in (await api.at(later).json("/limits"))["limits"]["absolute"]
    other = api.as_("member")
    assert (await other.json("/limits"))["limits"]["absolute"]["totalInstancesUsed"] == 0
    assert (await other.compute("GET", "/limits?tenant_id=p1")).status_code == 403
