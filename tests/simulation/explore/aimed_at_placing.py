# SPDX-License-Identifier: Apache-2.0
"""Traps for the transactions that place a server, and for clones of hosts."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from random import Random

from tests.simulation.explore.faults import Scene
from tests.simulation.explore.requests import SERVERS
from tests.simulation.explore.targets import Target, aim
from tests.simulation.explore.traps import Trap, cloned
from tests.simulation.explore.weather import Aim, Placing


async def _placed_twice(scene: Scene, random: Random, slot: int) -> None:
    """A placement is so slow that another one is faster, and the build begins; or the create is cancelled meanwhile."""
    target = Target(scene, random, slot)
    scene.note(f"the placement of server {slot} takes 20 s")
    scene.cloud.weather.placing = Placing(1, waits_s=20)
    await target.ask("create")
    with aim(target, Aim("hangs", only=frozenset({"ensure_disks"}), hang_s=25)):
        if random.random() < 0.5:
            await asyncio.sleep(random.uniform(0, 3))
            await target.ask("cancel")
        await asyncio.sleep(30)
    scene.cloud.weather.placing = Placing(0)


async def _not_placed(scene: Scene, random: Random, slot: int) -> None:
    """The database is refused while a server is placed; the clocks may have jumped back before."""
    if random.random() < 0.5:
        scene.cloud.clock.jumped -= timedelta(seconds=4000)
        scene.note("all clocks jump by -4000 s")
    target = Target(scene, random, slot)
    scene.note(f"server {slot} is not placed at once")
    scene.cloud.weather.placing = Placing(2, refused=True)
    await target.ask("create")
    await asyncio.sleep(5)
    scene.cloud.weather.placing = Placing(0)


async def _many(scene: Scene, random: Random, slot: int) -> None:
    """Many servers are placed at the same time, each by what was true a second before."""
    scene.cloud.weather.placing = Placing(7, waits_s=1)
    await asyncio.gather(*(scene.clients.create(n % 3, slot + n * 1000, random) for n in range(7)))


async def _copied(scene: Scene, random: Random, slot: int) -> None:
    """See traps.cloned; twice, because one is often not possible."""
    await cloned(scene, random, slot)
    await cloned(scene, random, slot)


async def _address_taken(scene: Scene, random: Random, slot: int) -> None:
    """A server requests an address that another one has, on its host."""
    target = Target(scene, random, slot)
    await scene.clients.create(0, slot, random, networks="auto")
    if target.server is None or not await target.rests() or (host := target.host) is None:
        return
    answer = await scene.cloud.request("GET", f"{SERVERS}/{target.server}/os-interface")
    for port in answer.body["interfaceAttachments"] if answer.code == 200 else ():
        wanted = [{"uuid": port["net_id"], "fixed_ip": port["fixed_ips"][0]["ip_address"]}]
        await scene.clients.create(0, slot + 1000, random, networks=wanted, host=host.name)


OF_PLACING: Mapping[str, Trap] = {
    "a placement is slow": _placed_twice,
    "a placement fails": _not_placed,
    "an address is taken": _address_taken,
    "many creates meet each other": _many,
    "hosts are cloned": _copied,
}
