# SPDX-License-Identifier: Apache-2.0
"""What every request has: version documents, tokens, microversions, headers, faults."""

import re

import pytest

from tests.service.api import Api, message, running_api
from tests.service.cloud import Cloud, running_cloud

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


async def test_version_documents_need_no_token_and_link_to_themselves(cloud: Cloud) -> None:
    http = cloud.http
    listed = (await http.get("/compute")).json()["versions"]
    assert [entry["id"] for entry in listed] == ["v2.0", "v2.1"]
    assert (listed[0]["version"], listed[0]["min_version"]) == ("", "")
    for entry in listed:
        (link,) = entry["links"]
        document = (await http.get(link["href"])).json()["version"]
        assert (document["id"], document["links"]) == (entry["id"], entry["links"])
    for path in ("/compute/v2.1", "/compute/v2.1/"):
        found = (await http.get(path)).json()["version"]
        assert (found["version"], found["min_version"], found["status"]) == ("2.90", "2.1", "CURRENT")
    identity = await http.get("/identity")
    assert identity.status_code == 300
    assert identity.json()["versions"]["values"][0]["links"][0]["href"] == "http://box/identity/v3/"
    for path in ("/identity/v3", "/identity/v3/"):
        assert (await http.get(path)).json()["version"]["status"] == "stable"
    image = await http.get("/image")
    assert image.status_code == 300
    href = image.json()["versions"][0]["links"][0]["href"]
    assert (await http.get(href)).json() == image.json()


async def test_links_follow_the_address_that_the_client_used() -> None:
    async with running_cloud({("api", "trusted_proxies"): ["127.0.0.0/8"]}) as cloud:
        headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example", "X-Forwarded-Prefix": "/kn"}
        found = (await cloud.http.get("/compute/v2.1", headers=headers)).json()["version"]
        assert found["links"][0]["href"] == "https://cloud.example/kn/compute/v2.1/"
        index = (await cloud.http.get("/", headers={"Host": "[::1]:99"})).json()
        assert index["services"]["compute"] == "http://[::1]:99/compute/v2.1"


async def test_links_follow_no_header_that_only_a_proxy_may_set(cloud: Cloud) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/kn"}
    found = (await cloud.http.get("/compute/v2.1", headers=headers)).json()["version"]
    assert found["links"][0]["href"] == "http://box/compute/v2.1/"


async def test_a_host_that_is_none_of_ours_is_refused(cloud: Cloud) -> None:
    for host, status in (
        ("box", 200),
        ("BOX:8774", 200),
        ("localhost:1", 200),
        ("192.0.2.7", 200),
        ("[2001:db8::1]:8774", 200),
        ("evil.example", 400),
        ("box.evil.example", 400),
        ("a b", 400),
        ("", 400),
    ):
        reply = await cloud.http.get("/healthz", headers={"Host": host})
        assert reply.status_code == status, host
    assert "allowed_hosts" in (await cloud.http.get("/", headers={"Host": "evil"})).json()["badRequest"]["message"]


async def test_health_and_readiness(cloud: Cloud) -> None:
    assert (await cloud.http.get("/healthz")).json() == {"healthy": True}
    assert (await cloud.http.get("/readyz")).json() == {"ready": True}
    assert (await cloud.http.get("/nothing")).status_code == 404
    head = await cloud.http.head("/healthz")
    assert (head.status_code, head.content) == (200, b"")


def auth(
    password: str, *, user: object = None, scope: object = None, methods: tuple[str, ...] = ("password",)
) -> object:
    named = {"name": "admin", "domain": {"id": "default"}} if user is None else user
    identity = {"methods": methods, "password": {"user": {**named, "password": password}}}  # pyright: ignore[reportGeneralTypeIssues]
    return {"auth": {"identity": identity, **({} if scope is None else {"scope": scope})}}


async def test_a_token_for_a_password(cloud: Cloud) -> None:
    password = cloud.password
    reply = await cloud.http.post("/identity/v3/auth/tokens", json=auth(password))
    assert reply.status_code == 201
    token = reply.json()["token"]
    assert token["methods"] == ["password"]
    assert token["user"]["name"] == token["project"]["name"] == "admin"
    assert token["project"]["domain"] == {"id": "default", "name": "Default"}
    assert {"admin", "member", "reader"} == {role["name"] for role in token["roles"]}
    assert {entry["type"] for entry in token["catalog"]} == {"identity", "compute", "image", "network"}
    urls = {end["url"] for entry in token["catalog"] for end in entry["endpoints"]}
    paths = {"identity", "compute/v2.1", "image", "network"}
    assert urls == {f"http://box/{path}" for path in paths}
    for name in ("issued_at", "expires_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", token[name])
    for user in (
        {"id": token["user"]["id"]},
        {"name": "admin", "domain": {"name": "Default"}},
        {"name": "admin", "domain": {"name": "default"}},
    ):
        for scope in (None, {"project": {"id": token["project"]["id"]}}):
            again = await cloud.http.post("/identity/v3/auth/tokens", json=auth(password, user=user, scope=scope))
            assert again.status_code == 201, again.text


async def test_a_token_for_a_token_and_what_a_token_says(api: Api) -> None:
    body = {"auth": {"identity": {"methods": ["token"], "token": {"id": api.token}}}}
    reply = await api.cloud.http.post("/identity/v3/auth/tokens", json=body)
    assert reply.status_code == 201
    shown = await api.call(
        "GET", "/identity/v3/auth/tokens", headers={"X-Subject-Token": reply.headers["X-Subject-Token"]}
    )
    assert shown.json()["token"]["methods"] == ["token", "password"]
    assert shown.json()["token"]["audit_ids"] == reply.json()["token"]["audit_ids"]
    assert len(shown.json()["token"]["audit_ids"]) == 2
    other = api.as_("member")
    for headers in ({"X-Subject-Token": api.token}, {"X-Subject-Token": "junk"}):
        hidden = await other.call("GET", "/identity/v3/auth/tokens", headers=headers)
        assert message(hidden, 404, "error")
    assert (await other.call("GET", "/identity/v3/auth/tokens")).status_code == 400
    catalog = (await other.call("GET", "/identity/v3/auth/catalog")).json()["catalog"]
    assert len(catalog) == 4


async def test_wrong_credentials_are_401_without_saying_what_was_wrong(cloud: Cloud) -> None:
    password = cloud.password
    domain = {"domain": {"id": "default"}}
    bad = [
        auth("wrong"),
        auth(password, user={"name": "nobody", **domain}),
        auth(password, user={"name": "admin", "domain": {"id": "other"}}),
        auth(password, scope={"project": {"name": "nothing", **domain}}),
        auth(password, scope={"project": {"name": "admin", "domain": {"name": "other"}}}),
        {"auth": {"identity": {"methods": ["token"], "token": {"id": "junk"}}}},
    ]
    said: set[str] = set()
    for body in bad:
        reply = await cloud.http.post("/identity/v3/auth/tokens", json=body)
        said.add(message(reply, 401, "error"))
        assert reply.headers["WWW-Authenticate"] == 'Keystone uri="http://box/identity"'
    assert len(said - {"The token is not valid."}) == 1
    for body in (auth(password, scope={"system": {"all": True}}), auth(password, methods=("totp",))):
        assert (await cloud.http.post("/identity/v3/auth/tokens", json=body)).status_code == 401
    for body in ({}, {"auth": 1}, {"auth": {"identity": {"methods": ["password"], "password": {}}}}):
        assert message(await cloud.http.post("/identity/v3/auth/tokens", json=body), 400, "error")


async def test_projects(api: Api) -> None:
    listed = (await api.call("GET", "/identity/v3/projects?name=admin")).json()["projects"]
    assert [project["name"] for project in listed] == ["admin"]
    one = f"/identity/v3/projects/{listed[0]['id']}"
    assert (await api.call("GET", one)).json()["project"] == listed[0]
    assert (await api.call("GET", "/identity/v3/projects/admin")).status_code == 404
    assert (await api.call("GET", "/identity/v3/projects?name=other")).json()["projects"] == []
    other = api.as_("member")
    seen = (await other.call("GET", "/identity/v3/projects")).json()["projects"]
    assert [project["id"] for project in seen] == ["p-other"]
    assert (await other.call("GET", one)).status_code == 403


async def test_every_answer_names_its_version_and_its_request(api: Api) -> None:
    for reply, version in (
        (await api.compute("GET", "/servers"), "2.90"),
        (await api.at("2.9").compute("GET", "/servers/nothing"), "2.9"),
        (await api.at("latest").compute("GET", "/flavors"), "2.90"),
        (await api.cloud.http.get("/compute/v2.1/servers"), "2.1"),
    ):
        assert reply.headers["OpenStack-API-Version"] == f"compute {version}"
        assert reply.headers["X-OpenStack-Nova-API-Version"] == version
        assert reply.headers.get_list("vary") == ["OpenStack-API-Version", "X-OpenStack-Nova-API-Version"]
        assert re.fullmatch(f"req-{UUID}", reply.headers["x-openstack-request-id"])
        assert reply.headers["x-compute-request-id"] == reply.headers["x-openstack-request-id"]


async def test_microversions_that_are_not_served(api: Api) -> None:
    reply = await api.at("2.9999").compute("GET", "/servers")
    assert "Minimum is 2.1 and maximum is 2.90" in message(reply, 406, "computeFault")
    assert reply.headers["OpenStack-API-Version"] == "compute 2.9999"
    assert "invalid format" in message(await api.at("two").compute("GET", "/servers"), 400, "badRequest")
    assert (await api.at("2.9999").call("GET", "/compute/v2.1")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/compute/v2.1/servers", "/compute/v2.1/nothing", "/image/v2/images", "/identity/v3/projects"]
)
async def test_no_token_or_a_bad_one_is_401(cloud: Cloud, path: str) -> None:
    for headers in ({}, {"X-Auth-Token": "junk"}):
        reply = await cloud.http.get(path, headers=headers)
        assert message(reply, 401, "error")
        assert "Keystone" in reply.headers["WWW-Authenticate"]


async def test_a_path_that_identity_does_not_have_is_404_without_a_token(cloud: Cloud) -> None:
    for path in ("/identity/v3/nothing", "/identity/v3/users/x/nothing", "/nothing", "/compute/nothing"):
        assert (await cloud.http.get(path)).status_code == 404, path
    refused = await cloud.http.get("/identity/v3/nothing", headers={"X-Auth-Token": "junk"})
    assert message(refused, 401, "error")


async def test_unknown_paths_methods_and_roles() -> None:
    async def main() -> None:
        async with running_api() as api:
            assert message(await api.compute("GET", "/nothing"), 404, "itemNotFound")
            assert message(await api.compute("GET", "/servers/"), 404, "itemNotFound")
            assert message(await api.compute("PATCH", "/servers"), 405, "badMethod")
            reader, member, nobody = api.as_("reader"), api.as_("member"), api.as_("gardener")
            await _refused(reader, "POST", "/servers")
            await _refused(reader, "POST", "/os-keypairs")
            await _refused(member, "GET", "/os-hypervisors")
            await _refused(member, "GET", "/os-services")
            await _refused(member, "POST", "/flavors")
            await _refused(member, "GET", "/os-availability-zone/detail")
            await _refused(nobody, "GET", "/servers")
            await _refused(reader, "POST", "/servers/x/action", {"os-stop": None})
            assert (await reader.compute("GET", "/servers")).status_code == 200

    async def _refused(api: Api, method: str, path: str, body: object = None) -> None:
        assert "Policy doesn't allow" in message(await api.compute(method, path, body), 403, "forbidden")

    await main()


async def test_bodies_that_are_too_large_or_no_json(api: Api) -> None:
    assert message(await api.compute("POST", "/servers", content=b"x" * 200_000), 413, "overLimit")
    assert message(await api.compute("POST", "/servers", content=b"{"), 400, "badRequest")
    assert message(await api.compute("POST", "/servers"), 400, "badRequest")
    many = "&".join("a=1" for _ in range(300))
    assert message(await api.compute("GET", f"/servers?{many}"), 400, "badRequest")


async def test_unknown_query_arguments_are_refused_from_2_75(api: Api) -> None:
    assert (await api.at("2.74").compute("GET", "/servers?nonsense=1")).status_code == 200
    for path in ("/servers", "/servers/detail", "/flavors", "/os-keypairs", "/limits", "/os-services"):
        reply = await api.at("2.75").compute("GET", f"{path}?nonsense=1")
        assert "'nonsense' was unexpected" in message(reply, 400, "badRequest")
