# SPDX-License-Identifier: Apache-2.0
"""Traps in which a verb fails, and in which what it has made cannot be removed, or undone, at once."""

import asyncio
from collections.abc import Mapping
from random import Random

from tests.simulation.explore.calls import CHANGES
from tests.simulation.explore.cloud import Host
from tests.simulation.explore.edits import give_up
from tests.simulation.explore.faults import Scene, power_cut
from tests.simulation.explore.targets import Target, aim
from tests.simulation.explore.traps import Trap
from tests.simulation.explore.weather import Aim

REMOVALS = frozenset({"power_off", "undefine", "remove_network", "remove_disks"})
FOREVER = 10**6


def _is_up(scene: Scene, host: Host) -> bool:
    return bool(scene.cloud.observer.rows("SELECT 1 FROM services WHERE host = ? AND up", host.name))


async def is_down(scene: Scene, host: Host) -> bool:
    """Wait until the host counts as down."""
    return await scene.cloud.until(lambda: not _is_up(scene, host), within_s=110)


async def _failed_undo(scene: Scene, random: Random, slot: int) -> None:
    """What a build has made cannot be removed."""
    target = Target(scene, random, slot)
    asked = asyncio.ensure_future(target.ask("create"))
    await target.until(lambda: target.server is not None)
    removal = Aim("fails", only=REMOVALS, times=FOREVER)
    with aim(target, Aim("fails", only=frozenset({"power_on"}), also=removal)):
        scene.note(f"the build of server {slot} fails, and is not removed")
        await asked
        await target.rests()


async def _failed_removal(scene: Scene, random: Random, slot: int) -> None:
    """A server is deleted while its host's process is away; when it is back, the guest cannot be removed yet."""
    target = Target(scene, random, slot)
    if (host := await target.there()) is None:
        return
    scene.note(f"{host.process.name} is away, and server {slot} is deleted meanwhile")
    await host.process.kill()
    if await is_down(scene, host):
        await target.ask("delete")
        with aim(target, Aim("fails", only=REMOVALS, times=3)):
            if not host.off:
                host.process.start()
            await asyncio.sleep(20)


async def _failed_confirmation(scene: Scene, random: Random, slot: int) -> None:
    """A resize cannot be confirmed."""
    target = Target(scene, random, slot)
    if await target.there("resize") is not None:
        with aim(target, Aim("fails", only=frozenset({"drop_kept_disk"}), times=FOREVER)):
            await target.ask("confirmResize")
            await target.rests()


async def _failed_offload(scene: Scene, random: Random, slot: int) -> None:
    """A shelved server cannot leave its host; then its image is deleted, or it returns, which fails."""
    target = Target(scene, random, slot)
    if await target.there() is None:
        return
    rows = scene.cloud.observer.rows
    query = "SELECT 1 FROM actions WHERE instance_id = ? AND verb = 'shelveOffload' AND state = 'failed'"
    refused = Aim("fails", only=frozenset({"power_off", "undefine"}), skip=1, times=FOREVER)
    with aim(target, refused):
        await target.ask("shelve")
        if not await target.until(lambda: bool(rows(query, target.server)), within_s=15):
            return
    if random.random() < 0.5:
        query = "SELECT shelved_image ->> 'id' AS id FROM instances WHERE id = ? AND shelved_image IS NOT NULL"
        for row in rows(query, target.server):
            await scene.cloud.request("DELETE", f"/image/v2/images/{row['id']}")
        await target.ask("shelveOffload")
        return
    with aim(target, Aim("fails", only=frozenset({"power_on"}))):
        await target.ask("unshelve")
        await target.rests()


async def _failed_unshelve(scene: Scene, random: Random, slot: int) -> None:
    """A server that has left its host returns to one, which fails, and what is there cannot be removed."""
    target = Target(scene, random, slot)
    if await target.there() is None:
        return
    await target.ask("shelve")
    if not await target.until(lambda: target.state == "shelved_offloaded"):
        return
    removal = Aim("fails", only=REMOVALS, times=FOREVER)
    with aim(target, Aim("fails", only=frozenset({"power_on"}), also=removal)):
        await target.ask("unshelve")
        await target.rests()


async def _failed_evacuation(scene: Scene, random: Random, slot: int) -> None:
    """An evacuation fails, and what it has made cannot be removed."""
    target = Target(scene, random, slot)
    if len(scene.cloud.hosts) < 2 or (host := await target.there()) is None:
        return
    scene.note(f"host {host.name} is off, and the evacuation of its server {slot} fails")
    down = asyncio.ensure_future(power_cut(scene, host, 120))
    if await is_down(scene, host) and await give_up(scene, host.name):
        removal = Aim("fails", only=REMOVALS, times=FOREVER)
        with aim(target, Aim("fails", only=frozenset({"power_on"}), also=removal)):
            await target.ask("evacuate")
            await target.rests()
    await down


async def _reset_resize(scene: Scene, random: Random, slot: int) -> None:
    """An administrator resets the state of a server that was resized."""
    target = Target(scene, random, slot)
    if await target.there("resize") is not None:
        await target.ask("resetState to active")


async def _failed_resize(scene: Scene, random: Random, slot: int) -> None:
    """A resize fails at one of its last calls; the hypervisor may not answer when it is undone."""
    target = Target(scene, random, slot)
    if await target.there() is None:
        return
    undo = Aim("has no answer", only=CHANGES, times=2) if random.random() < 0.5 else None
    failed = frozenset({random.choice(("power_on", "power_on", "grow_disk"))})
    with aim(target, Aim("fails", only=failed)) as first:
        asked = asyncio.ensure_future(target.ask("resize"))
        await target.until(lambda: first.calls > 0, within_s=15)
        first.also = undo
        await asked
        await target.rests()


OF_FAILURES: Mapping[str, Trap] = {
    "a build is not removed": _failed_undo,
    "a deleted server is not removed": _failed_removal,
    "a confirmation fails": _failed_confirmation,
    "an offload fails": _failed_offload,
    "an unshelve is not removed": _failed_unshelve,
    "an evacuation is not removed": _failed_evacuation,
    "a resized server is reset": _reset_resize,
    "a resize fails late": _failed_resize,
}
