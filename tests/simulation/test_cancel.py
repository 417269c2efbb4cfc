# SPDX-License-Identifier: Apache-2.0
"""Each verb is cancelled while it waits for its host, and during each of its steps.

The answer comes within two seconds.  Before the point of no return everything is as before the request: the server, its
claim, quota and addresses, images, and what is on the host.  Beyond it the action ends as requested.  docs/cancel.md
has the table.
"""

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kilonova.compute.operation import Operation, Step
from kilonova.compute.operations import OPERATIONS
from kilonova.conductor.engine.cancel import DELETE_STAYS
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import Verb
from tests.simulation.cancelling import BEFORE, Lab, lab
from tests.simulation.test_gone import forget
from tests.simulation.test_lost_and_doubled import settled
from tests.simulation.virtual import run_virtually

OPERATIONS_OF_HOSTS = sorted(set(OPERATIONS) - {Verb.DELETE, Verb.SHELVE_OFFLOAD, Verb.EVACUATE})


def _is_beyond(operation: Operation, name: str) -> bool:
    begun = operation.steps[: [step.name for step in operation.steps].index(name) + 1]
    return any(step.no_return for step in begun)


def _steps(operation: Operation) -> list[Step]:
    """All steps before the point of no return, and the first and the last one beyond it."""
    beyond = [step for step in operation.steps if _is_beyond(operation, step.name)]
    return [step for step in operation.steps if step not in beyond[1:-1]]


async def _at_a_step(here: Lab, verb: str, step: Step) -> None:
    operation = OPERATIONS[verb]
    created = None if verb == Verb.CREATE else await here.server(*BEFORE.get(verb, ()))
    before, record = await here.everything(), created and await here.record(created)
    here.gate.arm(verb, step.name)
    if created is None:
        server_id = await here.server("nothing")
    else:
        server_id = created
        await here.request(server_id, verb)
    await asyncio.wait_for(here.gate.reached.wait(), 60)
    answer = await here.cancel(server_id)
    beyond = _is_beyond(operation, step.name)
    expected = "continues" if beyond else "cancelled" if step.interruptible else "cleaning-up"
    assert answer["result"] == expected, (step.name, answer)
    if beyond:
        assert answer["message"] == operation.no_return
    if expected == "cleaning-up":
        server = await here.show(server_id)
        assert (server["status"], server["OS-EXT-STS:task_state"]) == ("ERROR", None)
    here.gate.opened.set()
    await here.settle()
    newest = await here.newest(server_id, verb)
    if beyond:
        assert newest.state == "done", (step.name, newest.message)
    else:
        assert newest.state == "cancelled", (step.name, newest)
        await _is_as_before(here, server_id, before, record)
    await here.delete(server_id)
    assert not here.world.machines["a"].guests


async def _is_as_before(here: Lab, server_id: InstanceId, before: Any, record: Any) -> None:
    after = await here.everything()
    if record is None:  # a create: its record counts until it is deleted
        server = await here.show(server_id)
        assert (server["status"], server["OS-EXT-STS:task_state"]) == ("ERROR", None)
        assert "Cancelled by admin" in server["fault"]["message"]
        assert after["quota"].instances == before["quota"].instances + 1
        assert {**after, "quota": None} == {**before, "quota": None}
        return
    for what, was in before.items():
        assert after[what] == was, (what, after[what], was)
    assert await here.record(server_id) == record


@pytest.mark.parametrize("verb", OPERATIONS_OF_HOSTS)
def test_a_verb_is_cancelled_during_each_of_its_steps(verb: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with lab(tmp_path) as here:
            for step in _steps(OPERATIONS[verb]):
                await _at_a_step(here, verb, step)

    run_virtually(main())


def test_a_verb_that_its_host_has_not_fetched_is_cancelled_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with lab(tmp_path) as here:
            for verb in OPERATIONS_OF_HOSTS:
                created = None if verb == Verb.CREATE else await here.server(*BEFORE.get(verb, ()))
                before, record = await here.everything(), created and await here.record(created)
                here.world.unreachable.add("a")
                if created is None:
                    server_id = await here.server("nothing")
                    await asyncio.sleep(1)  # it is placed
                else:
                    server_id = created
                    await here.request(server_id, verb)
                assert (await here.cancel(server_id))["result"] == "cancelled", verb
                assert await settled(here.world)
                await _is_as_before(here, server_id, before, record)
                here.world.unreachable.clear()
                await here.delete(server_id)

    run_virtually(main())


def test_a_host_that_is_down_cleans_up_when_it_is_back(tmp_path: Path) -> None:
    """Until then the server can be deleted, and nothing else."""

    async def main() -> None:
        async with lab(tmp_path) as here:
            before = await here.everything()
            here.gate.arm(Verb.CREATE, "define")
            server_id = await here.server("nothing")
            await here.gate.reached.wait()
            here.world.unreachable.add("a")
            await asyncio.sleep(2 * here.world.settings.default.service_down_time)
            assert (await here.cancel(server_id))["result"] == "cleaning-up"
            assert (await here.show(server_id))["status"] == "ERROR"
            path = f"/compute/v2.1/servers/{server_id}/action"
            refused = await here.world.http.post(path, json={"reboot": {"type": "HARD"}})
            assert refused.status_code == 409
            assert "cancelled action" in refused.text
            here.gate.opened.set()
            here.world.unreachable.clear()
            await here.settle()
            await _is_as_before(here, server_id, before, None)

    run_virtually(main())


@pytest.mark.parametrize(
    ("verb", "step", "state"),
    [
        (Verb.RESIZE, "grow-disk", "done"),
        (Verb.REBUILD, "power-off", "done"),
        (Verb.RESCUE, "define", "cancelled"),
    ],
)
def test_a_host_that_died_undoes_the_action_or_ends_it(verb: str, step: str, state: str, tmp_path: Path) -> None:
    """Its next process has not seen how far the run came."""

    async def main() -> None:
        async with lab(tmp_path) as here:
            off = (Verb.STOP,) if verb == Verb.REBUILD else ()
            server_id = await here.server(*off)
            before, record = await here.everything(), await here.record(server_id)
            await here.begin(server_id, verb, step)
            await here.world.hosts["a"].kill()
            assert (await here.cancel(server_id))["result"] == "cleaning-up"
            here.gate.arm("", "")
            here.gate.runs.clear()
            here.world.hosts["a"].start()
            await here.settle()
            assert (await here.newest(server_id, verb)).state == state
            if state == "cancelled":
                await _is_as_before(here, server_id, before, record)
            else:
                server = await here.show(server_id)
                assert server["status"] == {Verb.RESIZE: "VERIFY_RESIZE", Verb.REBUILD: "SHUTOFF"}[Verb(verb)]
                assert "fault" not in server

    run_virtually(main())


def test_a_run_that_is_repeated_counts_as_beyond_its_point_of_no_return(tmp_path: Path) -> None:
    """The run before it, of a process that died, has replaced the root disk."""

    async def main() -> None:
        async with lab(tmp_path) as here:
            server_id = await here.server()
            await here.begin(server_id, Verb.REBUILD, "network")
            await here.world.hosts["a"].kill()
            here.gate.arm(Verb.REBUILD, "image")
            here.gate.runs.clear()
            here.world.hosts["a"].start()
            await asyncio.wait_for(here.gate.reached.wait(), 60)
            assert (await here.cancel(server_id))["result"] == "continues"
            here.gate.opened.set()
            await here.settle()
            assert (await here.newest(server_id, Verb.REBUILD)).state == "done"

    run_virtually(main())


def test_a_delete_goes_on_where_a_cancel_waits_for_its_host(tmp_path: Path) -> None:
    async def main() -> None:
        async with lab(tmp_path) as here:
            before = await here.everything()
            here.gate.arm(Verb.CREATE, "network")
            server_id = await here.server("nothing")
            await here.gate.reached.wait()
            assert (await here.cancel(server_id))["result"] == "cleaning-up"
            reply = await here.world.http.delete(f"/compute/v2.1/servers/{server_id}")
            assert reply.status_code == 204
            again = await here.world.http.post("/compute/v2.1/kilonova/cancel", json={"cancel": {"id": server_id}})
            (one,) = again.json()["cancel"]["actions"]
            assert (one["action"], one["result"], one["message"]) == ("delete", "continues", DELETE_STAYS)
            here.gate.opened.set()
            await here.settle()
            assert await here.everything() == before

    run_virtually(main())


def test_an_offload_continues(tmp_path: Path) -> None:
    async def main() -> None:
        async with lab(tmp_path) as here:
            server_id = await here.server()
            here.gate.arm(Verb.SHELVE_OFFLOAD, "remove-start")
            await here.request(server_id, Verb.SHELVE)
            await asyncio.wait_for(here.gate.reached.wait(), 120)
            assert (await here.cancel(server_id))["result"] == "continues"
            here.gate.opened.set()
            await here.settle()
            assert (await here.show(server_id))["status"] == "SHELVED_OFFLOADED"

    run_virtually(main())


def test_an_evacuation_is_cancelled_during_each_of_its_steps(tmp_path: Path) -> None:
    async def main() -> None:
        async with lab(tmp_path, hosts=("a", "b")) as here:
            server_id = await here.server()
            victim = (await here.show(server_id))["OS-EXT-SRV-ATTR:host"]
            await here.world.hosts[victim].kill()
            await asyncio.sleep(2 * here.world.settings.default.service_down_time)
            await forget(here.world, victim)
            del here.world.machines[victim]
            before = await here.everything()
            for step in OPERATIONS[Verb.EVACUATE].steps:
                await here.begin(server_id, Verb.EVACUATE, step.name)
                expected = "cancelled" if step.interruptible else "cleaning-up"
                assert (await here.cancel(server_id))["result"] == expected
                here.gate.opened.set()
                await here.settle()
                server = await here.show(server_id)
                assert (server["status"], server["OS-EXT-SRV-ATTR:host"]) == ("ERROR", None)
                after = await here.everything()
                assert {**after, "addresses": None} == {**before, "addresses": None}
            here.gate.arm("", "")
            await here.request(server_id, Verb.EVACUATE)
            await here.settle()
            assert (await here.show(server_id))["status"] == "ACTIVE"

    run_virtually(main())


def test_all_servers_of_a_request_are_cancelled_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with lab(tmp_path) as here:
            before = await here.everything()
            here.world.unreachable.add("a")
            body = {"name": "s", "imageRef": here.image_id, "flavorRef": "1", "networks": "auto", "min_count": 3}
            reply = await here.world.http.post("/compute/v2.1/servers", json={"server": body})
            found = await here.cancel_all(reply.headers["x-openstack-request-id"])
            assert [one["result"] for one in found] == ["cancelled"] * 3
            after = await here.everything()
            assert {**after, "quota": None} == {**before, "quota": None}

    run_virtually(main())


@pytest.mark.parametrize("seed", range(3))
def test_cancels_at_any_moment_leave_nothing(seed: int, tmp_path: Path) -> None:
    """Messages are lost, doubled and late, and the host's process dies."""

    async def main() -> None:
        async with lab(tmp_path, seed, loss=0.06) as here:
            random = Random(seed)
            before = await here.everything()
            servers = [await here.server() for _ in range(4)]
            for _ in range(16):
                server_id = random.choice(servers)
                await _try(here, server_id, random)
                if random.random() < 0.15:
                    await here.world.hosts["a"].kill()
                    here.gate.runs.clear()
                    here.world.hosts["a"].start()
            await here.settle()
            for server_id in servers:
                await here.delete(server_id)
            assert {**await here.everything(), "images": None, "bytes": None} == {
                **before,
                "images": None,
                "bytes": None,
            }

    run_virtually(main())


async def _try(here: Lab, server_id: InstanceId, random: Random) -> None:
    """Request something, and cancel it a moment later."""
    verb = random.choice([Verb.REBOOT, Verb.RESCUE, Verb.REBUILD, Verb.RESIZE, Verb.SHELVE, Verb.CREATE_IMAGE])
    if (await here.show(server_id))["OS-EXT-STS:task_state"] is not None or await here.is_refused(server_id, verb):
        return
    await asyncio.sleep(random.uniform(0, 1))
    body = {"cancel": {"id": server_id}}
    reply = await here.world.http.post("/compute/v2.1/kilonova/cancel", json=body)
    assert reply.status_code in (200, 404), reply.text
