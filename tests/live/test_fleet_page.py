# SPDX-License-Identifier: Apache-2.0
"""The page at several API processes: each serves the session of another, and goes on with its stream."""

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.live.box import PATIENCE_S, wait_for
from tests.live.fleet import ApiServer, Fleet
from tests.live.fleet import fleet as running_fleet
from tests.live.test_fleet_api import raw_image, start

pytestmark = pytest.mark.live

PAGE = {"X-Kilonova-UI": "1"}


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running_fleet() as made:
        yield made


def blocks(reply: httpx.Response) -> Iterator[dict[str, str]]:
    """The fields of each event."""
    fields: dict[str, str] = {}
    for line in reply.iter_lines():
        if not line:
            if "event" in fields:
                yield fields
            fields = {}
            continue
        name, _, value = line.partition(": ")
        fields[name] = value


@contextmanager
def stream(server: ApiServer, last: str | None = None) -> Generator[Iterator[dict[str, str]]]:
    """The events at a process."""
    headers = {} if last is None else {"Last-Event-ID": last}
    timeout = httpx.Timeout(PATIENCE_S)
    with server.http.stream("GET", "/ui/events", headers=headers, timeout=timeout) as reply:
        assert reply.status_code == 200
        yield blocks(reply)


def until(events: Iterator[dict[str, str]], type: str) -> list[dict[str, str]]:
    found = [next(events)]
    while json.loads(found[-1]["data"]).get("type") != type:
        found.append(next(events))
    return found


def test_a_page_goes_on_at_another_process_when_its_own_is_killed(fleet: Fleet) -> None:
    a, b = start(fleet, "a", "b")
    image = raw_image(fleet, a)
    with stream(a) as events:
        ready = next(events)
        assert ready["event"] == "ready"
        first = a.create(image)
        seen = until(events, "instance.create.end")[-1]
        a.service.kill()
    second = b.create(image)
    b.wait_status(second, "ACTIVE")
    with stream(b, seen["id"]) as events:
        again = next(events)
        assert (again["event"], again["id"]) == ("ready", seen["id"])
        missed = until(events, "instance.create.end")
    assert [int(one["id"]) for one in missed] == [int(seen["id"]) + 1, int(seen["id"]) + 2]
    assert {json.loads(one["data"])["id"] for one in missed} == {second} != {first}


def test_a_session_of_one_process_is_a_session_of_all_and_ends_at_all(fleet: Fleet) -> None:
    a, b = start(fleet, "a", "b")
    password = next(line.split()[1] for line in fleet.clouds.read_text().splitlines() if "password:" in line)
    user = {"name": "admin", "domain": {"id": "default"}, "password": password}
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    identity = {"methods": ["password"], "password": {"user": user}}
    begun = a.http.post("/ui/session", json={"auth": {"identity": identity, "scope": scope}}, headers=PAGE)
    assert begun.status_code == 201, begun.text
    cookie = {**PAGE, "Cookie": begun.headers["Set-Cookie"].partition(";")[0]}
    resumed = b.http.post("/ui/session/resume", headers=cookie)
    token = resumed.headers["X-Subject-Token"]
    assert (resumed.status_code, token) == (200, begun.headers["X-Subject-Token"])
    a.http.headers["X-Auth-Token"] = token
    with stream(a) as events:
        assert next(events)["event"] == "ready"
        assert b.http.delete("/ui/session", headers=cookie).status_code == 204
        assert list(events) == []  # within CHECK_S
    wait_for(lambda: b.http.post("/ui/session/resume", headers=cookie).status_code == 401, within_s=PATIENCE_S)
