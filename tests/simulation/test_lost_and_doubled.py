# SPDX-License-Identifier: Apache-2.0
"""API, a conductor and three hosts under virtual time: messages are lost, doubled and late, hosts die and come back.

Whatever the seed: what was accepted ends as asked, each guest is there once and was started as often as asked, and
nothing is left of what was deleted.  `make simulate` has many more faults; these few seeds know exactly how each
server must be in the end.
"""

import asyncio
import hashlib
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, check_quotas, simulated

HOSTS = ("a", "b", "c")
SERVERS = 12
MIB = 1 << 20

SMALL, LARGE = "1", "4"
SHELVED = "SHELVED_OFFLOADED"
SAVES = ("createImage", "createBackup")
SIZES = {SMALL: (1, 1), LARGE: (2, 40)}
"""Flavors, with their vCPUs and GiB."""


@dataclass(frozen=True)
class Expected:
    """What a server must be in the end.  `was` is its status before a resize that waits, `base` the size of the image
    below its disk (a rebuilt one has the other image; one that was shelved has one of its own: None)."""

    status: str = "ACTIVE"
    starts: int = 1
    flavor: str = SMALL
    was: str = ""
    base: int | None = MIB

    @property
    def runs(self) -> bool:
        return (self.was or self.status) in ("ACTIVE", "RESCUE")

    @property
    def vcpus(self) -> int:
        """That its host holds for it: of the larger flavor, while it can still go back."""
        return max(vcpus for vcpus, _ in SIZES.values()) if self.was else SIZES[self.flavor][0]

    def after(self, verb: str) -> "Expected":
        """When the verb has ended."""
        other = LARGE if self.flavor == SMALL else SMALL
        again = self.starts + self.runs
        match verb:
            case "stop":
                return replace(self, status="SHUTOFF")
            case "reboot" | "start" | "unrescue":
                return replace(self, status="ACTIVE", starts=self.starts + 1)
            case "suspend":
                return replace(self, status="SUSPENDED")
            case "resume":
                return replace(self, status="ACTIVE")
            case "rescue":
                return replace(self, status="RESCUE", starts=self.starts + 1)
            case "rebuild":
                return replace(self, starts=again, base=2 * MIB)
            case "shelve":
                return Expected(SHELVED, 0, self.flavor)
            case "unshelve":
                return Expected("ACTIVE", 1, self.flavor, base=None)  # its guest is a new one
            case "resize":
                return replace(self, status="VERIFY_RESIZE", starts=again, flavor=other, was=self.status)
            case "revertResize":
                return replace(self, status=self.was, starts=again, flavor=other, was="")
            case "confirmResize":
                return replace(self, status=self.was, was="")
            case _:
                return self


class Story:
    """What was asked for, and so what must be in the end; deleted ones are gone."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.random = world, Random(seed)
        self.expected: dict[str, Expected] = {}
        self.deleted: set[str] = set()
        self.other_image = ""

    async def post(self, path: str, body: Any, code: int) -> Any:
        reply = await self.world.http.post(path, json=body)
        assert reply.status_code == code, reply.text
        return reply.json() if reply.content else None

    async def image(self, size: int = MIB) -> str:
        body = {"name": "raw", "disk_format": "raw", "container_format": "bare"}
        image_id = (await self.post("/image/v2/images", body, 201))["id"]
        headers = {"Content-Type": "application/octet-stream"}
        reply = await self.world.http.put(f"/image/v2/images/{image_id}/file", content=bytes(size), headers=headers)
        assert reply.status_code == 204, reply.text
        return image_id

    async def create(self, name: str, image_id: str) -> None:
        server = {"name": name, "imageRef": image_id, "flavorRef": "1", "networks": "auto"}
        answer = await self.post("/compute/v2.1/servers", {"server": server}, 202)
        self.expected[answer["server"]["id"]] = Expected()

    async def act(self, server_id: str) -> None:
        """One action at random, or a delete, once the one before has ended."""
        expected = self.expected[server_id]
        assert await self._shows(server_id, expected.status)
        verb = self.random.choice([*_verbs(expected), "delete", "nothing"])
        if verb in SAVES:
            await self.save(server_id, verb)
            verb = self.random.choice(["delete", "nothing", "nothing"])
        if verb == "delete":
            reply = await self.world.http.delete(f"/compute/v2.1/servers/{server_id}")
            assert reply.status_code == 204, reply.text
            del self.expected[server_id]
            self.deleted.add(server_id)
        elif verb != "nothing":
            kind = self.random.choice(["SOFT", "HARD"])
            body = {
                "stop": {"os-stop": None},
                "start": {"os-start": None},
                "rescue": {"rescue": {}},
                "rebuild": {"rebuild": {"imageRef": self.other_image}},
                "reboot": {"reboot": {"type": kind if expected.status == "ACTIVE" else "HARD"}},
                "resize": {"resize": {"flavorRef": LARGE}},
            }.get(verb, {verb: None})
            code = {"confirmResize": 204, "rescue": 200}.get(verb, 202)
            await self.post(f"/compute/v2.1/servers/{server_id}/action", body, code)
            self.expected[server_id] = expected.after(verb)

    async def _shows(self, server_id: str, status: str) -> bool:
        reply = await self.world.http.get(f"/compute/v2.1/servers/{server_id}")
        return reply.json()["server"]["status"] == status

    async def save(self, server_id: str, verb: str) -> None:
        """An image; or a backup, which the next one of the server takes the place of."""
        more = {"backup_type": "daily", "rotation": 1} if verb == "createBackup" else {}
        await self.post(f"/compute/v2.1/servers/{server_id}/action", {verb: {"name": verb, **more}}, 202)
        if self.random.random() < 0.5:
            await asyncio.sleep(self.random.uniform(0, 3))

    async def trouble(self, rounds: int) -> None:
        """Hosts, and the conductor, are killed between any two of their steps and started again."""
        for _ in range(rounds):
            await asyncio.sleep(self.random.uniform(0.05, 3))
            victim = self.random.choice([*self.world.hosts.values(), self.world.conductor])
            await victim.kill()
            await asyncio.sleep(self.random.uniform(0.1, 2))
            victim.start()


VERBS = {
    "ACTIVE": ("stop", "reboot", "suspend", "rescue", "rebuild", "shelve", *SAVES),
    "SHUTOFF": ("start", "reboot", "rescue", "rebuild", "shelve", *SAVES),
    "SUSPENDED": ("resume", "resume", "reboot", "shelve", *SAVES),
    "RESCUE": ("unrescue",) * 3,
    "VERIFY_RESIZE": ("confirmResize", "revertResize"),
    SHELVED: ("unshelve",),
}


def _verbs(expected: Expected) -> list[str]:
    """What can be asked for of such a server; a disk never becomes smaller."""
    can_grow = expected.flavor == SMALL and expected.status in ("ACTIVE", "SHUTOFF")
    return [*VERBS[expected.status], *(["resize"] if can_grow else [])]


async def settled(world: World) -> bool:
    return not await world.db.read(read_actions.all_open)


async def serving(world: World) -> bool:
    nodes = await world.db.read(read_hosts.list_nodes)
    return len(nodes) == len(HOSTS) and all(node.service.up and not node.service.disabled for node in nodes)


async def check(story: Story) -> None:
    world = story.world
    listed = (await world.http.get("/compute/v2.1/servers/detail")).json()["servers"]
    assert {s["id"]: s["status"] for s in listed} == {i: one.status for i, one in story.expected.items()}
    guests = [(name, i, guest) for name, machine in world.machines.items() for i, guest in machine.guests.items()]
    for server_id, one in story.expected.items():
        kept = await world.db.read(read_instances.get, InstanceId(server_id))
        assert (kept.desired_power is PowerState.RUNNING) == one.runs, (server_id, one, kept.desired_power)
    there = [i for i, one in story.expected.items() if one.status != SHELVED]
    assert Counter(i for _, i, _ in guests) == Counter(there)
    assert not any(guest.snapshots for _, _, guest in guests)
    for name, server_id, guest in guests:
        expected = story.expected[server_id]
        server = next(s for s in listed if s["id"] == server_id)
        assert (server["OS-EXT-SRV-ATTR:host"], guest.starts) == (name, expected.starts), server_id
        assert (guest.power is PowerState.RUNNING) == expected.runs
        assert guest.definition is not None
        assert (guest.definition.flavor.id, guest.disk_bytes) == (expected.flavor, SIZES[expected.flavor][1] << 30)
        assert (guest.kept_disk is not None) == bool(expected.was)
        assert (guest.saved, guest.rescue is not None) == (expected.status == "SUSPENDED", expected.status == "RESCUE")
        assert guest.base is not None
        assert expected.base in (None, guest.base.virtual_size)
    addresses = [(s["OS-EXT-SRV-ATTR:host"], s["addresses"]["kilonova"][0]["addr"]) for s in listed if s["id"] in there]
    assert len(set(addresses)) == len(addresses)
    claimed = {
        node.service.host: (node.running_vms, node.vcpus_used) for node in await world.db.read(read_hosts.list_nodes)
    }
    held = {name: [story.expected[i].vcpus for host, i, _ in guests if host == name] for name in HOSTS}
    assert claimed == {name: (len(vcpus), sum(vcpus)) for name, vcpus in held.items()}
    await check_quotas(world)
    await check_images(story)


async def check_images(story: Story) -> None:
    """Each image is whole, and nothing is kept that is none; a shelved server has its image, and no other has one."""
    world = story.world
    images = (await world.http.get("/image/v2/images?limit=1000")).json()["images"]
    assert {one["status"] for one in images} == {"active"}
    assert {path.name for path in (world.state / "images").iterdir()} == {one["id"] for one in images}
    for one in images:
        data = b"".join([chunk async for chunk in world.store.read(one["id"])])
        assert hashlib.sha512(data).hexdigest() == one["os_hash_value"]
    shelved = Counter(one["instance_uuid"] for one in images if one["name"].endswith("-shelved"))
    assert shelved == Counter(i for i, one in story.expected.items() if one.status == SHELVED)
    backups = Counter(one["instance_uuid"] for one in images if one["name"] == "createBackup")
    # A delete may supersede a backup between its image and its rotation: the image before it stays, too.
    assert all(count <= (1 if i in story.expected else 2) for i, count in backups.items())


async def run_story(
    seed: int, state: Path, *, loss: float, doubling: float, killings: int, cut_off: float = 0.0, late: float = 0.0
) -> None:
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(
            simulated(seed, state, hosts=HOSTS, loss=loss, doubling=doubling, late=late)
        )
        world.cut_off = cut_off
        story = Story(world, seed)
        await world.until(lambda: serving(world), within_s=120)
        image_id, story.other_image = await story.image(), await story.image(2 * MIB)
        trouble = asyncio.ensure_future(story.trouble(killings))
        for n in range(SERVERS):
            await story.create(f"server-{n}", image_id)
            if story.random.random() < 0.3:  # a delete at any moment, while building too
                victim = story.random.choice(sorted(story.expected))
                await world.http.delete(f"/compute/v2.1/servers/{victim}")
                del story.expected[victim]
        await trouble
        await world.until(lambda: settled(world), within_s=600)
        for _ in range(3):
            trouble = asyncio.ensure_future(story.trouble(killings // 2))
            for server_id in sorted(story.expected):
                await story.act(server_id)
            await trouble
            await world.until(lambda: settled(world), within_s=600)
        await asyncio.sleep(300)  # late messages, periodic reads: nothing may change any more
        await check(story)


@pytest.mark.parametrize("seed", range(3))
def test_lost_doubled_and_late_messages_change_nothing(seed: int, tmp_path: Path) -> None:
    run_virtually(run_story(seed, tmp_path, loss=0.08, doubling=0.08, killings=0))


@pytest.mark.parametrize("seed", range(100, 102))
def test_nor_do_processes_that_die_and_come_back(seed: int, tmp_path: Path) -> None:
    run_virtually(run_story(seed, tmp_path, loss=0.05, doubling=0.05, killings=6))


@pytest.mark.parametrize("seed", range(200, 203))
def test_nor_do_driver_calls_that_are_cut_off_and_happen_late(seed: int, tmp_path: Path) -> None:
    """Also when the process that made the call is dead by then."""
    run_virtually(run_story(seed, tmp_path, loss=0.03, doubling=0.03, killings=4, cut_off=0.15))


@pytest.mark.parametrize("seed", range(300, 302))
def test_nor_do_messages_that_come_after_their_sender_has_asked_again(seed: int, tmp_path: Path) -> None:
    """And after it has died: what a dead process has said is not taken for the word of the one that lives."""
    run_virtually(run_story(seed, tmp_path, loss=0.02, doubling=0.02, killings=4, late=0.08))
