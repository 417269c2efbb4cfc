# SPDX-License-Identifier: Apache-2.0
"""A host falls silent, an operator gives it up, its servers are evacuated, and the host returns all the same.

Whatever the seed, the moment of the return, and whether the host's process lived on or was started again: once the
host has been heard again, no server runs on two hosts; what the host says of its servers has no effect; no address is
assigned twice; and the claims of each host are those of the servers that live there.
"""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.base.errors import Conflict
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import tombstones as read_tombstones
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.states import PowerState
from kilonova.rpc.memory import MemoryBus
from kilonova.rpcapi.api_to_conductor_admin import FORGET_HOST, ForgetHost, Forgotten
from kilonova.rpcapi.caller import Caller
from tests.simulation.test_lost_and_doubled import HOSTS, Story, serving, settled
from tests.simulation.test_outages import in_service, lose
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, check_quotas, simulated

SERVERS = 9
STOPPED_S = 60.0
"""How long after its first contact a host that returned may still stop its copies: messages are lost meanwhile."""
SEARCH_S = 120.0
"""Between two searches for guests whose instances were deleted."""
CLEAN_S = 6 * SEARCH_S


async def forget(world: World, host: str) -> Forgotten:
    async with MemoryBus(world.hub, world.clock) as bus:
        try:
            return await Caller(bus, world.clock).call(FORGET_HOST, ForgetHost(HostName(host)))
        except Conflict as exc:
            refusal = exc
    raise refusal


class Gone:
    """One story about `victim`."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.story = world, Story(world, seed)
        self.random = self.story.random
        self.victim = self.random.choice(HOSTS)
        self.lives_on = self.random.random() < 0.5
        self.epoch = 0
        self.evacuated: set[InstanceId] = set()
        self.deleted: set[InstanceId] = set()
        self.left: set[InstanceId] = set()
        self.twice: list[tuple[float, InstanceId]] = []
        """When a server ran on two hosts."""
        self.contact: float | None = None

    async def process(self) -> read_hosts.HostProcess | None:
        return await self.world.db.read(read_hosts.process_of, HostName(self.victim))

    async def has_registered(self) -> bool:
        """A late message of a process that is dead may have registered that one."""
        known, lives = await self.process(), self.world.process_ids.get(self.victim)
        return known is not None and known.epoch > self.epoch and known.process_id == lives

    async def create(self) -> None:
        image_id = await self.story.image()
        for n in range(SERVERS):
            await self.story.create(f"s{n}", image_id)

    async def falls_silent(self) -> None:
        """Its machine and guests live on; its process may, too."""
        if self.lives_on:
            self.world.unreachable.add(self.victim)
        else:
            await self.world.hosts[self.victim].kill()
        before = await self.process()
        assert before is not None
        self.epoch = before.epoch
        with pytest.raises(Conflict, match="is alive"):
            await forget(self.world, self.victim)

        async def is_down() -> bool:
            known = await self.process()
            return known is not None and not known.up

        await self.world.until(is_down, within_s=300)

    async def of_victim(self) -> list[InstanceId]:
        return sorted(await self.world.db.read(read_instances.powers_of_host, HostName(self.victim)))

    async def delete(self, id_: InstanceId) -> None:
        """A delete is answered at once: its user does not see the server any more."""
        assert (await self.world.http.delete(f"/compute/v2.1/servers/{id_}")).status_code == 204
        assert (await self.world.http.get(f"/compute/v2.1/servers/{id_}")).status_code == 404
        self.deleted.add(id_)

    async def evacuate(self, id_: InstanceId) -> None:
        reply = await self.world.http.post(f"/compute/v2.1/servers/{id_}/action", json={"evacuate": {}})
        assert reply.status_code == 200, reply.text
        self.evacuated.add(id_)

    async def returns(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self.world.unreachable.discard(self.victim)
        if not self.lives_on:
            self.world.boots[self.victim] += self.random.randrange(2)
            self.world.hosts[self.victim].start()

    async def watch(self) -> None:
        """Note when the process that lives now has registered, and every server that runs on two hosts."""
        while True:
            now = self.world.clock.monotonic()
            if self.contact is None and await self.has_registered():
                self.contact = now
            running = Counter(
                id_
                for machine in self.world.machines.values()
                for id_, guest in machine.guests.items()
                if guest.power is PowerState.RUNNING
            )
            self.twice += [(now, id_) for id_, count in running.items() if count > 1]
            await asyncio.sleep(0.5)

    async def decide(self) -> None:
        """Each server of the victim is evacuated, deleted or left, at some moment."""
        for id_ in await self.given_up():
            await asyncio.sleep(self.random.uniform(0, 20))
            what = self.random.choice(["evacuate", "evacuate", "delete", "leave"])
            if what == "evacuate":
                await self.evacuate(id_)
            elif what == "delete":
                await self.delete(id_)
            else:
                self.left.add(id_)

    async def given_up(self) -> list[InstanceId]:
        copies = await self.world.db.read(read_tombstones.copies_on, HostName(self.victim))
        return sorted(id_ for id_, is_superfluous in copies.items() if not is_superfluous)

    async def check(self) -> None:
        world = self.world
        at: dict[str, set[InstanceId]] = {name: set(machine.guests) for name, machine in world.machines.items()}
        listed = (await world.http.get("/compute/v2.1/servers/detail")).json()["servers"]
        shown = {InstanceId(one["id"]): one for one in listed}
        assert not self.deleted & shown.keys()
        for id_ in self.evacuated:
            host = shown[id_]["OS-EXT-SRV-ATTR:host"]
            assert (shown[id_]["status"], host != self.victim) == ("ACTIVE", True), shown[id_]
            assert {name for name, guests in at.items() if id_ in guests} == {host}
            assert world.machines[host].guests[id_].starts == 1
        for id_ in self.left:
            assert (shown[id_]["status"], shown[id_]["OS-EXT-SRV-ATTR:host"]) == ("ERROR", None)
        assert at[self.victim] <= self.left
        assert all(guest.power is PowerState.SHUTDOWN for guest in world.machines[self.victim].guests.values())
        nics = [nic["addr"] for one in listed for nic in one["addresses"].get("kilonova", ())]
        hosts = [one["OS-EXT-SRV-ATTR:host"] for one in listed for _ in one["addresses"].get("kilonova", ())]
        living = [pair for pair in zip(hosts, nics, strict=True) if pair[0] is not None]
        assert len(set(living)) == len(living)
        claimed = {node.service.host: node.running_vms for node in await world.db.read(read_hosts.list_nodes)}
        assert claimed == {name: len(guests - self.left) for name, guests in at.items()}
        await check_quotas(world)

    async def enable(self) -> int:
        (service,) = await self.world.db.read(read_hosts.list_services, host=self.victim, binary=read_hosts.COMPUTE)
        body = {"status": "enabled"}
        return (await self.world.http.put(f"/compute/v2.1/os-services/{service.id}", json=body)).status_code


async def play(seed: int, state: Path, *, loss: float, late: float, again: bool) -> None:
    """With `again` the process of the host that returned is killed and started while it cleans up."""
    async with simulated(seed, state, hosts=HOSTS, loss=loss, doubling=loss, late=late) as world:
        await world.until(lambda: serving(world), within_s=120)
        default = replace(world.settings.default, running_deleted_instance_poll_interval=SEARCH_S)
        world.settings = replace(world.settings, default=default)
        for process in world.hosts.values():
            await process.kill()
            process.start()
        await asyncio.sleep(30)
        gone = Gone(world, seed)
        await gone.create()
        if gone.random.random() < 0.5:  # otherwise some are still being built when the host falls silent
            await world.until(lambda: settled(world), within_s=300)
        await gone.falls_silent()
        for id_ in await gone.of_victim():
            if gone.random.random() < 0.2:
                await gone.delete(id_)
        await forget(world, gone.victim)
        watching = asyncio.ensure_future(gone.watch())
        returning = asyncio.ensure_future(gone.returns(gone.random.uniform(0, 120)))
        await gone.decide()
        await returning
        await world.until(lambda: settled(world), within_s=900)
        if again:
            await world.hosts[gone.victim].kill()
            del world.process_ids[gone.victim]
            gone.contact = None  # its guests may run until the next process has registered
            await asyncio.sleep(gone.random.uniform(0.1, 90))
            world.hosts[gone.victim].start()
        await world.until(gone.has_registered, within_s=300)
        await asyncio.sleep(CLEAN_S)
        watching.cancel()
        assert gone.contact is not None
        assert [one for one in gone.twice if one[0] > gone.contact + STOPPED_S] == []
        await gone.check()
        after = await gone.process()
        assert after is not None
        assert after.epoch > gone.epoch
        for id_ in sorted(gone.left):
            assert await gone.enable() == 409
            await gone.delete(id_)
        gone.left.clear()
        await asyncio.sleep(CLEAN_S)
        await gone.check()
        assert await gone.enable() == 200
        await asyncio.sleep(300)
        image_id = await gone.story.image()
        server = {"name": "new", "imageRef": image_id, "flavorRef": "1", "networks": "auto", "host": gone.victim}
        reply = await world.http.post("/compute/v2.1/servers", json={"server": server})
        assert reply.status_code == 202, reply.text
        await world.until(lambda: settled(world), within_s=300)
        assert world.machines[gone.victim].guests[reply.json()["server"]["id"]].power is PowerState.RUNNING


@pytest.mark.parametrize("seed", range(6))
def test_a_host_that_returns_after_it_was_given_up(seed: int, tmp_path: Path) -> None:
    run_virtually(play(seed, tmp_path, loss=0.02, late=0.0, again=False))


@pytest.mark.parametrize("seed", range(100, 106))
def test_its_messages_come_late_and_its_process_dies_while_it_cleans_up(seed: int, tmp_path: Path) -> None:
    run_virtually(play(seed, tmp_path, loss=0.04, late=0.06, again=True))


def test_a_guest_that_is_being_started_is_stopped_too(tmp_path: Path) -> None:
    """The host was cut off in the middle of a start, which ends after the conductor has heard the host again."""

    async def main() -> None:
        async with simulated(3, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            gone = Gone(world, 3)
            gone.victim, gone.lives_on = "a", True
            await in_service(world, "a", True)
            image_id, machine = await gone.story.image(), world.machines["a"]
            started, go_on = asyncio.Event(), asyncio.Event()

            async def hold(call: str, _guest: object) -> None:
                if call == "power_on":
                    started.set()
                    await go_on.wait()

            machine.before_call = hold
            await gone.story.create("s", image_id)
            await started.wait()
            await gone.falls_silent()
            await forget(world, "a")
            await gone.returns(0)
            await world.until(gone.has_registered, within_s=60)
            await asyncio.sleep(10)
            (guest,) = machine.guests.values()
            assert (guest.power, guest.starts) == (PowerState.SHUTDOWN, 0)
            go_on.set()
            await asyncio.sleep(10)
            assert (guest.power, guest.starts) == (PowerState.SHUTDOWN, 1)

    run_virtually(main())


def test_a_hypervisor_that_does_not_answer_at_the_return_is_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with simulated(4, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            gone = Gone(world, 4)
            gone.victim, gone.lives_on = "a", True
            await in_service(world, "a", True)
            await gone.story.create("s", await gone.story.image())
            await world.until(lambda: settled(world), within_s=120)
            await gone.falls_silent()
            await forget(world, "a")
            lose(world, "a")
            await gone.returns(0)
            await world.until(gone.has_registered, within_s=60)
            await asyncio.sleep(60)
            (guest,) = world.machines["a"].guests.values()
            assert guest.power is PowerState.RUNNING
            world.machines["a"].come_back()
            await asyncio.sleep(30)
            assert guest.power is PowerState.SHUTDOWN

    run_virtually(main())
