# SPDX-License-Identifier: Apache-2.0
"""Lists of servers as the reference has them: who may sort and filter by what, at which microversion."""

from urllib.parse import quote

import pytest

from kilonova.api.compute.servers.listing import ARGUMENTS
from tests.service.api import Api, message, running_api

OF_OTHER_TABLES = ("block_device_mapping", "info_cache", "metadata", "pci_devices", "security_groups", "services")


async def two_servers(api: Api) -> None:
    """One that is called a, and b, which is newer and locked."""
    image = await api.image()
    for name in "ab":
        server_id = await api.server(image, name=name)
    assert (await api.act(server_id, {"lock": None})).status_code == 202


async def test_sort_keys_by_microversion_and_role(api: Api) -> None:
    await two_servers(api)
    assert await api.names("/servers?sort_dir=asc") == ["a", "b"]
    assert await api.names("/servers?sort_dir=desc") == ["b", "a"]
    for key in ("locked", "locked_by"):
        assert await api.names(f"/servers?sort_key={key}&sort_dir=asc") == ["a", "b"]
        assert await api.names(f"/servers?sort_key={key}&sort_dir=desc") == ["b", "a"]
    assert await api.at("2.72").names("/servers?sort_key=locked&sort_dir=asc") == ["b", "a"]  # without effect
    for key in ("memory_mb", "vcpus", "id", "user_data"):
        both = f"sort_key={key}&sort_key=display_name&sort_dir=desc&sort_dir=asc"
        assert await api.at("2.74").names(f"/servers?{both}") == ["a", "b"]
        assert message(await api.compute("GET", f"/servers?{both}"), 400, "badRequest")
    for bad in ("sort_dir=up", "sort_dir=asc&sort_dir=asc", "sort_key=mood"):
        for version in ("2.1", "2.90"):
            assert message(await api.at(version).compute("GET", f"/servers?{bad}"), 400, "badRequest")
    for key in ("host", "node"):
        assert await api.names(f"/servers?sort_key={key}") == ["b", "a"]
        refused = await api.as_("member").compute("GET", f"/servers/detail?sort_key={key}")
        assert f"sort servers by {key}" in message(refused, 403, "forbidden")


async def test_filters_that_are_no_columns_are_refused_to_who_has_all_filters(api: Api) -> None:
    member = api.as_("member")
    await two_servers(member)
    for name in OF_OTHER_TABLES:
        assert name in ARGUMENTS
        for version in ("2.1", "2.90"):
            asked = f"{name}=x"
            refused = await api.at(version).compute("GET", f"/servers?{asked}")
            assert f"Invalid filter field: {name}" in message(refused, 400, "badRequest")
            assert await member.at(version).names(f"/servers?{asked}") == ["b", "a"]
    refused = await api.at("2.74").compute("GET", "/servers?_sa_instance_state=x")
    assert message(refused, 400, "badRequest")
    assert await member.at("2.74").names("/servers?_sa_instance_state=x") == ["b", "a"]
    assert "instance_type_id" in message(await api.compute("GET", "/servers?instance_type_id=1"), 400, "badRequest")


async def test_filters_of_administrators_and_of_everybody_from_2_90(api: Api) -> None:
    member = api.as_("member")
    await two_servers(member)
    image = (await member.json("/servers/detail"))["servers"][0]["image"]["id"]
    assert await member.names("/servers?hostname=a") == ["a"]
    assert await member.at("2.89").names("/servers?hostname=a") == ["b", "a"]
    assert await api.at("2.1").names("/servers?all_tenants=1&hostname=b") == ["b"]
    assert await api.names("/servers?all_tenants=1&locked_by=owner") == ["b"]
    assert await api.names(f"/servers?all_tenants=1&image_ref={image}") == ["b", "a"]
    assert await api.names("/servers?all_tenants=1&image_ref=other") == []
    assert await member.names("/servers?locked_by=owner&image_ref=other") == ["b", "a"]


async def test_of_statuses_one_that_there_is_will_do(api: Api) -> None:
    await two_servers(api)
    assert await api.names("/servers?status=ACTIVE&status=MELTED") == ["b", "a"]
    assert message(await api.compute("GET", "/servers?status=MELTED&status=ODD"), 400, "badRequest")


async def test_what_has_changed_includes_what_was_deleted() -> None:
    async with running_api() as admin:
        api = admin.as_("member")
        await two_servers(api)
        gone = (await api.json("/servers?name=a"))["servers"][0]["id"]
        await api.compute("DELETE", f"/servers/{gone}")
        await api.until(gone, "GONE")
        whole = "changes-since=2001-01-01T00:00:00Z&changes-before=2100-01-01T00:00:00Z"
        for caller, more in ((api, ""), (admin, "&all_tenants=1")):
            for asked in whole, *whole.split("&"):
                assert await caller.names(f"/servers?{asked + more}") == ["b", "a"], asked
            assert await caller.at("2.65").names(f"/servers?changes-before=2100-01-01T00:00:00Z{more}") == ["b"]
        assert await admin.names(f"/servers?{whole}&all_tenants=1&deleted=False") == ["b"]
        turned = "changes-since=2100-01-01T00:00:00Z&changes-before=2001-01-01T00:00:00Z"
        assert "less than or equal" in message(await api.compute("GET", f"/servers?{turned}"), 400, "badRequest")
        assert await api.at("2.65").names(f"/servers?{turned}") == []


@pytest.mark.parametrize("name", ["web (1)", "a(b", "back\\slash", "(a+)+", "[", "c++", "a|b", "50%", "^$"])
async def test_a_server_is_found_by_its_very_name_whatever_that_means(api: Api, name: str) -> None:
    """As the `openstack` client asks: a 404 for the name as an id, then the list by the name as it is."""

    image = await api.image()
    await api.server(image, name="other")
    await api.server(image, name=name)
    text = quote(name, safe="")
    assert (await api.compute("GET", f"/servers/{text}")).status_code == 404
    assert name in await api.names(f"/servers?name={text}")
    assert "other" not in await api.names(f"/servers?name={text}&status=ACTIVE&sort_dir=asc")
    if name in ("a(b", "(a+)+", "["):
        refused = await api.compute("GET", f"/servers?name={text}&status=SHUTOFF")
        assert "regular expression" in message(refused, 400, "badRequest")
