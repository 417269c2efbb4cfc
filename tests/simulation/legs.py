# SPDX-License-Identifier: Apache-2.0
"""A pause that two hosts work on: the one without the server, then the one that has it, then the first one again.

No product verb has more than one leg yet.  The first leg makes something on the other host, the second pauses the
guest, the third takes away what the first has made.  Every step notes which host is at work on which server.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from kilonova.base.errors import HypervisorError
from kilonova.compute.operation import Job, Operation, Step, Work
from kilonova.compute.operations import OPERATIONS
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.transaction import Transaction
from kilonova.objects.action import Action
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.leg import Leg, Legs, has_ended, planned
from kilonova.objects.states import ActionState, PowerState, Verb
from tests.simulation.test_lost_and_doubled import Story, settled
from tests.simulation.test_outages import in_service
from tests.simulation.world import World, simulated

HOSTS = ("a", "b")


def other(host: str | None) -> HostName:
    return HostName("b" if host == "a" else "a")


def plan(_tx: Transaction, instance: Instance) -> Legs:
    there = other(instance.host)
    return planned(Leg(there, "prepare"), Leg(instance.host, "halt"), Leg(there, "tidy"))


class Cargo:
    """What the legs have made, and who is at work.  `refuses`: the step at which the work on a server fails.
    `at_step` is called when a step begins and when it is done; it may wait."""

    def __init__(self) -> None:
        self.on: dict[str, set[InstanceId]] = defaultdict(set)
        self.refuses: dict[InstanceId, str] = {}
        self.breaches: list[str] = []
        self.at_step: Callable[[str, Job], Awaitable[None]] | None = None
        self._at_work: Counter[tuple[InstanceId, str]] = Counter()

    def operations(self) -> Mapping[str, Operation]:
        prepare = (Step("put", self._put, self._take), Step("read", self._look, interruptible=True))
        halt = (Step("check", self._look), Step("pause", _pause, _unpause))
        tidy = (Step("ask", self._look), Step("take", self._take, self._put))
        delete = (*OPERATIONS["delete"].steps, Step("remove", self._take))
        legs = {"prepare": prepare, "halt": halt, "tidy": tidy, "delete": delete}
        ours = {
            name: Operation(name, tuple(map(self._watched, steps)), clean_up=name != "delete")
            for name, steps in legs.items()
        }
        return {**OPERATIONS, **ours}

    def _watched(self, step: Step) -> Step:
        ensure = self._noted(step.name, step.ensure)
        return replace(step, ensure=ensure, absent=self._noted(f"un{step.name}", step.absent))

    def _noted(self, name: str, work: Work) -> Work:
        async def noted(job: Job) -> None:
            host = str(job.action.leg.host)
            async with self._alone(job, host):
                if self.at_step is not None:
                    await self.at_step(f"{name} begins", job)
                await job.tools.clock.sleep(job.tools.clock.random.uniform(0, 0.3))
                if self.refuses.get(job.instance.id) == name:
                    raise HypervisorError("There is no room.")
                await work(job)
                if self.at_step is not None:
                    await self.at_step(f"{name} is done", job)

        return noted

    @asynccontextmanager
    async def _alone(self, job: Job, host: str) -> AsyncGenerator[None]:
        others = [who for (about, who), count in self._at_work.items() if about == job.instance.id and count]
        if others:
            self.breaches.append(f"{host} begins {job.action.leg.operation} while {others} work on {job.instance.id}")
        self._at_work[job.instance.id, host] += 1
        try:
            yield
        finally:
            self._at_work[job.instance.id, host] -= 1

    async def _put(self, job: Job) -> None:
        self.on[str(job.action.leg.host)].add(job.instance.id)

    async def _take(self, job: Job) -> None:
        self.on[str(job.action.leg.host)].discard(job.instance.id)

    async def _look(self, job: Job) -> None:
        """It changes nothing."""


async def _pause(job: Job) -> None:
    await job.tools.driver.pause(job.instance.id)


async def _unpause(job: Job) -> None:
    await job.tools.driver.unpause(job.instance.id)


class Move:
    """A world in which pauses have three legs.  `expected` is how each server ends: "paused", "failed" or "deleted"."""

    def __init__(self, world: World, cargo: Cargo, story: Story) -> None:
        self.world, self.cargo, self.story = world, cargo, story
        self.expected: dict[InstanceId, str] = {}

    async def servers(self, count: int) -> list[InstanceId]:
        image_id = await self.story.image()
        for n in range(count):
            await self.story.create(f"s{n}", image_id)
        await self.settled(300)
        return sorted(map(InstanceId, self.story.expected))

    async def pause(self, server_id: InstanceId, *, refuses: str = "") -> None:
        self.cargo.refuses[server_id] = refuses
        self.expected[server_id] = "failed" if refuses else "paused"
        await self.world.until(lambda: self._is_active(server_id), within_s=120)
        await self.story.post(f"/compute/v2.1/servers/{server_id}/action", {"pause": None}, 202)

    async def _is_active(self, server_id: InstanceId) -> bool:
        return (await self.instance(server_id)).vm_state == "active"

    async def delete(self, server_id: InstanceId) -> None:
        self.expected[server_id] = "deleted"
        reply = await self.world.http.delete(f"/compute/v2.1/servers/{server_id}")
        assert reply.status_code == 204, reply.text

    async def instance(self, server_id: InstanceId) -> Instance:
        return (await self.world.db.read(read_instances.get_known, server_id))[0]

    async def actions(self, server_id: InstanceId) -> list[Action]:
        return await self.world.db.read(read_actions.of_instance, server_id)

    async def _requested(self, server_id: InstanceId) -> list[Action]:
        """Without what a late report said of the guest, which the next one corrects."""
        return [one for one in await self.actions(server_id) if one.verb is not Verb.POWER_UPDATE]

    async def newest(self, server_id: InstanceId) -> Action:
        return (await self.actions(server_id))[0]

    async def in_leg(self, server_id: InstanceId, index: int) -> None:
        """Wait until a host was given this leg."""

        async def it_is() -> bool:
            action = await self.newest(server_id)
            return action.current == index and action.attempt is not None

        await self.world.until(it_is, within_s=120)

    async def force_down(self, host: str, *, forced: bool = True) -> None:
        (service,) = await self.world.db.read(read_hosts.list_services, host=host, binary=read_hosts.COMPUTE)
        path = f"/compute/v2.1/os-services/{service.id}"
        reply = await self.world.http.put(path, json={"forced_down": forced})
        assert reply.status_code == 200, reply.text

    async def restart(self, victim: Any) -> None:
        """Kill a process, and start it again a moment later."""
        await victim.kill()
        await asyncio.sleep(self.story.random.uniform(0.1, 2))
        victim.start()

    async def settled(self, within_s: float = 900) -> None:
        await self.world.until(lambda: settled(self.world), within_s=within_s)

    async def check(self) -> None:
        """No two hosts were at work on one server at once, each action has ended once, and nothing is left over."""
        await self.settled()
        before = {server_id: await self._requested(server_id) for server_id in self.expected}
        await asyncio.sleep(300)  # late messages: nothing may change any more
        assert {server_id: await self._requested(server_id) for server_id in self.expected} == before
        assert self.cargo.breaches == []
        for server_id, outcome in self.expected.items():
            await self._check_one(server_id, outcome)

    async def _check_one(self, server_id: InstanceId, outcome: str) -> None:
        there = {host for host, held in self.cargo.on.items() if server_id in held}
        guests = {name for name, machine in self.world.machines.items() if server_id in machine.guests}
        instance, actions = await self.instance(server_id), await self.actions(server_id)
        pause = next(one for one in actions if one.verb is Verb.PAUSE)
        if outcome == "deleted":
            assert (there, guests, actions[0].verb, actions[0].state) == (set(), set(), Verb.DELETE, ActionState.DONE)
            return
        assert guests == {instance.host}
        power = self.world.machines[str(instance.host)].guests[server_id].power
        shown = (instance.vm_state, instance.task_state, power, pause.state, has_ended(pause.legs))
        assert there == set()
        if outcome == "paused":
            assert shown == ("paused", None, PowerState.PAUSED, ActionState.DONE, True)
        else:
            assert shown == ("active", None, PowerState.RUNNING, ActionState.FAILED, True)


@asynccontextmanager
async def moves(
    seed: int, state: Path, *, loss: float = 0.0, doubling: float = 0.0, late: float = 0.0
) -> AsyncGenerator[Move]:
    """Two hosts in service."""
    async with simulated(seed, state, hosts=HOSTS, loss=loss, doubling=doubling, late=late) as world:
        cargo = Cargo()
        world.plans, world.operations = {Verb.PAUSE: plan}, cargo.operations()
        for process in (*world.hosts.values(), world.conductor):
            await process.kill()
            process.start()
        for host in HOSTS:
            await in_service(world, host, True)
        yield Move(world, cargo, Story(world, seed))
