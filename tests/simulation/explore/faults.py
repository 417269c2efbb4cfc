# SPDX-License-Identifier: Apache-2.0
"""The faults, each by its name in a plan.  A fault ends what it began, and returns when it has."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from kilonova.objects.states import PowerState
from tests.simulation.explore.cloud import Cloud, Host, Process
from tests.simulation.explore.history import History
from tests.simulation.explore.image_files import image_files
from tests.simulation.explore.ledger import BY_ITSELF
from tests.simulation.explore.plan import LONGEST_S
from tests.simulation.explore.requests import Clients


@dataclass
class Scene:
    """What a step acts on."""

    cloud: Cloud
    clients: Clients
    history: History

    def note(self, text: str) -> None:
        """An event for the history."""
        self.history.events.append((round(self.cloud.clock.monotonic(), 3), text))

    def host(self, random: Random) -> Host:
        """Any host."""
        return self.cloud.hosts[random.choice(sorted(self.cloud.hosts))]


Fault = Callable[[Scene, Random], Awaitable[None]]


def _window(name: str, probability: tuple[float, float], longest_s: float = LONGEST_S) -> Fault:
    """A probability of the weather is higher for a while."""

    async def fault(scene: Scene, random: Random) -> None:
        weather, height = scene.cloud.weather, random.uniform(*probability)
        lasts_s = random.uniform(1, longest_s)
        scene.note(f"for {lasts_s:.1f} s: {name} {height:.2f}")
        setattr(weather, name, getattr(weather, name) + height)
        await asyncio.sleep(lasts_s)
        left = getattr(weather, name) - height
        setattr(weather, name, left if left > 1e-9 else 0.0)

    return fault


async def _reordered(scene: Scene, random: Random) -> None:
    scene.note("messages overtake each other")
    scene.cloud.weather.slow = True
    await asyncio.sleep(random.uniform(1, LONGEST_S))
    scene.cloud.weather.slow = False


async def _full(scene: Scene, random: Random) -> None:
    scene.note("the disk of the database is full")
    scene.cloud.weather.full = True
    await asyncio.sleep(random.uniform(1, LONGEST_S))
    scene.cloud.weather.full = False


async def _host_cut_off(scene: Scene, random: Random) -> None:
    host = scene.host(random)
    scene.note(f"host {host.name} is cut off from the bus")
    process = host.process
    process.cut_off = True
    await asyncio.sleep(random.uniform(1, LONGEST_S))
    process.cut_off = False


async def _conductor_cut_off(scene: Scene, random: Random) -> None:
    process = random.choice(scene.cloud.conductors)
    host = scene.host(random)
    process.deaf_to = frozenset({host.name})
    scene.note(f"{process.name} receives nothing of host {host.name}")
    await asyncio.sleep(random.uniform(1, LONGEST_S))
    process.deaf_to = frozenset()


async def _crash(scene: Scene, random: Random, process: Process, *, may_start: Callable[[], bool]) -> None:
    """At once, or before or after one of its next calls.  Somebody starts it again."""
    if not process.lives:
        return
    if random.random() < 0.7:
        process.gate.countdown = random.randint(1, 40)
        scene.note(f"{process.name} ends after {process.gate.countdown} more ends of calls")
        await scene.cloud.until(lambda: process.gate.dead, within_s=10)
    scene.note(f"{process.name} ends")
    await process.kill()
    await asyncio.sleep(random.choice((0.1, 1, 5, random.uniform(0, LONGEST_S))))
    if may_start():
        process.start()


async def _host_crashes(scene: Scene, random: Random) -> None:
    host = scene.host(random)
    await _crash(scene, random, host.process, may_start=lambda: not host.off)


async def _conductor_crashes(scene: Scene, random: Random) -> None:
    await _crash(scene, random, random.choice(scene.cloud.conductors), may_start=lambda: True)


async def _api_crashes(scene: Scene, _random: Random) -> None:
    scene.note("the API ends, and starts again")
    scene.cloud.crash_api()


async def _freeze(scene: Scene, random: Random, process: Process) -> None:
    gate = process.gate
    scene.note(f"{process.name} stands still")
    gate.freeze()
    await asyncio.sleep(random.choice((random.uniform(0.1, 5), random.uniform(5, LONGEST_S), LONGEST_S)))
    gate.thaw()
    scene.note(f"{process.name} goes on")


async def _host_freezes(scene: Scene, random: Random) -> None:
    await _freeze(scene, random, scene.host(random).process)


async def _conductor_freezes(scene: Scene, random: Random) -> None:
    await _freeze(scene, random, random.choice(scene.cloud.conductors))


async def _skewed(scene: Scene, random: Random) -> None:
    processes = [host.process for host in scene.cloud.hosts.values()] + scene.cloud.conductors
    process = random.choice(processes)
    process.clock.ahead = timedelta(seconds=random.uniform(-3, 3))
    scene.note(f"the clock of {process.name} is {process.clock.ahead.total_seconds():+.1f} s ahead")


async def _jumps(scene: Scene, random: Random) -> None:
    jump = timedelta(seconds=random.choice((-1, 1)) * random.choice((2, 30, 4000)))
    scene.cloud.clock.jumped += jump
    scene.note(f"all clocks jump by {jump.total_seconds():+.0f} s")


async def power_cut(scene: Scene, host: Host, off_s: float) -> None:
    """The machine loses its power, and has it again so much later."""
    if host.off:
        return
    host.off = True
    await host.process.kill()
    host.machine.lose_power()
    await asyncio.sleep(off_s)
    if not host.lost:
        host.off, host.boots = False, host.boots + 1
        host.machine.away = None
        host.process.start()
        scene.note(f"host {host.name} is back")


async def _reboots(scene: Scene, random: Random) -> None:
    host = scene.host(random)
    scene.note(f"host {host.name} reboots")
    await power_cut(scene, host, random.uniform(1, 10))


async def _loses_power(scene: Scene, random: Random) -> None:
    host = scene.host(random)
    scene.note(f"host {host.name} loses its power")
    await power_cut(scene, host, random.uniform(20, 2 * LONGEST_S))


async def _lost(scene: Scene, random: Random) -> None:
    """It loses its power, and an operator may give it up meanwhile; it returns much later, or never."""
    host = scene.host(random)
    scene.note(f"host {host.name} loses its power for long")
    host.lost = random.random() < 0.5
    await power_cut(scene, host, 3 * LONGEST_S)


async def _away(scene: Scene, random: Random) -> None:
    machine = scene.host(random).machine
    if machine.away is not None:
        return
    scene.note(f"the hypervisor of {machine.name} is away")
    machine.go_away("libvirtd does not answer.")
    await asyncio.sleep(random.uniform(1, LONGEST_S))
    machine.come_back()


def _of_guest(text: str, act: Callable[[Scene, Host, str], None]) -> Fault:
    """Something happens to a running guest."""

    async def fault(scene: Scene, random: Random) -> None:
        host = scene.host(random)
        running = sorted(
            id_ for id_, guest in host.machine.guests.items() if guest.power is PowerState.RUNNING and guest.definition
        )
        if running and not host.off:
            id_ = random.choice(running)
            scene.note(f"guest {id_[:8]} on {host.name} {text}")
            act(scene, host, id_)

    return fault


def _dies(scene: Scene, host: Host, id_: str) -> None:
    scene.cloud.ledger.ended[id_] += 1
    host.machine.crash(id_)


def _shuts_down(scene: Scene, host: Host, id_: str) -> None:
    scene.cloud.ledger.ended[id_] += 1
    host.machine.move(id_, PowerState.SHUTDOWN, BY_ITSELF)


def _freezes(scene: Scene, host: Host, id_: str) -> None:
    def thaw() -> None:
        if id_ in host.machine.guests:
            host.machine.freeze(id_, frozen=False)

    host.machine.freeze(id_)
    asyncio.get_running_loop().call_later(LONGEST_S / 2, thaw)


async def _vanishes(scene: Scene, random: Random) -> None:
    """The bytes of an image are removed behind the service's back.  Only an image that nothing else checks."""
    extra = [path for path in image_files(scene.cloud.state) if path.name not in scene.clients.images]
    if extra:
        path = random.choice(extra)
        scene.note(f"the file of image {path.name[:8]} vanishes")
        path.unlink()


FAULTS: Mapping[str, Fault] = {
    "messages are lost": _window("loss", (0.05, 0.4)),
    "messages are doubled": _window("doubling", (0.05, 0.5)),
    "messages are late": _window("late", (0.02, 0.2)),
    "messages are reordered": _reordered,
    "a host is cut off": _host_cut_off,
    "a conductor is cut off": _conductor_cut_off,
    "a host process crashes": _host_crashes,
    "a conductor crashes": _conductor_crashes,
    "the API crashes": _api_crashes,
    "a host process freezes": _host_freezes,
    "a conductor freezes": _conductor_freezes,
    "a clock is skewed": _skewed,
    "a clock jumps": _jumps,
    "a host reboots": _reboots,
    "a host loses power": _loses_power,
    "a host is lost for good": _lost,
    "driver calls fail": _window("driver_fails", (0.02, 0.3)),
    "driver calls fail after their work": _window("driver_lies", (0.05, 0.3)),
    "driver calls are cut off": _window("driver_cuts_off", (0.05, 0.3)),
    "driver calls hang": _window("driver_hangs", (0.02, 0.2)),
    "a hypervisor is away": _away,
    "a guest dies": _of_guest("dies", _dies),
    "a guest shuts itself down": _of_guest("shuts itself down", _shuts_down),
    "a guest freezes": _of_guest("freezes", _freezes),
    "an image file vanishes": _vanishes,
    "commits are not answered": _window("unanswered", (0.05, 0.4)),
    "transactions run again": _window("again", (0.2, 1.0)),
    "the database is refused": _window("refused", (0.2, 1.0), 15.0),
    "the disk of the database is full": _full,
}
"""Each fault of a plan."""
