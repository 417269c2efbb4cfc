# SPDX-License-Identifier: Apache-2.0
"""The numbers of docs/connection.md: `python -m bench.connection [ROUNDS]`, on a private daemon of libvirt's own.

Each round freezes, thaws, kills and restarts that daemon; the settings are the defaults.
"""

import asyncio
import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from bench.stats import median
from kilonova.base import logging
from kilonova.base.clock import Clock, SystemClock
from kilonova.base.errors import HypervisorUnavailable
from kilonova.base.tasks import Supervisor
from kilonova.config.load import load
from kilonova.objects.guest import GuestEvent
from kilonova.virt.libvirt.driver import LibvirtDriver
from lab.libvirtd import PrivateLibvirtd

CALLERS = 100


class Level:
    """A VirtAPI that knows whether the hypervisor is in service."""

    def __init__(self) -> None:
        self.clock: Clock = SystemClock()
        self.enabled = False
        self.changed = asyncio.Event()

    def emit_event(self, event: GuestEvent) -> None: ...

    def notify_error(self, event_type: str, payload: Mapping[str, Any]) -> None: ...

    def set_host_enabled(self, enabled: bool, reason: str = "") -> None:
        self.enabled = enabled
        self.changed.set()

    async def until(self, enabled: bool) -> float:
        """Seconds until it is so."""
        begin = time.monotonic()
        while self.enabled is not enabled:
            self.changed.clear()
            await self.changed.wait()
        return time.monotonic() - begin


async def _ended(call: Awaitable[object]) -> float:
    begin = time.monotonic()
    with contextlib.suppress(HypervisorUnavailable):
        await call
    return time.monotonic() - begin


async def _callers(read: Callable[[], Awaitable[object]]) -> list[float]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_ended(read())) for _ in range(CALLERS)]
    return [task.result() for task in tasks]


async def _round(driver: LibvirtDriver, level: Level, daemon: PrivateLibvirtd, found: dict[str, list[float]]) -> None:
    def note(name: str, *seconds: float) -> None:
        found.setdefault(name, []).extend(seconds)

    await driver.guest_states()
    note("bulk read, no guests, up", *[await _ended(driver.guest_states()) for _ in range(50)])
    daemon.freeze()
    try:
        note(f"frozen: the last of {CALLERS} callers is answered", max(await _callers(driver.guest_states)))
        await asyncio.sleep(0.5)
        note("frozen, outage known: a caller is answered", *[await _ended(driver.guest_states()) for _ in range(50)])
    finally:
        daemon.thaw()
    note("thawed: in service again", await level.until(True))
    await driver.guest_states()
    daemon.kill()
    note("killed: host out of service", await level.until(False))
    await asyncio.sleep(1)
    await asyncio.to_thread(daemon.start)  # returns when it answers
    note("started again and answering: in service again", await level.until(True))


async def measure(rounds: int, daemon: PrivateLibvirtd) -> dict[str, list[float]]:
    """Seconds, by what was measured."""
    found: dict[str, list[float]] = {}
    level = Level()
    options = {("libvirt", "connection_uri"): daemon.uri, ("libvirt", "virt_type"): "qemu"}
    driver = LibvirtDriver(level, load(overrides=options))
    async with Supervisor(level.clock) as tasks:
        await driver.init_host(tasks)
        await level.until(True)
        for _ in range(rounds):
            await _round(driver, level, daemon, found)
        await driver.cleanup_host()
    return found


def main() -> None:
    """Print a table: name, n, median, worst."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    logging.set_up(stream=io.StringIO())
    daemon = PrivateLibvirtd(Path(tempfile.mkdtemp(prefix="kn-", dir="/tmp")))
    try:
        daemon.start()
        found = asyncio.run(measure(rounds, daemon))
    finally:
        daemon.remove()
    print("| what | n | median | worst |\n|---|---|---|---|")
    for name, samples in found.items():
        print(f"| {name} | {len(samples)} | {median(samples) * 1e3:.3g} ms | {max(samples) * 1e3:.3g} ms |")


if __name__ == "__main__":
    main()
