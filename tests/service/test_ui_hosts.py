# SPDX-License-Identifier: Apache-2.0
"""Capacity of hosts, and what the doctor finds on them: who may see it, and what a host that does not answer costs."""

import asyncio
from typing import Any

import pytest

from kilonova.base.errors import InvalidInput, RpcTimeout
from kilonova.rpc import wire
from kilonova.rpc.memory import MemoryBus
from kilonova.wiring import examiner
from tests.service.api import Api, message
from tests.service.people import member

HOST = "/ui/api/hosts/box1/doctor"


async def findings(api: Api, path: str = HOST) -> dict[str, dict[str, Any]]:
    """The findings by their checks, which have one finding each."""
    reply = await api.call("GET", path)
    assert reply.status_code == 200, reply.text
    assert reply.headers["cache-control"] == "no-store"
    examination = reply.json()["examination"]
    found = {one["check"]: one for one in examination["findings"]}
    assert (examination["host"], len(found)) == ("box1", len(examination["findings"]))
    return found


async def test_only_administrators_see_hosts(api: Api) -> None:
    ann, _, _ = await member(api, "ann")
    for path in (HOST, "/ui/api/hosts", "/ui/api/doctor"):
        message(await ann.call("GET", path), 403, "forbidden")
        assert (await api.cloud.http.get(path)).status_code == 401
    assert "<b> could not be found" in message(await api.call("GET", "/ui/api/hosts/<b>/doctor"), 404, "itemNotFound")


async def test_what_servers_may_claim_is_not_what_the_machine_has(api: Api) -> None:
    await api.server(await api.image())
    (host,) = (await api.call("GET", "/ui/api/hosts")).json()["hosts"]
    (node,) = (await api.at("2.87").json("/os-hypervisors/detail"))["hypervisors"]
    ratio = api.cloud.box.settings.default.cpu_allocation_ratio
    assert ratio > 1
    assert host["vcpus"] == {"physical": node["vcpus"], "capacity": node["vcpus"] * ratio, "used": 1}
    assert (host["memory_mib"]["used"], host["disk_gib"]["used"]) == (128, 1)
    assert (host["host"], host["failed_builds"], host["disk_short"]) == ("box1", 0, "")


async def test_the_host_and_the_service_report_what_the_doctor_finds(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    run, runs = examiner.run_module, list[str]()

    async def counted(module: str, data: bytes, *, limit_s: float) -> bytes:
        runs.append(module)
        return await run(module, data, limit_s=limit_s)

    monkeypatch.setattr(examiner, "run_module", counted)
    async with asyncio.TaskGroup() as group:  # two pages share one examination
        first, second = (group.create_task(findings(api)) for _ in range(2))
    assert runs == ["kilonova.doctor"]
    found = first.result()
    assert found.keys() == second.result().keys()
    assert (found["heartbeats"]["level"], found["code-version"]["level"]) == ("ok", "ok")
    assert (found["database"]["level"], found["identity"]["level"]) == ("ok", "ok")
    service = await findings(api, "/ui/api/doctor")
    assert service.keys() == found.keys() - {"heartbeats", "in-service", "code-version"}


async def test_a_frozen_host_costs_a_ping_and_is_a_finding(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    request, asked = MemoryBus.request, list[str]()

    async def frozen(self: MemoryBus, subject: str, payload: bytes, timeout_s: float) -> bytes:
        if subject != "compute.box1":
            return await request(self, subject, payload, timeout_s)
        asked.append(wire.decode_request(payload).method)
        await asyncio.sleep(timeout_s)
        raise RpcTimeout(f"No reply from {subject}.")

    monkeypatch.setattr(MemoryBus, "request", frozen)
    async with asyncio.TaskGroup() as group:
        examining = group.create_task(findings(api))
        await asyncio.sleep(0)
        assert (await api.compute("GET", "/servers")).status_code == 200  # others are served meanwhile
    found = examining.result()
    assert (found["answer"]["level"], "No reply" in found["answer"]["found"]) == ("error", True)
    assert found["heartbeats"]["level"] == "ok"
    assert set(asked) == {"ping"}  # and no examination, which would take longer


async def test_an_old_host_is_no_error(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    request = MemoryBus.request

    async def old(self: MemoryBus, subject: str, payload: bytes, timeout_s: float) -> bytes:
        if subject == "compute.box1":
            return wire.encode_error(InvalidInput("No such method here: ping."))
        return await request(self, subject, payload, timeout_s)

    monkeypatch.setattr(MemoryBus, "request", old)
    found = await findings(api)
    assert (found["answer"]["level"], "Upgrade the host" in found["answer"]["cure"]) == ("note", True)


async def test_checks_that_hang_are_ended_and_reported(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examiner, "EXAMINE_S", 0.0)
    for path in (HOST, "/ui/api/doctor"):
        found = (await findings(api, path))["answer"]
        assert (found["level"], "did not end within 0 s" in found["found"]) == ("error", True)
