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
from tests.simulation.explore.aimed_at_failures import FOREVER, OF_FAILURES, is_down
from tests.simulation.explore.aimed_at_placing import OF_PLACING
from tests.simulation.explore.calls import CHANGES
from tests.simulation.explore.cloud import Host
from tests.simulation.explore.edits import give_up
from tests.simulation.explore.faults import Scene, power_cut
from tests.simulation.explore.ledger import BY_ITSELF
from tests.simulation.explore.targets import Target, aim
from tests.simulation.explore.traps import Trap
from tests.simulation.explore.weather import LATE_S, Aim

SLOW_S = 65.0
"""Longer than a late message is on its way."""
SOON_S, CALL_S = (6.0, 25.0), 29.0
"""How long a message is on its way that must arrive during a call, and how long that call hangs: it does return."""


def _received(target: Target) -> bool:
    """Whether the host has received the open action."""
    query = "SELECT 1 FROM actions WHERE instance_id = ? AND state = 'open' AND legs ->> '$[0].attempt' IS NOT NULL"
    return bool(target.scene.cloud.observer.rows(query, target.server))


def _epoch(scene: Scene, host: Host) -> int:
    rows = scene.cloud.observer.rows("SELECT epoch FROM services WHERE host = ?", host.name)
    return rows[0]["epoch"] if rows else 0


def _late_from(scene: Scene, host: Host, *, late: bool) -> None:
    weather = scene.cloud.weather
    weather.late_from = weather.late_from | {host.name} if late else weather.late_from - {host.name}


async def _old_fetch(scene: Scene, random: Random, slot: int) -> None:
    """A host's process ends while its fetch is on its way, and the next process has work when that arrives."""
    target = Target(scene, random, slot)
    if (host := await target.there()) is None:
        return
    scene.note(f"a fetch of {host.name} is on its way while its process starts again")
    scene.cloud.weather.late_s = LATE_S
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
    """An outcome arrives after the server was deleted, or while the next attempt works on the guest."""
    target = Target(scene, random, slot)
    if (host := await target.there()) is None:
        return
    target.scene.cloud.weather.late_s = SOON_S
    deleted = random.random() < 0.5
    again = Aim("hangs", only=frozenset({"pause"}), times=0 if deleted else 1, hang_s=CALL_S)
    with aim(target, Aim("" if deleted else "fails", only=frozenset({"pause"}), also=again)) as first:
        asked = asyncio.ensure_future(target.ask("pause"))
        await target.until(lambda: _received(target), within_s=5)
        scene.note(f"an outcome of {host.name} is on its way")
        _late_from(scene, host, late=True)
        await target.until(lambda: first.calls > 0, within_s=5)
        await asyncio.sleep(1)
        if not deleted:
            await host.process.kill()
        _late_from(scene, host, late=False)
        if not host.off:
            host.process.start()
        await asked
        if deleted:
            await target.ask("delete")
        await asyncio.sleep(SLOW_S)


async def _old_leg(scene: Scene, random: Random, slot: int) -> None:
    """The outcome of a build arrives again while another host builds."""
    target, weather = Target(scene, random, slot), scene.cloud.weather
    hosts, weather.late_s = frozenset(scene.cloud.hosts), SOON_S
    asked = asyncio.ensure_future(target.ask("create"))
    await target.until(lambda: target.server is not None)
    later = Aim("hangs", only=frozenset({"define"}), hang_s=CALL_S)
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
    if (host := await target.there()) is None or (server := target.server) not in host.machine.guests:
        return
    scene.note(f"a report of {host.name} is on its way")
    scene.cloud.weather.late_s = LATE_S
    _late_from(scene, host, late=True)
    assert server is not None
    scene.cloud.ledger.ended[server] += 1
    host.machine.move(server, PowerState.SHUTDOWN, BY_ITSELF)
    await asyncio.sleep(1)
    _late_from(scene, host, late=False)
    if await target.until(lambda: target.state == "stopped"):
        await target.ask("start")
    await asyncio.sleep(SLOW_S)


async def _image_and_delete(scene: Scene, random: Random, slot: int) -> None:
    """A server is deleted while its image is made."""
    target = Target(scene, random, slot)
    if await target.there() is None:
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
    if (host := await target.there()) is None:
        return
    with aim(target, Aim("hangs", only=frozenset({"take_snapshot", "pause"}), hang_s=5)) as begun:
        await target.ask(random.choice(("createImage", "createImage", "pause")))
        await target.until(lambda: begun.calls > 0, within_s=5)
        scene.note(f"host {host.name} boots")
        await power_cut(scene, host, random.uniform(1, 5))


async def _boot_without_a_start(scene: Scene, random: Random, slot: int) -> None:
    """A host boots, and cannot start a guest."""
    target = Target(scene, random, slot)
    if (host := await target.there()) is None:
        return
    with aim(target, Aim("fails", only=frozenset({"power_on"}), times=FOREVER)):
        scene.note(f"host {host.name} boots, and cannot start server {slot}")
        await power_cut(scene, host, random.uniform(1, 5))
        query = "SELECT 1 FROM actions WHERE instance_id = ? AND verb = 'start' AND state = 'failed'"
        await target.until(lambda: bool(scene.cloud.observer.rows(query, target.server)), within_s=90)


async def _vanished(scene: Scene, random: Random, slot: int) -> None:
    """Another tool removes a guest."""
    target = Target(scene, random, slot)
    if (host := await target.there()) is None or (server := target.server) not in host.machine.guests:
        return
    assert server is not None
    scene.note(f"guest {server[:8]} on {host.name} vanishes")
    scene.cloud.vanished.add(server)
    host.machine.vanish(server)


async def _alive_and_given_up(scene: Scene, random: Random, slot: int) -> None:
    """A host's guests run, but its process is away so long that an operator gives the host up; then it is back."""
    target = Target(scene, random, slot)
    if (host := await target.there()) is None:
        return
    scene.note(f"{host.process.name} is away for long")
    await host.process.kill()
    given_up = await is_down(scene, host) and await give_up(scene, host.name)
    if not host.off:
        host.process.start()
    if given_up:
        await asyncio.sleep(150)  # (the rounds in which superfluous guests are removed)


async def _without_an_answer(scene: Scene, random: Random, slot: int) -> None:
    """The hypervisor does not answer for one guest until after the action's deadline: first from the begin, then at the
    end of what must be undone."""
    target = Target(scene, random, slot)
    if await target.there() is None:
        return
    for verb, calls, time_s in (("pause", CHANGES, 420), ("rescue", frozenset({"power_on"}), 940)):
        scene.note(f"the hypervisor does not answer for server {slot} for {time_s} s")
        with aim(target, Aim("has no answer", only=calls, times=FOREVER)):
            await target.ask(verb)
            ended = await scene.cloud.until(lambda: not target.busy, within_s=time_s, every_s=5)
        if not ended and verb == "pause":
            scene.cloud.defects.append(f"The pause of server {target.server} is open {time_s} s after its request.")
            return


async def _adopted(scene: Scene, random: Random, slot: int) -> None:
    """A second process of a host starts, and an operator prefers it while the first one lives and works."""
    target, cloud = Target(scene, random, slot), scene.cloud
    if (host := await target.there()) is None:
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
    if await target.there() is None:
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
    "a delete meets an image": _image_and_delete,
    "a delete meets a build": _build_and_delete,
    "a boot meets work": _boot_in_the_middle,
    "a start after a boot fails": _boot_without_a_start,
    "a guest vanishes": _vanished,
    "a live host is given up": _alive_and_given_up,
    "a hypervisor has no answer": _without_an_answer,
    "a live host is adopted": _adopted,
    "an answer is lost": _answer_lost,
    "a create arrives twice": _sent_twice,
    **OF_FAILURES,
    **OF_PLACING,
}
"""Each trap of the rotation."""
