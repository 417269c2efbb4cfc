# SPDX-License-Identifier: Apache-2.0
"""Each verb is cancelled while it waits for its host, and during each of its steps.

The answer comes within two seconds.  Before the point of no return everything is as before the request: the server, its
claim, quota and addresses, images, and what is on the host.  Beyond it the action ends as requested.  docs/cancel.md
has the table.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.compute.operation import Job, Operation, Step
from kilonova.compute.operations import OPERATIONS
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import quotas
from kilonova.db.schema import addresses
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import Verb
from tests.simulation.test_lost_and_doubled import LARGE, MIB, Story, settled
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated

TWO_S = 2.0

BODIES: Mapping[str, Any] = {
    Verb.STOP: {"os-stop": None},
    Verb.START: {"os-start": None},
    Verb.REBOOT: {"reboot": {"type": "SOFT"}},
    Verb.RESCUE: {"rescue": {}},
    Verb.RESIZE: {"resize": {"flavorRef": LARGE}},
    Verb.CREATE_IMAGE: {"createImage": {"name": "image"}},
    Verb.CREATE_BACKUP: {"createBackup": {"name": "backup", "backup_type": "daily", "rotation": 1}},
}
BEFORE: Mapping[str, tuple[str, ...]] = {
    Verb.START: (Verb.STOP,),
    Verb.UNPAUSE: (Verb.PAUSE,),
    Verb.RESUME: (Verb.SUSPEND,),
    Verb.UNRESCUE: (Verb.RESCUE,),
    Verb.CONFIRM_RESIZE: (Verb.RESIZE,),
    Verb.REVERT_RESIZE: (Verb.RESIZE,),
    Verb.UNSHELVE: (Verb.SHELVE,),
}
"""The verbs that bring a new server into the state in which a verb is possible."""
OPERATIONS_OF_HOSTS = sorted(set(OPERATIONS) - {Verb.DELETE, Verb.SHELVE_OFFLOAD, Verb.EVACUATE})
AFTERWARDS = {Verb.CREATE: "ERROR"}


@dataclass
class Gate:
    """One step of one operation waits here, as in a call of the hypervisor that does not return."""

    operation: str = ""
    step: str = ""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    runs: dict[InstanceId, int] = field(default_factory=dict[InstanceId, int])

    def arm(self, operation: str, step: str) -> None:
        self.operation, self.step = operation, step
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    def on(self, operation: Operation) -> Operation:
        return replace(operation, steps=tuple(self._on(operation, step) for step in operation.steps))

    def _on(self, operation: Operation, step: Step) -> Step:
        async def ensure(job: Job) -> None:
            if (self.operation, self.step) == (operation.name, step.name):
                self.reached.set()
                await self.opened.wait()
            await self._alone(job, step.ensure)

        async def absent(job: Job) -> None:
            await self._alone(job, step.absent)

        return replace(step, ensure=ensure, absent=absent)

    async def _alone(self, job: Job, work: Any) -> None:
        """No guest has two runs at a time."""
        running = self.runs.get(job.instance.id, 0)
        assert running == 0
        self.runs[job.instance.id] = 1
        try:
            await work(job)
        finally:
            self.runs[job.instance.id] = 0


@dataclass
class Lab:
    world: World
    story: Story
    gate: Gate
    image_id: str
    other_image: str

    async def server(self, *verbs: str) -> InstanceId:
        """A server that had these verbs."""
        body = {"name": "s", "imageRef": self.image_id, "flavorRef": "1", "networks": "auto"}
        answer = await self.story.post("/compute/v2.1/servers", {"server": body}, 202)
        server_id = InstanceId(answer["server"]["id"])
        if verbs != ("nothing",):
            await self.settle()
        for verb in verbs if verbs != ("nothing",) else ():
            await self.request(server_id, verb)
            await self.settle()
        return server_id

    async def request(self, server_id: InstanceId, verb: str) -> None:
        body = BODIES.get(verb) or {verb: None}
        if verb == Verb.REBUILD:
            body = {"rebuild": {"imageRef": self.other_image, "name": "rebuilt"}}
        reply = await self.world.http.post(f"/compute/v2.1/servers/{server_id}/action", json=body)
        assert reply.status_code in (200, 202, 204), reply.text

    async def settle(self) -> None:
        await self.world.until(lambda: settled(self.world), within_s=300)

    async def cancel(self, server_id: InstanceId) -> dict[str, Any]:
        began = self.world.clock.monotonic()
        answer = await self.story.post("/compute/v2.1/kilonova/cancel", {"cancel": {"id": server_id}}, 200)
        assert self.world.clock.monotonic() - began <= TWO_S
        (one,) = answer["cancel"]["actions"]
        return one

    async def show(self, server_id: InstanceId) -> dict[str, Any]:
        return (await self.world.http.get(f"/compute/v2.1/servers/{server_id}")).json()["server"]

    async def everything(self) -> dict[str, Any]:
        """What must be as before, apart from the record of the server."""
        (node,) = await self.world.db.read(read_hosts.list_nodes)
        images = (await self.world.http.get("/image/v2/images")).json()["images"]
        guests = self.world.machines["a"].guests
        return {
            "claims": (node.vcpus_used, node.memory_mib_used, node.disk_gib_used, node.running_vms),
            "quota": await self.world.db.read(quotas.usage, "p1"),
            "addresses": await self.world.db.read(_addresses),
            "images": {one["id"]: one["status"] for one in images},
            "bytes": {path.name for path in (self.world.state / "images").iterdir()},
            "guests": {
                i: (g.base, g.rescue, g.kept_disk, g.disk_bytes, set(g.snapshots), g.network, g.power)
                for i, g in guests.items()
            },
        }

    async def record(self, server_id: InstanceId) -> tuple[Any, ...]:
        one = await self.world.db.read(read_instances.get, server_id)
        fault = one.fault and one.fault.message
        flavors = one.flavor, one.old_flavor, one.new_flavor
        return one.vm_state, one.task_state, one.desired_power, one.image, one.name, flavors, one.rescue_image, fault


@asynccontextmanager
async def lab(state: Path, seed: int = 1) -> AsyncGenerator[Lab]:
    gate = Gate()
    async with simulated(seed, state, hosts=(), loss=0, doubling=0) as world:
        world.operations = {name: gate.on(operation) for name, operation in OPERATIONS.items()}
        world.add_host("a")
        world.machines["a"].before_call = None
        story = Story(world, seed)
        await world.until(lambda: _serves(world), within_s=60)
        yield Lab(world, story, gate, await story.image(), await story.image(2 * MIB))


def _addresses(snapshot: Snapshot) -> list[str]:
    return sorted(snapshot.execute(sa.select(addresses.c.value)).scalars())


async def _serves(world: World) -> bool:
    return any(node.service.up for node in await world.db.read(read_hosts.list_nodes))


def _is_beyond(operation: Operation, name: str) -> bool:
    begun = operation.steps[: [step.name for step in operation.steps].index(name) + 1]
    return any(step.no_return for step in begun)


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
    newest = next(one for one in await here.world.db.read(read_actions.of_instance, server_id) if one.verb == verb)
    if beyond:
        assert newest.state == "done", (step.name, newest.message)
    else:
        assert newest.state == "cancelled", (step.name, newest)
        await _is_as_before(here, server_id, before, record)
    await here.world.http.delete(f"/compute/v2.1/servers/{server_id}")
    await here.settle()
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
            for step in OPERATIONS[verb].steps:
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
                await here.world.http.delete(f"/compute/v2.1/servers/{server_id}")
                await here.settle()

    run_virtually(main())
