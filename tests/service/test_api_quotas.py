# SPDX-License-Identifier: Apache-2.0
"""Quotas as a project meets them."""

import asyncio

from tests.make import run
from tests.service.api import Api, message, running_api

SMALL = {("quota", "instances"): 5, ("quota", "key_pairs"): 2, ("quota", "metadata_items"): 2}


def test_of_many_creates_at_once_exactly_the_quota_is_admitted() -> None:
    async def main() -> None:
        async with running_api(SMALL) as admin:
            image = await admin.image(visibility="public")
            projects = [admin.as_("member", project=name) for name in ("p2", "p3")]

            async def create(api: Api, count: int) -> tuple[int, int]:
                reply = await api.create(image, max_count=count)
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
                assert (await create(api, 5))[0] == 202

    run(main())


def test_over_quota_is_said_in_novas_words() -> None:
    async def main() -> None:
        async with running_api({("quota", "cores"): 3}) as admin:
            image = await admin.image(visibility="public")
            api = admin.as_("member")
            await api.server(image)
            refused = await api.create(image, max_count=20)
            assert message(refused, 403, "forbidden") == (
                "Quota exceeded for cores, instances: Requested 20, 20, but already used 1, 1 of 3, 10 cores, instances"
            )
            assert len((await api.json("/servers"))["servers"]) == 1

    run(main())


def test_the_owner_of_the_box_has_no_limit_but_the_box() -> None:
    async def main() -> None:
        async with running_api(SMALL) as admin:
            image = await admin.image()
            assert (await admin.create(image, max_count=8)).status_code == 202
            absolute = (await admin.json("/limits"))["limits"]["absolute"]
            assert (absolute["maxTotalInstances"], absolute["totalInstancesUsed"]) == (-1, 8)

    run(main())


def test_limits_that_are_counted() -> None:
    async def main() -> None:
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

    run(main())
