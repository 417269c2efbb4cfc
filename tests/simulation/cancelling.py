# SPDX-License-Identifier: Apache-2.0
"""Servers whose actions are cancelled: a step of an operation waits at a gate, and all that exists is compared."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from kilonova.compute.operation import Job, Operation, Step
from kilonova.compute.operations import OPERATIONS
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import quotas
from kilonova.db.schema import addresses
from kilonova.db.transaction import Snapshot
from kilonova.objects.action import Action
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import Verb
from tests.simulation.test_lost_and_doubled import LARGE, MIB, Story, settled
from tests.simulation.world import World, simulated

TWO_S = 2.0

BODIES: Mapping[str, Any] = {
    Verb.EVACUATE: {"evacuate": {}},
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
        assert not await self.is_refused(server_id, verb)

    async def is_refused(self, server_id: InstanceId, verb: str) -> bool:
        """Request the verb.  Returns whether the server's state does not allow it."""
        body = BODIES.get(verb) or {verb: None}
        if verb == Verb.REBUILD:
            body = {"rebuild": {"imageRef": self.other_image, "name": "rebuilt"}}
        reply = await self.world.http.post(f"/compute/v2.1/servers/{server_id}/action", json=body)
        assert reply.status_code in (200, 202, 204, 409), reply.text
        return reply.status_code == 409

    async def settle(self) -> None:
        await self.world.until(lambda: settled(self.world), within_s=300)

    async def cancel(self, server_id: InstanceId) -> dict[str, Any]:
        (one,) = await self.cancel_all(server_id)
        return one

    async def cancel_all(self, id_: str) -> list[dict[str, Any]]:
        began = self.world.clock.monotonic()
        answer = await self.story.post("/compute/v2.1/kilonova/cancel", {"cancel": {"id": id_}}, 200)
        assert self.world.clock.monotonic() - began <= TWO_S
        found: list[dict[str, Any]] = answer["cancel"]["actions"]
        return found

    async def begin(self, server_id: InstanceId, verb: str, step: str) -> None:
        """Request the verb; its run waits in the step."""
        self.gate.arm(verb, step)
        await self.request(server_id, verb)
        await asyncio.wait_for(self.gate.reached.wait(), 60)

    async def delete(self, server_id: InstanceId) -> None:
        reply = await self.world.http.delete(f"/compute/v2.1/servers/{server_id}")
        assert reply.status_code == 204, reply.text
        await self.settle()

    async def newest(self, server_id: InstanceId, verb: str) -> Action:
        found = await self.world.db.read(read_actions.of_instance, server_id)
        return next(one for one in found if one.verb == verb)

    async def show(self, server_id: InstanceId) -> dict[str, Any]:
        return (await self.world.http.get(f"/compute/v2.1/servers/{server_id}")).json()["server"]

    async def everything(self) -> dict[str, Any]:
        """What must be as before, apart from the record of the server."""
        nodes = await self.world.db.read(read_hosts.list_nodes)
        images = (await self.world.http.get("/image/v2/images")).json()["images"]
        guests = {i: guest for machine in self.world.machines.values() for i, guest in machine.guests.items()}
        return {
            "claims": [(one.vcpus_used, one.memory_mib_used, one.disk_gib_used, one.running_vms) for one in nodes],
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
async def lab(state: Path, seed: int = 1, hosts: Sequence[str] = ("a",), loss: float = 0) -> AsyncGenerator[Lab]:
    gate = Gate()
    async with simulated(seed, state, hosts=(), loss=loss, doubling=loss, late=loss) as world:
        world.operations = {name: gate.on(operation) for name, operation in OPERATIONS.items()}
        for host in hosts:
            world.add_host(host)
            if not loss:
                world.machines[host].before_call = None
        story = Story(world, seed)
        await world.until(lambda: _serve(world, len(hosts)), within_s=60)
        yield Lab(world, story, gate, await story.image(), await story.image(2 * MIB))


def _addresses(snapshot: Snapshot) -> list[str]:
    return sorted(snapshot.execute(sa.select(addresses.c.value)).scalars())


async def _serve(world: World, count: int) -> bool:
    return sum(node.service.up for node in await world.db.read(read_hosts.list_nodes)) == count
