# SPDX-License-Identifier: Apache-2.0
"""Usage reports: what servers have used, by the hour, deleted ones included."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from kilonova.db.writers import instances as write_instances
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import VmState
from tests import make
from tests.service.api import Api, message

DAY = datetime(2026, 3, 4, tzinfo=UTC)
FIRST, SECOND, THIRD, FOURTH = (f"{n}0000000-0000-4000-8000-000000000000" for n in (1, 2, 3, 4))
PATH = "/os-simple-tenant-usage"


def hour(n: float) -> datetime:
    return DAY + timedelta(hours=n)


async def served(
    api: Api, server_id: str, launched: datetime | None, ended: datetime | None = None, project: str = "p-other"
) -> None:
    """A server of 2 vCPUs, 256 MiB and 10 + 5 GiB, from one time to another, straight into the database."""
    flavor = replace(make.flavor(2, 256, 10), ephemeral_gib=5)
    state = VmState.ACTIVE if ended is None else VmState.DELETED
    times: dict[str, Any] = {"launched_at": launched, "terminated_at": ended}
    record = make.instance(server_id, project_id=project, flavor=flavor, vm_state=state, **times)
    await api.cloud.box.app.deps.db.write(write_instances.insert, record)
    if ended is not None:
        gone = InstanceId(server_id)
        await api.cloud.box.app.deps.db.write(
            lambda connection: write_instances.update(connection, gone, ended, deleted_at=ended)
        )


def between(start: datetime, end: datetime, *more: str) -> str:
    return "?" + "&".join((f"start={start:%Y-%m-%dT%H:%M:%S}", f"end={end:%Y-%m-%dT%H:%M:%S.%f}", *more))


async def of(api: Api, query: str, project: str = "p-other") -> dict[str, Any]:
    return (await api.json(f"{PATH}/{project}{query}"))["tenant_usage"]


def hours(usage: dict[str, Any]) -> dict[str, float]:
    return {server["instance_id"]: server["hours"] for server in usage.get("server_usages", ())}


async def test_hours_are_those_within_the_window(api: Api) -> None:
    await served(api, FIRST, hour(-10))
    await served(api, SECOND, hour(1), hour(2.5))
    await served(api, THIRD, None)
    await served(api, FOURTH, hour(-5), hour(-4))
    day = await of(api, between(hour(0), hour(24)))
    assert hours(day) == {FIRST: 24, SECOND: 1.5}
    assert {name: value for name, value in day.items() if name != "server_usages"} == {
        "tenant_id": "p-other",
        "start": "2026-03-04T00:00:00.000000",
        "stop": "2026-03-05T00:00:00.000000",
        "total_hours": 25.5,
        "total_vcpus_usage": 51.0,
        "total_memory_mb_usage": 25.5 * 256,
        "total_local_gb_usage": 25.5 * 15,
    }
    for start, end, expected in (
        (1.5, 2, {FIRST: 0.5, SECOND: 0.5}),
        (-4.5, -3.5, {FIRST: 1, FOURTH: 0.5}),
        (2.5, 3, {FIRST: 0.5}),
        (-20, -10, {}),
        (-20, -9, {FIRST: 1}),
    ):
        assert hours(await of(api, between(hour(start), hour(end)))) == expected


async def test_what_is_told_of_each_server(api: Api) -> None:
    await served(api, FIRST, hour(1))
    await served(api, SECOND, hour(1), hour(3))
    early = api.cloud.clock.now()
    first, second = (await of(api, between(hour(2), hour(4))))["server_usages"]
    late = api.cloud.clock.now()
    assert second == {
        "instance_id": SECOND, "tenant_id": "p-other", "name": "server one", "flavor": "m1.nano", "vcpus": 2,
        "memory_mb": 256, "local_gb": 15, "hours": 1.0, "started_at": "2026-03-04T01:00:00.000000",
        "ended_at": "2026-03-04T03:00:00.000000", "state": "terminated", "uptime": 7200,
    }  # fmt: skip
    assert (first["state"], first["ended_at"], first["hours"]) == ("active", None, 2.0)
    assert early <= hour(1) + timedelta(seconds=first["uptime"] + 1)
    assert hour(1) + timedelta(seconds=first["uptime"]) <= late


async def test_of_all_projects_with_and_without_detail(api: Api) -> None:
    await served(api, FIRST, hour(0), hour(1))
    await served(api, SECOND, hour(0), hour(2), "p-second")
    window = between(hour(0), hour(24))
    usages = (await api.json(f"{PATH}{window}"))["tenant_usages"]
    assert [(usage["tenant_id"], usage["total_hours"]) for usage in usages] == [("p-other", 1), ("p-second", 2)]
    assert "server_usages" not in usages[0]
    for word in ("1", "True"):
        detailed = (await api.json(f"{PATH}{window}&detailed={word}"))["tenant_usages"]
        assert [hours(usage) for usage in detailed] == [{FIRST: 1}, {SECOND: 2}]
    assert (await api.json(f"{PATH}{window}&detailed=0"))["tenant_usages"] == usages
    assert (await api.json(PATH))["tenant_usages"] == []  # of this very moment


async def test_page_by_page_from_2_40(api: Api) -> None:
    for server_id, project in ((THIRD, "p-other"), (FIRST, "p-other"), (SECOND, "p-second")):
        await served(api, server_id, hour(0), hour(1), project)
    window = between(hour(0), hour(24), "detailed=1", "limit=1")

    async def pages(path: str, name: str) -> Sequence[Any]:
        found: list[Any] = []
        while path:
            body = await api.json(path)
            found.append(body[name])
            (link,) = body.get(f"{name}_links", [{"href": ""}])
            url = urlsplit(link["href"])
            path = f"{PATH}{url.path.partition(PATH)[2]}?{url.query}" if url.path else ""
        return found

    listed = await pages(f"{PATH}{window}", "tenant_usages")
    assert [[hours(usage) for usage in page] for page in listed] == [
        [{FIRST: 1}], [{THIRD: 1}], [{SECOND: 1}], []
    ]  # fmt: skip
    shown = await pages(f"{PATH}/p-other{window}", "tenant_usage")
    assert [hours(usage) for usage in shown] == [{FIRST: 1}, {THIRD: 1}, {}]
    assert len(hours(await of(api.at("2.39"), window))) == 2
    for marker in ("nosuch", SECOND):
        bad = await api.compute("GET", f"{PATH}/p-other{window}&marker={marker}")
        assert "marker" in message(bad, 400, "badRequest")


async def test_who_may_ask_and_what_cannot_be_asked(api: Api) -> None:
    reader = api.as_("reader")
    assert await of(reader, "") == {}
    assert (await reader.compute("GET", PATH)).status_code == 403
    assert (await reader.compute("GET", f"{PATH}/p-second")).status_code == 403
    assert (await api.compute("GET", f"{PATH}/")).status_code == 404
    swapped = f"{PATH}{between(hour(1), hour(0))}"
    assert "cannot occur after" in message(await api.compute("GET", swapped), 400, "badRequest")
    for query in ("?start=yesterday", "?end=2026-13-01", "?start=2999-01-01", between(hour(1), hour(1))):
        for path in (PATH, f"{PATH}/p-other"):
            assert message(await api.compute("GET", path + query), 400, "badRequest")
    assert (await api.compute("GET", f"{PATH}?x=1")).status_code == 400
    spoken = f"{PATH}?start=2026-03-04%2000:00:00.123456&end=2026-03-05"
    assert (await api.compute("GET", spoken)).status_code == 200


async def test_the_window_is_told_as_it_was_given_and_ends_now(api: Api) -> None:
    await served(api, FIRST, hour(0))
    day = await of(api, "?start=2026-03-04T00:00:00.123456&end=2026-03-05T06:07:08.9")
    assert (day["start"], day["stop"]) == ("2026-03-04T00:00:00.123456", "2026-03-05T06:07:08.900000")
    early = api.cloud.clock.now()
    so_far = await of(api, "?start=2026-03-04T00:00:00&end=2999-01-01T00:00:00")
    stop = datetime.fromisoformat(so_far["stop"]).replace(tzinfo=UTC)
    assert early <= stop <= api.cloud.clock.now()
    assert hours(so_far)[FIRST] == pytest.approx((stop - hour(0)) / timedelta(hours=1), rel=1e-12)
    later = await of(api, "?start=2998-01-01T00:00:00&end=2999-01-01T00:00:00")
    assert hours(later) == {FIRST: 0}
