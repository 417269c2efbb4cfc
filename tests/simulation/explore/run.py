# SPDX-License-Identifier: Apache-2.0
"""A run of a plan: a cloud under virtual time, the steps, the end of all faults, and what is true then."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.explore import errors
from tests.simulation.explore import plan as plans
from tests.simulation.explore.aimed import AIMED
from tests.simulation.explore.cloud import Cloud, opened
from tests.simulation.explore.edits import EDITS, USUAL_QUOTA, change_quota, change_service, give_up
from tests.simulation.explore.faults import FAULTS, Scene
from tests.simulation.explore.files import directory
from tests.simulation.explore.history import History
from tests.simulation.explore.invariants import broken
from tests.simulation.explore.plan import Plan, Step
from tests.simulation.explore.requests import Clients
from tests.simulation.explore.traps import TRAPS
from tests.simulation.explore.truth import Truth, truth_of
from tests.simulation.virtual import run_virtually

SIZES = (64 << 10, 128 << 10)
"""Bytes of the base images."""
SERVE_S, SETTLE_S, QUIET_S = 60.0, 1800.0, 65.0
"""How long a cloud may take to start, the work to end after the last fault, and how long nothing may change then."""
MOST_TRIES = 30


@dataclass(frozen=True, slots=True)
class Result:
    """`broken`: sentences, empty for a good run.  The counters are by name."""

    seed: int
    broken: tuple[str, ...]
    hash: str
    steps: Counter[str]
    verbs: Counter[str]
    outcomes: Counter[str]
    troubles: Counter[str]
    history: History

    @property
    def actions(self) -> int:
        """Requests of clients and operators that were sent."""
        return sum(self.verbs.values())


def run(plan: Plan) -> Result:
    """Run the plan in a fresh cloud."""
    errors.unexpected.clear()
    with directory() as state:
        return run_virtually(_run(plan, state), looks=False)


async def _run(plan: Plan, state: Path) -> Result:
    async with opened(plan, state) as cloud:
        clients = Clients(cloud)
        scene = Scene(cloud, clients, clients.history)
        truth = await _live(plan, scene)
        history, actions = clients.history, Counter[str](row["state"] for row in truth.actions)
        return Result(
            seed=plan.seed,
            broken=tuple(broken(truth)),
            hash=history.hash(truth.changes),
            steps=Counter(step.what for step in plan.steps),
            verbs=Counter(one.verb for one in history.exchanges),
            outcomes=actions,
            troubles=cloud.weather.counted,
            history=history,
        )


async def _live(plan: Plan, scene: Scene) -> Truth:
    """The whole story: start, steps, the end of the faults, rest.  Returns what is true in the end."""
    cloud = scene.cloud
    started = await cloud.until(lambda: _serving(cloud), within_s=SERVE_S, every_s=0.2)
    if not started:
        cloud.defects.append("The cloud does not start.")
    for size in SIZES:
        scene.clients.images.append(await _image(cloud, size))
    for steps in plan.phases():
        begin = cloud.clock.monotonic()
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(_step(scene, step, begin))
        await _heal(scene)
    await cloud.until(lambda: not _open(cloud), within_s=SETTLE_S, every_s=5)
    await _bury(scene)
    settled = await cloud.until(lambda: not _open(cloud), within_s=SETTLE_S, every_s=5)
    if not settled:
        cloud.defects.extend(_stuck(cloud))
    await asyncio.sleep(QUIET_S)
    await cloud.until(lambda: not _open(cloud), within_s=SETTLE_S / 6, every_s=5)
    for slot in sorted(scene.clients.slots):
        await scene.clients.show(0, slot)
    return truth_of(scene)


def _serving(cloud: Cloud) -> bool:
    rows = cloud.observer.rows("SELECT up, disabled FROM services WHERE binary = 'kilonova-compute'")
    alive = [row["up"] and not row["disabled"] for row in rows]
    return len(alive) == sum(not host.lost for host in cloud.hosts.values()) and all(alive)


async def _image(cloud: Cloud, size: int) -> str:
    body = {"name": "base", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    answer = await cloud.request("POST", "/image/v2/images", body)
    image = answer.body["id"]
    await cloud.request("PUT", f"/image/v2/images/{image}/file", bytes(size))
    return image


async def _step(scene: Scene, step: Step, begin: float) -> None:
    await asyncio.sleep(begin + step.at_s - scene.cloud.clock.monotonic())
    clients, random = scene.clients, step.random
    match step.what:
        case plans.CREATE:
            await clients.create(step.who, step.slot, random)
        case what if what in plans.OF_A_SERVER and not clients.have_servers:
            await clients.create(step.who, plans.SLOTS + step.number, random)
        case plans.ACT:
            await clients.act(step.who, step.slot, random)
        case plans.SHOW:
            await clients.show(step.who, step.slot)
        case plans.LIST:
            await clients.list_servers(step.who)
        case plans.ACTIONS:
            await clients.actions(step.who, step.slot)
        case plans.DELETE:
            await clients.delete(step.who, step.slot)
        case what if what in TRAPS:
            await TRAPS[what](scene, random, plans.SLOTS + step.number)
        case what if what in AIMED:
            await AIMED[what](scene, random, plans.SLOTS + step.number)
        case what if what in FAULTS:
            await FAULTS[what](scene, random)
        case what:
            await EDITS[what](scene, random)


async def _heal(scene: Scene) -> None:
    """Faults end by themselves.  Processes that ended are started; operators take hosts back that they gave up."""
    cloud = scene.cloud
    scene.note("all faults have ended")
    processes = [*cloud.conductors, *(host.process for host in cloud.hosts.values() if not host.lost)]
    for _ in range(MOST_TRIES):  # (a process that an operator must start again ends with status 150)
        for process in processes:
            process.start()
        await asyncio.sleep(3)
        if all(process.lives for process in processes) and _serving(cloud):
            break
    for name, host in cloud.hosts.items():
        if not host.lost:
            await change_service(scene, name, forced_down=False)
            await change_service(scene, name, status="enabled")
    await change_quota(scene, USUAL_QUOTA)


async def _bury(scene: Scene) -> None:
    """An operator gives up the hosts that never return, once their work is all that is left."""
    for name, host in scene.cloud.hosts.items():
        for _ in range(MOST_TRIES if host.lost else 0):
            if await give_up(scene, name):
                break
            await asyncio.sleep(10)


def _open(cloud: Cloud) -> list[str]:
    """Open actions, without those of hosts that never return."""
    lost = {name for name, host in cloud.hosts.items() if host.lost}
    rows = cloud.observer.rows("SELECT id, host FROM actions WHERE state = 'open'")
    return [row["id"] for row in rows if row["host"] not in lost]


def _stuck(cloud: Cloud) -> list[str]:
    found: list[str] = []
    for action_id in _open(cloud):
        row = cloud.observer.rows("SELECT verb, instance_id, host, message FROM actions WHERE id = ?", action_id)[0]
        where = f"{row['verb']} of server {row['instance_id']} on host {row['host']}"
        found.append(f"{where} is still open {SETTLE_S:.0f} s after the last fault ({row['message']}).")
    return found
