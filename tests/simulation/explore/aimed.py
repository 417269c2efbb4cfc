# SPDX-License-Identifier: Apache-2.0
"""Traps that each bring about one rare situation.  Plans have them in rotation, so that each comes soon enough.

What they have in common is in targets and weather: a server of its own, and faults of the calls of its guest by their
names.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from random import Random

from kilonova.base.errors import KilonovaError
from kilonova.objects.ids import HostName
from kilonova.objects.states import PowerState
from kilonova.rpcapi.api_to_conductor_admin import ADOPT_HOST, AdoptHost
from tests.simulation.explore.aimed_at_placing import OF_PLACING
from tests.simulation.explore.calls import CHANGES
from tests.simulation.explore.cloud import Host
from tests.simulation.explore.edits import give_up
from tests.simulation.explore.faults import Scene, power_cut
from tests.simulation.explore.ledger import BY_ITSELF
from tests.simulation.explore.targets import Target, aim
from tests.simulation.explore.traps import Trap
from tests.simulation.explore.weather import Aim

REMOVALS = frozenset({"power_off", "undefine", "remove_network", "remove_disks"})
FOREVER = 10**6
SLOW_S = 65.0
"""Longer than a late message is on its way."""


async def _there(target: Target, *verbs: str) -> Host | None:
    """The host of the target's server, which has done these verbs; None: it was not possible."""
    if not await target.prepared((*verbs, "")) or (host := target.host) is None:
        return None
    return host if host.process.lives and not host.off else None


def _state(target: Target) -> str:
    rows = target.scene.cloud.observer.rows("SELECT vm_state FROM instances WHERE id = ?", target.server)
    return rows[0]["vm_state"] if rows else ""


def _received(target: Target) -> bool:
    """Whether the host has received the open action."""
    query = "SELECT 1 FROM actions WHERE instance_id = ? AND state = 'open' AND legs ->> '$[0].attempt' IS NOT NULL"
    return bool(target.scene.cloud.observer.rows(query, target.server))


def _is_up(scene: Scene, host: Host) -> bool:
    return bool(scene.cloud.observer.rows("SELECT 1 FROM services WHERE host = ? AND up", host.name))


async def _is_down(scene: Scene, host: Host) -> bool:
    """Wait until the host counts as down."""
    return await scene.cloud.until(lambda: not _is_up(scene, host), within_s=110)


def _epoch(scene: Scene, host: Host) -> int:
    rows = scene.cloud.observer.rows("SELECT epoch FROM services WHERE host = ?", host.name)
    return rows[0]["epoch"] if rows else 0


def _late_from(scene: Scene, host: Host, *, late: bool) -> None:
    weather = scene.cloud.weather
    weather.late_from = weather.late_from | {host.name} if late else weather.late_from - {host.name}


async def _old_fetch(scene: Scene, random: Random, slot: int) -> None:
    """A host's process ends while its fetch is on its way, and the next process has work when that arrives."""
    target = Target(scene, random, slot)
    if (host := await _there(target)) is None:
        return
    scene.note(f"a fetch of {host.name} is on its way while its process starts again")
    _late_from(scene, host, late=True)
    with aim(target, Aim("hangs", only=CHANGES, hang_s=SLOW_S)):
        await target.ask("stop")
        await asyncio.sleep(0.5)
        await host.process.kill()
        _late_from(scene, host, late=False)
        if not host.off:
            host.process.start()
        await asyncio.sleep(SLOW_S)


async def _old_outcome(scene: Scene, random: Random, slot: int) -> None:
    """The outcome of an attempt arrives while the next attempt works on the guest."""
    target = Target(scene, random, slot)
    if (host := await _there(target)) is None:
        return
    again = Aim("hangs", skip=1, only=frozenset({"pause"}), hang_s=SLOW_S)
    with aim(target, Aim("fails", only=frozenset({"pause"}), also=again)) as first:
        asked = asyncio.ensure_future(target.ask("pause"))
        await target.until(lambda: _received(target), within_s=5)
        scene.note(f"an outcome of {host.name} is on its way while its process starts again")
        _late_from(scene, host, late=True)
        await target.until(lambda: first.calls > 0, within_s=5)
        await asyncio.sleep(1)
        await host.process.kill()
        _late_from(scene, host, late=False)
        again.calls = 1
        if not host.off:
            host.process.start()
        await asked
        await asyncio.sleep(SLOW_S)


async def _old_leg(scene: Scene, random: Random, slot: int) -> None:
    """The outcome of a build arrives again while another host builds."""
    target, weather = Target(scene, random, slot), scene.cloud.weather
    hosts = frozenset(scene.cloud.hosts)
    asked = asyncio.ensure_future(target.ask("create"))
    await target.until(lambda: target.server is not None)
    later = Aim("hangs", only=frozenset({"define"}), hang_s=SLOW_S)
    with aim(target, Aim("fails", only=frozenset({"define"}), also=later)) as first:
        scene.note("all messages of hosts arrive twice, the second time late")
        weather.echoes_of |= hosts
        await target.until(lambda: first.calls > 0, within_s=5)
        await asyncio.sleep(2)
        weather.echoes_of -= hosts
        await asked
        await asyncio.sleep(SLOW_S)


async def _old_report(scene: Scene, random: Random, slot: int) -> None:
    """A report about a guest arrives after the guest was started again."""
    target = Target(scene, random, slot)
    if (host := await _there(target)) is None or (server := target.server) not in host.machine.guests:
        return
    scene.note(f"a report of {host.name} is on its way")
    _late_from(scene, host, late=True)
    assert server is not None
    scene.cloud.ledger.ended[server] += 1
    host.machine.move(server, PowerState.SHUTDOWN, BY_ITSELF)
    await asyncio.sleep(1)
    _late_from(scene, host, late=False)
    if await target.until(lambda: _state(target) == "stopped"):
        await target.ask("start")
    await asyncio.sleep(SLOW_S)


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
    if (host := await _there(target)) is None:
        return
    scene.note(f"{host.process.name} is away, and server {slot} is deleted meanwhile")
    await host.process.kill()
    if await _is_down(scene, host):
        await target.ask("delete")
        with aim(target, Aim("fails", only=REMOVALS, times=3)):
            if not host.off:
                host.process.start()
            await asyncio.sleep(20)


async def _failed_confirmation(scene: Scene, random: Random, slot: int) -> None:
    """A resize cannot be confirmed."""
    target = Target(scene, random, slot)
    if await _there(target, "resize") is not None:
        with aim(target, Aim("fails", only=frozenset({"drop_kept_disk"}), times=FOREVER)):
            await target.ask("confirmResize")
            await target.rests()


async def _failed_offload(scene: Scene, random: Random, slot: int) -> None:
    """A shelved server cannot leave its host; then its image is deleted, or it returns, which fails."""
    target = Target(scene, random, slot)
    if await _there(target) is None:
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
    if await _there(target) is None:
        return
    await target.ask("shelve")
    if not await target.until(lambda: _state(target) == "shelved_offloaded"):
        return
    removal = Aim("fails", only=REMOVALS, times=FOREVER)
    with aim(target, Aim("fails", only=frozenset({"power_on"}), also=removal)):
        await target.ask("unshelve")
        await target.rests()


async def _failed_evacuation(scene: Scene, random: Random, slot: int) -> None:
    """An evacuation fails, and what it has made cannot be removed."""
    target = Target(scene, random, slot)
    if len(scene.cloud.hosts) < 2 or (host := await _there(target)) is None:
        return
    scene.note(f"host {host.name} is off, and the evacuation of its server {slot} fails")
    down = asyncio.ensure_future(power_cut(scene, host, 120))
    if await _is_down(scene, host) and await give_up(scene, host.name):
        removal = Aim("fails", only=REMOVALS, times=FOREVER)
        with aim(target, Aim("fails", only=frozenset({"power_on"}), also=removal)):
            await target.ask("evacuate")
            await target.rests()
    await down


async def _image_and_delete(scene: Scene, random: Random, slot: int) -> None:
    """A server is deleted while its image is made."""
    target = Target(scene, random, slot)
    if await _there(target) is None:
        return
    with aim(target, Aim("hangs", only=frozenset({"take_snapshot"}), hang_s=5)):
        await target.ask(random.choice(("createImage", "createBackup", "shelve")))
        await target.lost_time(6)
        await target.ask("delete")


async def _build_and_delete(scene: Scene, random: Random, slot: int) -> None:
    """A server is deleted while it is built."""
    target = Target(scene, random, slot)
    asked = asyncio.ensure_future(target.ask("create"))
    await target.until(lambda: target.server is not None)
    with aim(target, Aim("hangs", only=frozenset({"ensure_disks"}), hang_s=5)) as begun:
        await asked
        await target.until(lambda: begun.calls > 0, within_s=10)
        scene.note(f"server {slot} is deleted while it is built")
        await target.ask("delete")
        await target.rests()


async def _boot_in_the_middle(scene: Scene, random: Random, slot: int) -> None:
    """A host boots while it works on a guest."""
    target = Target(scene, random, slot)
    if (host := await _there(target)) is None:
        return
    with aim(target, Aim("hangs", only=frozenset({"take_snapshot", "pause"}), hang_s=5)) as begun:
        await target.ask(random.choice(("createImage", "createImage", "pause")))
        await target.until(lambda: begun.calls > 0, within_s=5)
        scene.note(f"host {host.name} boots")
        await power_cut(scene, host, random.uniform(1, 5))


async def _boot_without_a_start(scene: Scene, random: Random, slot: int) -> None:
    """A host boots, and cannot start a guest."""
    target = Target(scene, random, slot)
    if (host := await _there(target)) is None:
        return
    with aim(target, Aim("fails", only=frozenset({"power_on"}), times=FOREVER)):
        scene.note(f"host {host.name} boots, and cannot start server {slot}")
        await power_cut(scene, host, random.uniform(1, 5))
        query = "SELECT 1 FROM actions WHERE instance_id = ? AND verb = 'start' AND state = 'failed'"
        await target.until(lambda: bool(scene.cloud.observer.rows(query, target.server)), within_s=90)


async def _vanished(scene: Scene, random: Random, slot: int) -> None:
    """Another tool removes a guest."""
    target = Target(scene, random, slot)
    if (host := await _there(target)) is None or (server := target.server) not in host.machine.guests:
        return
    assert server is not None
    scene.note(f"guest {server[:8]} on {host.name} vanishes")
    scene.cloud.vanished.add(server)
    host.machine.vanish(server)


async def _alive_and_given_up(scene: Scene, random: Random, slot: int) -> None:
    """A host's guests run, but its process is away so long that an operator gives the host up; then it is back."""
    target = Target(scene, random, slot)
    if (host := await _there(target)) is None:
        return
    scene.note(f"{host.process.name} is away for long")
    await host.process.kill()
    given_up = await _is_down(scene, host) and await give_up(scene, host.name)
    if not host.off:
        host.process.start()
    if given_up:
        await asyncio.sleep(150)  # (the rounds in which superfluous guests are removed)


async def _without_an_answer(scene: Scene, random: Random, slot: int) -> None:
    """The hypervisor does not answer for one guest until after the action's deadline: from the begin, or at the end of
    what must be undone then."""
    target = Target(scene, random, slot)
    if await _there(target) is None:
        return
    verb, calls, time_s = random.choice((("pause", CHANGES, 420), ("rescue", frozenset({"power_on"}), 940)))
    with aim(target, Aim("has no answer", only=calls, times=FOREVER)):
        scene.note(f"the hypervisor does not answer for server {slot} for {time_s} s")
        await target.ask(verb)
        ended = await scene.cloud.until(lambda: not target.busy, within_s=time_s, every_s=5)
        if not ended and verb == "pause":
            scene.cloud.defects.append(f"The pause of server {target.server} is open {time_s} s after its request.")


async def _reset_resize(scene: Scene, random: Random, slot: int) -> None:
    """An administrator resets the state of a server that was resized."""
    target = Target(scene, random, slot)
    if await _there(target, "resize") is not None:
        await target.ask("resetState to active")


async def _failed_resize(scene: Scene, random: Random, slot: int) -> None:
    """A resize fails at one of its last calls; the hypervisor may not answer when it is undone."""
    target = Target(scene, random, slot)
    if await _there(target) is None:
        return
    undo = Aim("has no answer", only=CHANGES, times=2) if random.random() < 0.5 else None
    failed = frozenset({random.choice(("power_on", "power_on", "grow_disk"))})
    with aim(target, Aim("fails", only=failed)) as first:
        asked = asyncio.ensure_future(target.ask("resize"))
        await target.until(lambda: first.calls > 0, within_s=15)
        first.also = undo
        await asked
        await target.rests()


async def _adopted(scene: Scene, random: Random, slot: int) -> None:
    """A second process of a host starts, and an operator prefers it while the first one lives and works."""
    target, cloud = Target(scene, random, slot), scene.cloud
    if (host := await _there(target)) is None:
        return
    scene.note(f"an operator gives host {host.name} to a second process")
    first, epoch = host.process, _epoch(scene, host)
    host.process = cloud.add_process(host)
    for _ in range(8):
        with contextlib.suppress(KilonovaError):  # (it has not been refused yet)
            await cloud.rpc.call(ADOPT_HOST, AdoptHost(HostName(host.name)))
        if await target.until(lambda: _epoch(scene, host) > epoch and host.process.lives, within_s=3):
            break
    await target.ask("stop")
    lost = _epoch(scene, host) > epoch
    ended = await cloud.until(lambda: not first.lives or first.gate.frozen or first.cut_off, within_s=130)
    if lost and not ended:
        cloud.defects.append(f"A process of host {host.name} lives although another one has the host.")
    await first.kill()


async def _answer_lost(scene: Scene, random: Random, slot: int) -> None:
    """The answer to a request is lost, and the database is refused when it is sent again."""
    target, weather = Target(scene, random, slot), scene.cloud.weather
    if await _there(target) is None:
        return
    scene.note("replies are lost, and then the database is refused")
    weather.no_replies = True
    asked = asyncio.ensure_future(target.ask("stop"))
    await target.until(lambda: target.busy, within_s=4)
    weather.no_replies = False
    weather.refused += 1
    await asked
    weather.refused -= 1


async def _sent_twice(scene: Scene, random: Random, slot: int) -> None:
    """A create without an Idempotency-Key arrives twice."""
    scene.note("all messages are doubled")
    scene.cloud.weather.doubling += 1
    await scene.clients.create(0, slot, random, has_key=False)
    scene.cloud.weather.doubling -= 1


AIMED: Mapping[str, Trap] = {
    "an old fetch arrives": _old_fetch,
    "an old outcome arrives": _old_outcome,
    "an old leg's outcome arrives": _old_leg,
    "an old report arrives": _old_report,
    "a build is not removed": _failed_undo,
    "a deleted server is not removed": _failed_removal,
    "a confirmation fails": _failed_confirmation,
    "an offload fails": _failed_offload,
    "an unshelve is not removed": _failed_unshelve,
    "an evacuation is not removed": _failed_evacuation,
    "a delete meets an image": _image_and_delete,
    "a delete meets a build": _build_and_delete,
    "a boot meets work": _boot_in_the_middle,
    "a start after a boot fails": _boot_without_a_start,
    "a guest vanishes": _vanished,
    "a live host is given up": _alive_and_given_up,
    "a hypervisor has no answer": _without_an_answer,
    "a resized server is reset": _reset_resize,
    "a resize fails late": _failed_resize,
    "a live host is adopted": _adopted,
    "an answer is lost": _answer_lost,
    "a create arrives twice": _sent_twice,
    **OF_PLACING,
}
"""Each trap of the rotation."""
