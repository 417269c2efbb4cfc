# SPDX-License-Identifier: Apache-2.0
"""A request that meets a fault on purpose, each kind by its name in a plan.

Faults that come at any time meet seldom what is in progress for a moment only.  A trap brings a server of its own into
some state, sends one more request, and causes a fault exactly while that request is carried out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from random import Random

from kilonova.objects.states import PowerState
from tests.simulation.explore.edits import change_service, force_down, give_up
from tests.simulation.explore.faults import Scene, power_cut
from tests.simulation.explore.ledger import BY_ITSELF
from tests.simulation.explore.plan import LONGEST_S
from tests.simulation.explore.targets import CHAINS, Target
from tests.simulation.explore.weather import Aim

Fault = Callable[[Target], Awaitable[None]]


def _meets(fault: Fault, *, chains: tuple[tuple[str, ...], ...] = CHAINS) -> "Trap":
    """The trap of this fault."""

    async def trap(scene: Scene, random: Random, slot: int) -> None:
        target, chain = Target(scene, random, slot), random.choice(chains)
        if not await target.prepared(chain):
            return
        striking = asyncio.ensure_future(fault(target))
        await target.ask(chain[-1])
        if random.random() < 0.3:
            await target.lost_time(2)
            await target.ask(random.choice(("delete", "cancel", "stop", "hard reboot", "resetState to active")))
        await striking

    return trap


Trap = Callable[[Scene, Random, int], Awaitable[None]]


async def _begun(target: Target, skip: int, kind: str = "", times: int = 1, hang_s: float = 0.0) -> Aim | None:
    """Wait until so many calls of the server's guest have begun, and let the next have faults."""
    if target.server is None and not await target.until(lambda: target.server is not None):
        return None
    assert target.server is not None
    aim = target.scene.cloud.weather.aims[target.server] = Aim(kind, skip, times, hang_s)
    await target.until(lambda: aim.reached, within_s=10)
    return aim if aim.reached else None


def _forget(target: Target) -> None:
    if target.server is not None:
        target.scene.cloud.weather.aims.pop(target.server, None)


async def _fails(target: Target) -> None:
    random = target.random
    kind = random.choice(("fails", "fails", "fails", "lies", "is cut off"))
    times, skip = random.choice((1, 1, 2, random.randint(2, 12), 100)), random.randint(0, 7)
    target.scene.note(f"{times} calls of server {target.slot}: each {kind}, after {skip} others")
    await _begun(target, skip, kind, times)
    host = target.host
    if random.random() < 0.25 and host is not None and host.machine.away is None:  # and then nothing can be read
        host.machine.go_away("libvirtd does not answer.")
        await asyncio.sleep(random.uniform(1, LONGEST_S))
        host.machine.come_back()
    await asyncio.sleep(random.uniform(5, LONGEST_S))
    _forget(target)


async def _hangs(target: Target) -> None:
    """Longer than most deadlines."""
    hang_s = target.random.uniform(400, 1200)
    target.scene.note(f"a call of server {target.slot} hangs for {hang_s:.0f} s")
    if await _begun(target, target.random.randint(0, 4), "hangs", 1, hang_s):
        await target.rests()
    _forget(target)


async def _crashes(target: Target) -> None:
    """The host's process ends and starts again; its messages may still be on their way."""
    random, weather = target.random, target.scene.cloud.weather
    if not await target.until(lambda: target.host is not None, within_s=5):
        return
    host = target.host
    assert host is not None
    if random.random() < 0.5:
        weather.late_from |= {host.name}
    process, gate = host.process, host.process.gate
    gate.countdown = random.randint(1, 16)
    target.scene.note(f"{process.name} ends after {gate.countdown} ends of calls")
    await target.until(lambda: gate.dead, within_s=10)
    if random.random() < 0.5:
        weather.late_from -= {host.name}
    await process.kill()
    await target.lost_time(10)
    if not host.off:
        process.start()
    weather.late_from -= {host.name}


async def _late(target: Target) -> None:
    """What the host reports arrives up to a minute later."""
    if await target.until(lambda: target.host is not None, within_s=5) and (host := target.host) is not None:
        await target.lost_time(1)
        target.scene.note(f"all messages of {host.name} are late")
        target.scene.cloud.weather.late_from |= {host.name}
        await asyncio.sleep(target.random.uniform(0.5, 10))
        target.scene.cloud.weather.late_from -= {host.name}


async def _conductors(target: Target) -> None:
    """All conductors, or one of them, stand still or end."""
    random, cloud = target.random, target.scene.cloud
    chosen = cloud.conductors if random.random() < 0.5 else [random.choice(cloud.conductors)]
    stands = random.random() < 0.6
    for process in chosen:
        name = "sleepy" if stands else "countdown"
        setattr(process.gate, name, random.randint(1, 8))
        target.scene.note(
            f"{process.name} {'stands still' if stands else 'ends'} in {getattr(process.gate, name)} calls"
        )
    gates = [process.gate for process in chosen]
    await target.until(lambda: all(gate.frozen or gate.dead for gate in gates), within_s=3)
    if random.random() < 0.5:
        await target.ask(random.choice(("delete", "cancel")))
    await asyncio.sleep(random.choice((0.5, 5, random.uniform(5, LONGEST_S))))
    for process, gate in zip(chosen, gates, strict=True):
        gate.sleepy = 0
        gate.thaw()
        if not stands:
            await process.kill()
            process.start()


async def _boots(target: Target) -> None:
    """The machine boots, soon or after it was away for long."""
    random = target.random
    if not await _begun(target, random.randint(0, 9)):
        return
    _forget(target)
    if (host := target.host) is not None:
        target.scene.note(f"host {host.name} boots")
        await power_cut(target.scene, host, random.choice((random.uniform(1, 10), random.uniform(45, 70))))


async def _guest_ends(target: Target) -> None:
    """The guest ends by itself, and the host's process may end next."""
    random = target.random
    if not await _begun(target, random.randint(0, 12)):
        return
    _forget(target)
    host, server = target.host, target.server
    if host is None or server is None or host.off:
        return
    machine, cloud = host.machine, target.scene.cloud
    await target.until(lambda: server in machine.guests and machine.guests[server].power is PowerState.RUNNING, 3)
    guest = machine.guests.get(server)
    if guest is None or guest.power is not PowerState.RUNNING:
        return
    how = random.choice(("dies", "shuts itself down", "shuts itself down", "vanishes"))
    target.scene.note(f"guest {server[:8]} on {host.name} {how}")
    if how == "vanishes":
        cloud.vanished.add(server)
        machine.vanish(server)
    elif how == "dies":
        cloud.ledger.ended[server] += 1
        machine.crash(server)
    else:
        machine.move(server, PowerState.SHUTDOWN, BY_ITSELF)
    if random.random() < 0.5 and not host.off:
        await host.process.kill()
        await target.lost_time(5)
        if not host.off:
            host.process.start()


async def _operator(target: Target) -> None:
    """An operator forces the host down, and takes it back."""
    random = target.random
    if not await _begun(target, random.randint(0, 6)):
        return
    _forget(target)
    if (host := target.host) is not None:
        target.scene.note(f"an operator forces host {host.name} down")
        await force_down(target.scene, host.name)
        if random.random() < 0.5:
            await target.lost_time(3)
            await target.ask(random.choice(("delete", "hard reboot", "stop", "rebuild")))
        await asyncio.sleep(random.uniform(1, LONGEST_S))
        await change_service(target.scene, host.name, forced_down=False)


async def _another(target: Target) -> None:
    """Another request follows at once."""
    await target.until(lambda: target.server is not None, within_s=5)
    await target.lost_time(2)
    await target.ask(target.random.choice(("delete", "delete", "cancel", "cancel", "forceDelete", "hard reboot")))


async def _loses_the_database(target: Target) -> None:
    """Replies are lost and the database is refused: the caller does not learn what was done."""
    weather, random = target.scene.cloud.weather, target.random
    loss, refused, doubling = random.uniform(0.2, 0.7), random.uniform(0, 0.8), random.choice((0.0, 0.7))
    target.scene.note(
        f"messages are lost ({loss:.2f}), doubled ({doubling:.2f}), the database is refused ({refused:.2f})"
    )
    weather.loss, weather.refused, weather.doubling = (
        weather.loss + loss,
        weather.refused + refused,
        weather.doubling + doubling,
    )
    for _ in range(random.randint(1, 4)):
        await asyncio.sleep(random.uniform(0.5, 3))
        await target.ask(random.choice(("stop", "start", "reboot", "lock", "unlock")))
    weather.loss, weather.refused, weather.doubling = (
        value if value > 1e-9 else 0.0
        for value in (weather.loss - loss, weather.refused - refused, weather.doubling - doubling)
    )


async def _deleted_while_down(scene: Scene, random: Random, slot: int) -> None:
    """A server is deleted while its host is down; the host's first calls fail when it is back."""
    target = Target(scene, random, slot)
    if not await target.prepared(("create",)) or (host := target.host) is None or host.off:
        return
    scene.note(f"host {host.name} is down, and server {slot} is deleted meanwhile")
    down = asyncio.ensure_future(
        power_cut(scene, host, random.choice((60.0, 75.0, 900.0) if slot % 4 == 0 else (60.0, 75.0)))
    )
    await asyncio.sleep(random.uniform(0, 50))
    await target.ask("delete")
    assert target.server is not None
    scene.cloud.weather.aims[target.server] = Aim("fails", 0, random.choice((0, 1, 3, 20)))
    await down
    await asyncio.sleep(LONGEST_S)
    _forget(target)


async def _given_up(scene: Scene, random: Random, slot: int) -> None:
    """A host is off, is given up, its server may be evacuated, and the host returns."""
    target = Target(scene, random, slot)
    if not await target.prepared(("create",)) or (host := target.host) is None or host.off:
        return
    scene.note(f"host {host.name} is off for long")
    down = asyncio.ensure_future(power_cut(scene, host, random.uniform(75, 100)))
    await asyncio.sleep(50)
    for _ in range(3):
        if await give_up(scene, host.name):
            break
        await asyncio.sleep(5)
    if random.random() < 0.6 and target.server is not None:
        if random.random() < 0.5:
            aim = Aim(random.choice(("fails", "lies")), random.randint(0, 5), random.choice((1, 3, 100)))
            scene.cloud.weather.aims[target.server] = aim
        await target.ask("evacuate")
    await down
    _forget(target)


async def cloned(scene: Scene, random: Random, _slot: int) -> None:
    """A copy of a host's machine starts beside the host, which lives: it is refused."""
    cloud, host = scene.cloud, scene.host(random)
    process = host.process

    def steady() -> bool:
        calm = not (cloud.weather.loss or cloud.weather.late or cloud.weather.slow or cloud.weather.late_from)
        heard = not any(one.deaf_to or one.gate.frozen for one in cloud.conductors)
        return calm and heard and process.lives and not process.gate.frozen and not process.cut_off and not host.off

    if await cloud.until(lambda: not steady(), within_s=45):
        return
    scene.note(f"a copy of host {host.name} starts")
    if random.random() < 0.5:
        for conductor in cloud.conductors:
            await conductor.kill()
            conductor.start()
    clone = cloud.add_clone(host)
    rows = cloud.observer.rows

    def admitted() -> bool:
        query = "SELECT 1 FROM services WHERE host = ? AND boot_id LIKE 'boot-copy%'"
        return bool(rows(query, host.name))

    await cloud.until(lambda: admitted() or not steady(), within_s=30, every_s=0.5)
    if admitted():
        cloud.defects.append(f"A copy of host {host.name} was admitted while the host lived.")
    await clone.process.kill()


async def _together(scene: Scene, random: Random, slot: int) -> None:
    """Servers are created at the same time."""
    await asyncio.gather(*(scene.clients.create(n % 3, slot + n * 1000, random) for n in range(random.randint(2, 4))))


async def _without_image(scene: Scene, random: Random, slot: int) -> None:
    """The image of a shelved server is deleted before or while the server leaves its host, or returns."""
    target, chain = Target(scene, random, slot), ("shelve", "shelveOffload", "unshelve")[: random.randint(2, 3)]
    if not await target.prepared(chain):
        return
    query = "SELECT shelved_image ->> 'id' AS id FROM instances WHERE id = ? AND shelved_image IS NOT NULL"
    rows = scene.cloud.observer.rows(query, target.server)
    for row in rows:
        scene.note(f"the image of shelved server {slot} is deleted")
        await scene.cloud.request("DELETE", f"/image/v2/images/{row['id']}")
    await target.ask(chain[-1])


TRAPS: Mapping[str, Trap] = {
    "a verb meets failing calls": _meets(_fails),
    "a verb hangs for long": _meets(_hangs, chains=(("stop",), ("pause",), ("stop", "start"), ("pause", "unpause"))),
    "a verb meets a crash": _meets(_crashes),
    "a verb meets late messages": _meets(_late),
    "a verb meets conductors that stop": _meets(_conductors),
    "a verb meets a boot": _meets(_boots),
    "a verb meets the end of its guest": _meets(_guest_ends),
    "a verb meets an operator": _meets(_operator),
    "a verb meets another verb": _meets(_another),
    "a verb meets lost replies": _meets(_loses_the_database, chains=(("create",), ("stop",), ("reboot",), ("pause",))),
    "a delete meets a host that is down": _deleted_while_down,
    "a host is given up and returns": _given_up,
    "a host is cloned": cloned,
    "creates meet each other": _together,
    "an image of a shelved server is deleted": _without_image,
}
"""Each trap of a plan."""
