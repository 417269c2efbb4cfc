# SPDX-License-Identifier: Apache-2.0
"""A request for several servers numbered their names beyond the 255 characters that a name may have: the API then
refused the very name that it had made.  And their host names, cut to 63 characters, were all the same."""

import pytest

from tests.service.api import Api, message


async def names(api: Api, reservation_id: str) -> list[str]:
    return await api.names(f"/servers?reservation_id={reservation_id}&sort_key=display_name&sort_dir=asc")


@pytest.mark.parametrize(("count", "longest"), [(1, 255), (2, 253), (12, 252)])
async def test_every_name_that_is_made_is_a_valid_one(api: Api, count: int, longest: int) -> None:
    image = await api.image()

    async def create(length: int) -> str:
        wish = {"name": "n" * length, "min_count": 1, "max_count": count, "return_reservation_id": True}
        reply = await api.create(image, **wish)
        return "" if reply.status_code == 400 else reply.json()["reservation_id"]

    made = await names(api, await create(longest))
    assert max(len(name) for name in made) == 255
    assert await create(longest + 1) == ""
    listed = await api.json("/servers/detail")
    hostnames = [server["OS-EXT-SRV-ATTR:hostname"] for server in listed["servers"]]
    assert len(set(hostnames)) == count
    assert {len(hostname) for hostname in hostnames} == {63}
    refused = await api.create(image, name="n" * 255, max_count=count + 1)
    assert "server.name" in message(refused, 400, "badRequest")
