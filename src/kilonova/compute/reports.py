# SPDX-License-Identifier: Apache-2.0
"""The host's reports to the conductor: that it runs, what it has, and whether its hypervisor is in service."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import KilonovaError
from kilonova.base.tasks import Supervisor
from kilonova.compute.observer import Observer
from kilonova.compute.session import AWAY, Session
from kilonova.compute.virtapi import ComputeVirtAPI
from kilonova.config.default import DefaultSettings
from kilonova.objects.service import Inventory
from kilonova.rpcapi.host_to_conductor import REPORT_INVENTORY, SET_HOST_ENABLED, ReportInventory, SetHostEnabled

log = structlog.get_logger(__name__)

LEVEL = "the hypervisor's state"
RETRY_S = 1.0


class Reports:
    """`reported` is set once the conductor knows what this host offers: from then on it can receive work."""

    def __init__(
        self,
        session: Session,
        read_inventory: Callable[[], Awaitable[Inventory]],
        virtapi: ComputeVirtAPI,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._session, self._read_inventory, self._virtapi = session, read_inventory, virtapi
        self._observer, self._clock = observer, clock
        self._reported: tuple[int, Inventory] | None = None
        self._reported_enabled: tuple[int, bool] | None = None
        self._changed = asyncio.Event()
        self.reported = False
        self.trouble = ""
        """Why the hypervisor's state could not be reported the last time."""

    def start(self, settings: DefaultSettings, tasks: Supervisor) -> None:
        """Begin: report the hypervisor's level at each change, and everything periodically."""
        self._virtapi.on_enabled = self._changed.set
        self._changed.set()
        there = self._session.while_there
        tasks.spawn("hypervisor level", self._follow_level())
        tasks.periodic("heartbeat", settings.report_interval, self._heartbeat)
        tasks.periodic(
            "inventory", settings.update_resources_interval, there(self._virtapi.while_in_service(self.inventory))
        )
        tasks.periodic("power sync", settings.sync_power_state_interval, there(self._sync))

    async def inventory(self) -> None:
        """Report what the host has, if that changed since the last report, or if the conductor has forgotten the
        host."""
        found = await self._read_inventory()
        if (self._session.registrations, found) != self._reported:
            conductor, node_id = self._session.conductor, self._session.identity.node_id
            await self._session.call(
                lambda epoch: conductor.call(REPORT_INVENTORY, ReportInventory(conductor.host, epoch, node_id, found))
            )
            self._reported = (self._session.registrations, found)
        self.reported = True

    def tell_inventory(self) -> None:
        """The configuration may have changed what the host offers: read it, and report it."""
        self._changed.set()

    async def _heartbeat(self) -> None:
        await self._session.heartbeat()
        if self._reported_enabled != self._level():  # it was reported before a registration, or could not be reported
            self._changed.set()

    async def _sync(self) -> None:
        """Report the level again, though it has not changed: an earlier report may have arrived later."""
        if self._reported_enabled == self._level():
            await self._say_level(bool(self._virtapi.enabled), self._virtapi.reason)
        await self._virtapi.while_in_service(self._observer.sync)()

    def _level(self) -> tuple[int, bool]:
        return self._session.registrations, bool(self._virtapi.enabled)

    async def _follow_level(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._tell_level()
            except AWAY as exc:
                self._session.outage.waits(LEVEL, exc)
                self.trouble = str(exc)
            except KilonovaError as exc:
                self._session.outage.gave_up(LEVEL)
                if str(exc) != self.trouble:  # this may last: QEMU is not installed
                    log.warning("the hypervisor's state could not be reported yet", error=str(exc))
                self.trouble = str(exc)
            except Exception:  # a defect in one report must not end the host's service
                log.exception("reporting the hypervisor's state failed")
            else:
                self._session.outage.answered(LEVEL)
                self.trouble = ""
                continue
            await self._clock.sleep(RETRY_S)
            self._changed.set()

    async def _tell_level(self) -> None:
        """Report a bad level first; report a good level only after everything has been read again."""
        if self._virtapi.enabled is None:
            return
        enabled, reason = self._virtapi.enabled, self._virtapi.reason
        if enabled:
            await self.inventory()
            await self._observer.sync()
        await self._say_level(enabled, reason)
        self._reported_enabled = (self._session.registrations, enabled)

    async def _say_level(self, enabled: bool, reason: str) -> None:
        conductor = self._session.conductor
        await self._session.call(
            lambda epoch: conductor.call(SET_HOST_ENABLED, SetHostEnabled(conductor.host, epoch, enabled, reason))
        )
