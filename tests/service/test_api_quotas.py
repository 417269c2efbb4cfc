# SPDX-License-Identifier: Apache-2.0
"""Quotas as a project meets them."""

import asyncio

import httpx

from tests.service.api import Api, message, running_api

SMALL = {("quota", "instances"): 5, ("quota", "key_pairs"): 2, ("quota", "metadata_items"): 2}


async def test_of_many_creates_at_once_exactly_the_quota_is_admitted() -> None:
    async with running_api(SMALL) as admin:
        image = await admin.image(visibility="public")
        projects = [admin.as_("member", project=name) for name in ("p2", "p3")]

        async def create(api: Api, count: int) -> tuple[int, int]:
            while (reply := await api.create(image, min_count=count)).status_code == 503:
                pass  # the database is busy, and nothing was accepted
            if reply.status_code != 202:
                assert "Quota exceeded for instances: Requested" in message(reply, 403, "forbidden")
            return reply.status_code, count

        wanted = [create(api, 1 + n % 2) for n in range(12) for api in projects]
        replies = await asyncio.gather(*wanted)
        for at, api in enumerate(projects):
            admitted = sum(count for status, count in replies[at::2] if status == 202)
            listed = (await api.json("/servers"))["servers"]
            assert admitted == len(listed) == 5
            for server in listed:
                await api.until(server["id"], "ACTIVE")
            gone = await asyncio.gather(*(api.compute("DELETE", f"/servers/{s['id']}") for s in listed * 2))
            assert {reply.status_code for reply in gone} <= {204, 404}
            for server in listed:
                await api.until(server["id"], "GONE")
            again = await api.create(image, min_count=5)
            assert again.status_code == 202
            for server in (await api.json("/servers"))["servers"]:
                await api.until(server["id"], "ACTIVE")


async def test_over_quota_is_said_in_novas_words() -> None:
    async with running_api({("quota", "cores"): 3}) as admin:
        image = await admin.image(visibility="public")
        api = admin.as_("member")
        await api.server(image)
        refused = await api.create(image, min_count=20)
        assert message(refused, 403, "forbidden") == (
            "Quota exceeded for cores, instances: Requested 20, 20, but already used 1, 1 of 3, 10 cores, instances"
        )
        assert len((await api.json("/servers"))["servers"]) == 1


async def test_the_owner_of_the_box_has_no_limit_but_the_box() -> None:
    async with running_api(SMALL) as admin:
        image = await admin.image()
        assert (await admin.create(image, max_count=8)).status_code == 202
        for server in (await admin.json("/servers"))["servers"]:
            await admin.until(server["id"], "ACTIVE")
        absolute = (await admin.json("/limits"))["limits"]["absolute"]
        assert (absolute["maxTotalInstances"], absolute["totalInstancesUsed"]) == (-1, 8)


async def test_limits_that_are_counted() -> None:
    async with running_api(SMALL) as admin:
        image = await admin.image(visibility="public")
        api = admin.as_("member")
        for name in ("a", "b"):
            assert (await api.compute("POST", "/os-keypairs", {"keypair": {"name": name}})).status_code == 201
        third = await api.compute("POST", "/os-keypairs", {"keypair": {"name": "c"}})
        assert message(third, 403, "forbidden") == "Quota exceeded, too many key pairs."
        assert len((await api.json("/os-keypairs"))["keypairs"]) == 2
        many = {"a": "", "b": "", "c": ""}
        words = "Maximum number of metadata items exceeds 2."
        assert message(await api.create(image, metadata=many), 403, "forbidden") == words
        server_id = await api.server(image, metadata={"a": "1"})
        path = f"/servers/{server_id}/metadata"
        assert message(await api.compute("PUT", path, {"metadata": many}), 403, "forbidden") == words
        assert message(await api.compute("POST", path, {"metadata": {"b": "", "c": ""}}), 403, "forbidden") == words
        assert (await api.compute("PUT", f"{path}/b", {"meta": {"b": "2"}})).status_code == 200
        assert await api.json(path) == {"metadata": {"a": "1", "b": "2"}}


async def test_the_metadata_of_an_image_of_a_server_has_the_same_limit() -> None:
    async with running_api(SMALL) as admin:
        api = admin.as_("member")
        server_id = await api.server(await admin.image(visibility="public"))
        many = {f"k{n}": "" for n in range(200)}

        async def save(kind: str, metadata: dict[str, str], **more: object) -> int:
            body = {kind: {"name": "i", "metadata": metadata, **more}}
            return (await api.act(server_id, body)).status_code

        daily = {"backup_type": "daily", "rotation": 1}
        for kind, more in (("createImage", {}), ("createBackup", daily)):
            assert (await put(admin, metadata_items=2)).status_code == 200
            assert await save(kind, {"a": "", "b": "", "c": ""}, **more) == 403
            assert await save(kind, {"a": "", "b": ""}, **more) == 202
            await api.until(server_id, "ACTIVE")
            assert (await put(admin, metadata_items=-1)).status_code == 200
            assert await save(kind, many, **more) == 202
            await api.until(server_id, "ACTIVE")
        found = (await api.call("GET", "/image/v2/images?owner=p-other")).json()["images"]
        assert len(found) == 3  # of the backups the newest is left


NEWEST = {"instances", "cores", "ram", "metadata_items", "key_pairs", "server_groups", "server_group_members"}
FILES = {"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}
ADDRESSES = {"fixed_ips", "floating_ips", "security_groups", "security_group_rules"}


async def own(api: Api, project: str = "p-other") -> dict[str, int]:
    return (await api.json(f"/os-quota-sets/{project}"))["quota_set"]


async def put(api: Api, project: str = "p-other", query: str = "", **limits: object) -> httpx.Response:
    return await api.compute("PUT", f"/os-quota-sets/{project}{query}", {"quota_set": limits})


async def test_quota_sets_by_microversion(api: Api) -> None:
    member = api.as_("member")
    for version, known in (
        ("2.1", NEWEST | FILES | ADDRESSES),
        ("2.35", NEWEST | FILES | ADDRESSES),
        ("2.36", NEWEST | FILES),
        ("2.56", NEWEST | FILES),
        ("2.57", NEWEST),
    ):
        for what in ("", "/defaults", "/detail", "?user_id=someone"):
            path = f"/os-quota-sets/p-other{what}"
            shown = (await member.at(version).json(path))["quota_set"]
            assert shown.keys() == known | {"id"}, path
            assert shown.pop("id") == "p-other"
            for limit in shown.values():
                assert isinstance(limit, int) or limit.keys() == {"limit", "in_use", "reserved"}
    shown = await own(member.at("2.1"))
    assert (shown["instances"], shown["cores"], shown["ram"], shown["injected_files"]) == (10, 20, 51200, 5)
    assert shown["fixed_ips"] == -1


async def test_setting_limits_and_taking_them_back() -> None:
    async with running_api() as admin:
        image = await admin.image(visibility="public")
        api, boss = admin.as_("member"), admin.as_("admin")
        await api.server(image)
        changed = await put(boss, instances=2, cores="-1", server_groups=3)
        assert (changed.status_code, changed.json()["quota_set"].keys()) == (200, NEWEST)
        shown = await own(api)
        assert (shown["instances"], shown["cores"], shown["server_groups"], shown["ram"]) == (2, -1, 3, 51200)
        assert "already used 1 of 2 instances" in message(await api.create(image, min_count=2), 403, "forbidden")
        below = "Quota limit 0 for instances must be greater than or equal to already used and reserved 1."
        assert message(await put(boss, instances=0, cores=5), 400, "badRequest").endswith(below)
        assert (await own(api))["cores"] == -1
        assert (await put(boss, instances=0, force=True)).status_code == 200
        assert "Requested 1, but already used 1 of 0 instances" in message(await api.create(image), 403, "forbidden")
        detail = (await api.json("/os-quota-sets/p-other/detail"))["quota_set"]
        assert detail["instances"] == {"limit": 0, "in_use": 1, "reserved": 0}
        assert detail["ram"] == {"limit": 51200, "in_use": 128, "reserved": 0}
        assert (await boss.compute("DELETE", "/os-quota-sets/p-other")).status_code == 202
        assert (await own(api))["instances"] == 10
        await api.server(image)
        # what does not exist here is kept for old clients, and only for them
        assert (await put(boss.at("2.35"), fixed_ips=7, injected_files=8)).status_code == 200
        old = await own(api.at("2.35"))
        assert (old["fixed_ips"], old["injected_files"]) == (7, 8)


async def test_quota_sets_that_cannot_be_set() -> None:
    async with running_api() as admin:
        boss = admin.as_("admin")
        for fields in ({"instances": -2}, {"cores": "many"}, {"ram": 1.5}, {"cores": 2**31}, {"nosuch": 1}):
            assert message(await put(boss, **fields), 400, "badRequest")
        assert "'fixed_ips' was unexpected" in message(await put(boss, fixed_ips=1), 400, "badRequest")
        assert "injected_files" in message(await put(boss.at("2.57"), injected_files=1), 400, "badRequest")
        assert (await put(boss.at("2.56"), injected_files=1)).status_code == 200
        assert message(await boss.compute("PUT", "/os-quota-sets/p-other", {}), 400, "badRequest")
        assert "single users" in message(await put(boss, query="?user_id=u", cores=1), 400, "badRequest")
        assert message(await boss.compute("DELETE", "/os-quota-sets/p-other?user_id=u"), 400, "badRequest")
        unknown = "Project ID nobody is not a valid project."
        assert unknown in message(await put(boss, "nobody", cores=1), 400, "badRequest")
        for what in ("", "/defaults", "/detail"):
            path = f"/os-quota-sets/nobody{what}"
            assert unknown in message(await boss.compute("GET", path), 400, "badRequest")
            assert (await admin.as_("reader").compute("GET", path)).status_code == 403
        assert (await own(boss))["cores"] == 20
        member = admin.as_("member")
        assert (await put(member, cores=100)).status_code == 403
        assert (await member.compute("DELETE", "/os-quota-sets/p-other")).status_code == 403
        assert (await boss.compute("GET", "/os-quota-sets/p-other?x=1")).status_code == 400
        assert (await boss.at("2.74").compute("GET", "/os-quota-sets/p-other?x=1")).status_code == 200


async def test_the_default_class_wins_over_the_configuration_and_a_projects_own_over_it() -> None:
    async with running_api() as admin:
        path, member = "/os-quota-class-sets/default", admin.as_("member")
        shown = (await admin.json(path))["quota_class_set"]
        assert (shown.keys(), shown["id"], shown["cores"]) == (NEWEST | {"id"}, "default", 20)
        groups = {"server_groups", "server_group_members"}
        for version, known in (("2.49", (NEWEST - groups) | FILES | ADDRESSES), ("2.50", NEWEST | FILES)):
            old = (await admin.at(version).json(path))["quota_class_set"]
            assert old.keys() == known | {"id"}
        changed = await admin.compute("PUT", path, {"quota_class_set": {"cores": 7, "ram": 512}})
        assert (changed.status_code, changed.json()["quota_class_set"]["cores"]) == (200, 7)
        await put(admin.as_("admin"), ram=1024)
        assert {name: (await own(member))[name] for name in ("cores", "ram")} == {"cores": 7, "ram": 1024}
        assert (await member.json("/os-quota-sets/p-other/defaults"))["quota_set"]["ram"] == 512
        assert (await member.json("/limits"))["limits"]["absolute"]["maxTotalCores"] == 7
        message(await admin.compute("PUT", path, {"quota_class_set": {"fixed_ips": 1}}), 400, "badRequest")
        other = "/os-quota-class-sets/other"
        assert (await admin.json(other))["quota_class_set"] == {**shown, "id": "other"}
        changed = await admin.compute("PUT", other, {"quota_class_set": {"cores": 3}})
        assert changed.json()["quota_class_set"]["cores"] == 3
        assert (await admin.json(other))["quota_class_set"] == {**shown, "id": "other", "cores": 3}
        assert (await own(member))["cores"] == 7
        assert (await admin.compute("GET", f"/os-quota-class-sets/{'c' * 59}")).status_code == 400
        assert (await member.compute("GET", path)).status_code == 403
        assert (await member.compute("PUT", path, {"quota_class_set": {}})).status_code == 403


async def test_limits_show_what_a_project_may_and_does_use() -> None:
    async with running_api() as admin:
        image = await admin.image(visibility="public")
        api = admin.as_("member")
        for _ in range(2):
            await api.server(image, flavorRef="2")
        await put(admin.as_("admin"), key_pairs=7, metadata_items=9)
        expected = {
            "maxTotalInstances": 10, "totalInstancesUsed": 2, "maxTotalCores": 20, "totalCoresUsed": 2,
            "maxTotalRAMSize": 51200, "totalRAMUsed": 1024, "maxServerMeta": 9, "maxTotalKeypairs": 7,
            "maxServerGroups": 10, "totalServerGroupsUsed": 0, "maxServerGroupMembers": 10,
        }  # fmt: skip
        for caller, query in ((api, ""), (api, "?reserved=1"), (admin, "?tenant_id=p-other")):
            assert (await caller.json(f"/limits{query}"))["limits"]["absolute"] == expected
        assert (await api.at("2.38").json("/limits"))["limits"]["absolute"]["maxImageMeta"] == 9
        assert (await api.compute("GET", "/limits?tenant_id=other")).status_code == 403


async def test_a_resize_takes_the_difference_and_gives_back_what_it_did_not_need() -> None:
    async with running_api({("quota", "cores"): 4}) as admin:
        image = await admin.image(visibility="public")
        for name, vcpus, ram in (("wide", 3, 128), ("tall", 1, 512), ("huge", 4, 128)):
            flavor = {"id": name, "name": name, "vcpus": vcpus, "ram": ram, "disk": 1}
            assert (await admin.compute("POST", "/flavors", {"flavor": flavor})).status_code == 200
        api = admin.as_("member")
        server_id = await api.server(image)
        await api.server(image)

        async def act(what: str, argument: object = None) -> httpx.Response:
            return await api.act(server_id, {what: argument})

        async def used() -> tuple[int, int, int]:
            absolute = (await api.json("/limits"))["limits"]["absolute"]
            return tuple(absolute[f"total{name}Used"] for name in ("Instances", "Cores", "RAM"))

        refused = message(await act("resize", {"flavorRef": "huge"}), 403, "forbidden")
        assert refused == "Quota exceeded for cores: Requested 3, but already used 2 of 4 cores"
        assert (await api.until(server_id, "ACTIVE"))["flavor"]["original_name"] == "m1.nano"
        for end, left in (("revertResize", (2, 2, 256)), ("confirmResize", (2, 4, 256))):
            assert (await act("resize", {"flavorRef": "wide"})).status_code == 202
            assert await used() == (2, 4, 256)
            await api.until(server_id, "VERIFY_RESIZE")
            assert await used() == (2, 4, 256)
            assert (await act(end)).status_code in (202, 204)
            await api.until(server_id, "ACTIVE")
            assert await used() == left
        assert (await act("resize", {"flavorRef": "tall"})).status_code == 202
        await api.until(server_id, "VERIFY_RESIZE")
        assert await used() == (2, 2, 640)  # the new size, fewer cores and more memory, before it is confirmed
        await api.compute("DELETE", f"/servers/{server_id}")
        await api.until(server_id, "GONE")
        assert await used() == (1, 1, 128)


async def test_a_rebuild_keeps_to_the_limit_of_metadata() -> None:
    async with running_api(SMALL) as admin:
        image = await admin.image(visibility="public")
        api = admin.as_("member")
        server_id = await api.server(image, metadata={"a": "1"})
        rebuild = {"imageRef": image, "metadata": {"a": "", "b": "", "c": ""}}
        refused = await api.act(server_id, {"rebuild": rebuild})
        assert message(refused, 403, "forbidden") == "Maximum number of metadata items exceeds 2."
        assert (await api.until(server_id, "ACTIVE"))["metadata"] == {"a": "1"}
