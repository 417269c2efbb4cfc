# SPDX-License-Identifier: Apache-2.0
"""What stands beside a running service: the status port, systemd, and SIGHUP."""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from kilonova.base import logging
from kilonova.base.clock import Clock
from kilonova.base.errors import ConfigError
from kilonova.base.health import examine
from kilonova.base.notify import Notifier
from kilonova.base.status import StatusPages, serving
from kilonova.base.tasks import Supervisor
from kilonova.config.load import Settings
from kilonova.wiring import Vitals

log = structlog.get_logger(__name__)

STATUS_S = 1.0

STARTED_S = 5.0
"""After that long what a service keeps for its whole life is there."""


@dataclass(frozen=True, slots=True)
class Hangup:
    """What SIGHUP does: `again` reads the configuration, `apply` takes from it what may change while running.

    With a `stop` it is called instead when the terminal was closed that the process was started in: nobody sees it any
    more.  Not where SIGHUP was ignored at the start (nohup), nor without a terminal then.
    """

    again: Callable[[], Settings]
    apply: Callable[[Settings], None] = lambda settings: None
    stop: Callable[[], None] | None = None
    terminals: tuple[int, ...] = field(default_factory=lambda: _terminals())

    def __call__(self) -> None:
        """A configuration that cannot be used changes nothing."""
        if self.stop is not None and self.terminals and not _has_terminal():
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in self.terminals:  # or each word of the end would be an error
                os.dup2(nowhere, descriptor)
            self.stop()
            return
        try:
            settings = self.again()
            self.apply(settings)
        except ConfigError as exc:
            log.error("the configuration was not read again", error=exc.message)
            return
        logging.set_debug(settings.default.debug)
        log.info("the configuration was read again")


def _terminals() -> tuple[int, ...]:
    """The standard streams that end with the terminal of this process; none where its end is none of ours."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN or not _has_terminal():
        return ()
    return tuple(descriptor for descriptor in (0, 1, 2) if os.isatty(descriptor))


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


@asynccontextmanager
async def attended(
    vitals: Vitals, settings: Settings, hangup: Hangup, clock: Clock, ready: Callable[[], tuple[bool, str]]
) -> AsyncGenerator[None]:
    """Beside a service that has begun; STOPPING=1 is told when the block is left.  Raises ConfigError.

    READY=1 is told at once, not when the conductor or the hypervisor answer: a host whose conductor is late must not
    be restarted for it.  STATUS says what is waited for.
    """
    notifier = Notifier(os.environ)
    pages = StatusPages(lambda: examine(vitals.checks, clock), vitals.text)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup)
    async with serving(settings.default.status_listen, pages), Supervisor(clock) as tasks:
        notifier.tell("READY=1", f"STATUS={_status(ready)}")
        tasks.spawn("systemd status", _tell_status(notifier, ready, clock))
        tasks.spawn("settle", _settle(clock))
        if notifier.watchdog_s:
            tasks.spawn("systemd watchdog", _watchdog(notifier, vitals, clock))
        try:
            yield
        finally:
            notifier.tell("STOPPING=1")


async def _settle(clock: Clock) -> None:
    """Keep what a start has made out of the garbage collector's way: to look through all of it, in vain, would stop the
    loop for a tenth of a second every now and then (measured: 140,000 objects, 70 ms)."""
    await clock.sleep(STARTED_S)
    gc.freeze()


def _status(ready: Callable[[], tuple[bool, str]]) -> str:
    good, why = ready()
    return "serving" if good else why


async def _tell_status(notifier: Notifier, ready: Callable[[], tuple[bool, str]], clock: Clock) -> None:
    said = ""
    while True:
        if (status := _status(ready)) != said:
            said = status
            notifier.tell(f"STATUS={status}")
        logging.tell_dropped()
        await clock.sleep(STATUS_S)


async def _watchdog(notifier: Notifier, vitals: Vitals, clock: Clock) -> None:
    """A sign of life each third of the period, each after a whole self-ping has ended.

    What it found does not matter here: a bus, a conductor or a libvirtd that is away is not cured by restarting this
    process.  A loop that stands still, or a self-ping that never ends, is.
    """
    while True:
        await examine(vitals.checks, clock)
        notifier.tell("WATCHDOG=1")
        await clock.sleep(notifier.watchdog_s / 3)
