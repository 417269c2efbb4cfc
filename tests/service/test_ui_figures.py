# SPDX-License-Identifier: Apache-2.0
"""Figures of servers that pages look at: who may see them, and what they cost."""

import pytest

from kilonova.api.ui import sampler
from kilonova.api.ui.sampler import Sampler
from kilonova.rpc.memory import MemoryBus
from tests.service.api import Api, message
from tests.service.pages import handler_of, quiet_server
from tests.service.people import member


def path(server_id: str) -> str:
    return f"/ui/api/servers/{server_id}/figures"


def sampler_of(api: Api) -> Sampler:
    found = handler_of(api, "api", "servers", "x", "figures").__self__
    assert isinstance(found, Sampler)
    return found


async def test_a_member_sees_the_figures_of_his_projects_servers_only(api: Api) -> None:
    server_id = await quiet_server(api)
    reader, _, _ = await member(api, "reader", "reader")
    assert "could not be found" in message(await reader.call("GET", path(server_id)), 404, "itemNotFound")
    own = await (await member(api, "ann"))[0].server(await api.image(visibility="public"))
    assert (await api.call("GET", path(own))).status_code == 200
    for one in ("x", "0" * 36):
        assert (await api.call("GET", path(one))).status_code == 404
    assert (await api.cloud.http.get(path(server_id))).status_code == 401
    found = await api.call("GET", path(server_id))
    assert found.headers["cache-control"] == "no-store"
    figures = found.json()["figures"]
    assert (len(figures["at"]), figures["vcpus"], figures["memory_maximum"]) == (1, 1, 128)
    await sampler_of(api).round()
    figures = (await api.call("GET", path(server_id))).json()["figures"]
    assert (figures["cpu"], figures["net_rx"]) == ([None, 0.0], [None, 0.0])


async def test_a_server_that_does_not_run_is_a_gap_and_a_deleted_one_is_forgotten(api: Api) -> None:
    server_id = await quiet_server(api)
    await api.call("GET", path(server_id))
    await api.act(server_id, {"os-stop": None}, 202)
    await api.until(server_id, "SHUTOFF")
    for _ in range(2):
        await sampler_of(api).round()
    figures = (await api.call("GET", path(server_id))).json()["figures"]
    assert figures["cpu"] == [None, None, None]
    await api.compute("DELETE", f"/servers/{server_id}")
    await api.until(server_id, "GONE")
    await sampler_of(api).round()
    assert vars(sampler_of(api))["_watched"] == {}


async def test_nobody_pays_for_a_server_that_no_page_shows(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    watched, _other = await quiet_server(api), await quiet_server(api)
    calls: list[str] = []
    request = MemoryBus.request

    async def counted(self: MemoryBus, subject: str, payload: bytes, timeout_s: float) -> bytes:
        if b"diagnose" in payload:
            calls.append(subject)
        return await request(self, subject, payload, timeout_s)

    monkeypatch.setattr(MemoryBus, "request", counted)
    await sampler_of(api).round()
    assert calls == []
    for _ in range(3):  # pages of one server share its samples
        await api.call("GET", path(watched))
    assert len(calls) == 1
    await sampler_of(api).round()
    assert len(calls) == 2
    monkeypatch.setattr(sampler, "WATCH_S", -1)
    await sampler_of(api).round()
    assert len(calls) == 2


async def test_only_so_many_servers_are_sampled(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "MOST", 1)
    first, second = await quiet_server(api), await quiet_server(api)
    for server_id in (first, second):
        assert (await api.call("GET", path(server_id))).status_code == 200
    assert list(vars(sampler_of(api))["_watched"]) == [second]
