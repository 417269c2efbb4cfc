# SPDX-License-Identifier: Apache-2.0
"""A host that an operator has given up, and that runs all the same.

Its servers may live on other hosts by now.  When its process registers, no step of an operation begins any more, and
the guests that were on the host when it was given up are powered off.  The reaper removes the copies that are
superfluous; this module reports those that are gone.  Guests without our metadata, and guests that the conductor does
not list, are left unchanged.
"""

import asyncio
from collections.abc import Mapping

import structlog

from kilonova.base.backoff import Backoff
from kilonova.base.errors import KilonovaError
from kilonova.base.tasks import Supervisor
from kilonova.compute.operation import Tools
from kilonova.compute.queues import InstanceQueues
from kilonova.compute.session import Session
from kilonova.objects.guest import GuestState
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.rpcapi.host_to_conductor import COPIES_REMOVED, LIST_COPIES, Copies, CopiesRemoved, ListCopies

log = structlog.get_logger(__name__)

RETRY = Backoff(0.2, 10.0)
BUSY_S = 0.05
_OFF = (PowerState.SHUTDOWN, PowerState.CRASHED)


class GivenUp:
    """Stops the copies of servers on this host, and reports those that are gone, until none is left."""

    def __init__(self, session: Session, queues: InstanceQueues, tools: Tools) -> None:
        self._session, self._queues, self._tools = session, queues, tools
        self._registered = asyncio.Event()
        self._absent: dict[InstanceId, float] = {}
        session.on_given_up = self._begin

    def _begin(self) -> None:
        """The conductor has reported it: whatever runs here belongs to actions that have ended."""
        self._queues.revoke_all()
        self._registered.set()

    def start(self, tasks: Supervisor) -> None:
        """Wait for a registration that reports it."""
        tasks.spawn("given up", self._keep())

    async def _keep(self) -> None:
        while True:
            await self._registered.wait()
            self._registered.clear()
            await self._until_clean()

    async def _until_clean(self) -> None:
        pauses = RETRY.start(self._tools.clock)
        log.warning("an operator gave up this host: copies of its servers are stopped here", host=self._host)
        while True:
            try:
                if not await self._round():
                    log.warning("no copy is left on this host; an operator can enable it", host=self._host)
                    return
            except KilonovaError as exc:
                log.warning("copies of servers could not be stopped yet", error=str(exc))
                await pauses.wait()
                continue
            except Exception:
                log.exception("stopping the copies of servers broke off")
                await pauses.wait()
                continue
            pauses = RETRY.start(self._tools.clock)
            await self._tools.clock.sleep(self._tools.settings.running_deleted_instance_poll_interval)

    async def _round(self) -> bool:
        """Returns whether copies are left.  Raises KilonovaError: not all of them could be stopped."""
        conductor = self._session.conductor
        copies = await self._session.call(lambda epoch: conductor.call(LIST_COPIES, ListCopies(conductor.host, epoch)))
        seen = dict(await self._tools.driver.guest_states())
        await self._stop(copies, seen)
        gone = await self._gone(copies, seen)
        if gone:
            await self._session.call(
                lambda epoch: conductor.call(COPIES_REMOVED, CopiesRemoved(conductor.host, epoch, gone))
            )
        return bool(copies.others) or len(gone) < len(copies.superfluous)

    async def _stop(self, copies: Copies, seen: Mapping[InstanceId, GuestState]) -> None:
        """A guest that cannot be stopped does not keep the others running.  Raises the last error."""
        failed: KilonovaError | None = None
        for id_ in sorted({*copies.superfluous, *copies.others} & seen.keys()):
            try:
                await self._stop_one(id_)
            except KilonovaError as exc:
                failed = exc
        if failed is not None:
            raise failed

    async def _stop_one(self, id_: InstanceId) -> None:
        while self._queues.is_busy(id_):  # its last step may still start the guest
            await self._tools.clock.sleep(BUSY_S)
        state = await self._tools.driver.guest_state(id_)
        if state is not None and state.power not in _OFF:
            log.warning("a guest is powered off: an operator gave up its host", instance=id_)
            await self._tools.driver.power_off(id_)

    async def _gone(self, copies: Copies, seen: Mapping[InstanceId, GuestState]) -> tuple[InstanceId, ...]:
        """The superfluous copies that the hypervisor does not know, in two reads with a pause; their disks are removed
        now."""
        now = self._tools.clock.monotonic()
        absent = (id_ for id_ in copies.superfluous if id_ not in seen and not self._queues.is_busy(id_))
        self._absent = {id_: self._absent.get(id_, now) for id_ in absent}
        pause = self._tools.settings.running_deleted_instance_poll_interval / 2
        gone = tuple(id_ for id_, first in self._absent.items() if now - first >= pause)
        for id_ in gone:
            await self._tools.driver.remove_disks(id_)
        return gone

    @property
    def _host(self) -> str:
        return self._session.identity.host
