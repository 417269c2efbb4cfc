# SPDX-License-Identifier: Apache-2.0
"""A poller that asked with changes-before for the very time that a record shows lost the record: the time is shown cut
to the second, and was compared with the microseconds of what is kept."""

from datetime import datetime, timedelta

from tests.service.api import Api

SECOND = timedelta(seconds=1)


async def times_of_server_action_and_migration(api: Api) -> dict[str, tuple[str, str, str]]:
    """By the list's path: its member, the field of the time, and the time that is shown."""
    server_id = await api.server(await api.image())
    await api.act(server_id, {"resize": {"flavorRef": "2"}})
    await api.until(server_id, "VERIFY_RESIZE")
    found: dict[str, tuple[str, str, str]] = {}
    for path, member, field in (
        ("/servers/detail", "servers", "updated"),
        (f"/servers/{server_id}/os-instance-actions", "instanceActions", "updated_at"),
        ("/os-migrations", "migrations", "updated_at"),
    ):
        found[path] = (member, field, (await api.json(path))[member][0][field])
    return found


async def test_what_was_changed_in_a_second_is_there_when_that_second_is_named(api: Api) -> None:
    for path, (member, field, shown) in (await times_of_server_action_and_migration(api)).items():

        async def found(query: str, path: str = path, member: str = member, field: str = field) -> list[str]:
            return [one[field] for one in (await api.json(f"{path}?{query}"))[member]]

        before = (datetime.fromisoformat(shown.removesuffix("Z")) - SECOND).isoformat()
        assert shown in await found(f"changes-before={shown}"), path
        assert shown in await found(f"changes-since={shown}&changes-before={shown}"), path
        assert shown not in await found(f"changes-before={before}"), path
        turned = await api.compute("GET", f"{path}?changes-since={shown}&changes-before={before}")
        assert turned.status_code == 400, path
