# SPDX-License-Identifier: Apache-2.0
"""Watching guests: events mark them dirty, a read decides, and a bulk read finds what events missed."""

import asyncio

import structlog

from kilonova.base.errors import HypervisorError, HypervisorUnavailable, KilonovaError
from kilonova.base.tasks import Supervisor
from kilonova.compute.guest_records import GuestRecords
from kilonova.compute.queues import InstanceQueues
from kilonova.compute.session import Session
from kilonova.objects.guest import RECONNECTED, GuestEvent, GuestState
from kilonova.objects.ids import InstanceId
from kilonova.rpcapi.host_to_conductor import (
    LIST_EXPECTED,
    REPORT_STATES,
    Expected,
    ExpectedGuest,
    ListExpected,
    Observed,
    ReportStates,
)
from kilonova.virt.driver import ComputeDriver

log = structlog.get_logger(__name__)

GUESTS = "what guests do"
RETRY_S = 1.0


def differences(
    expected: tuple[ExpectedGuest, ...], seen: dict[InstanceId, GuestState], number: int
) -> tuple[Observed, ...]:
    """What must be reported: each guest whose state differs from the database.  Busy guests are left to their
    action. Guests of this service that the database does not know are ignored here. `number` is that of the read."""
    found: list[Observed] = []
    for guest in expected:
        state = seen.get(guest.instance_id)
        power = None if state is None else state.power
        if not guest.busy and power != guest.power and not (power is None and guest.power == 0):
            found.append(_observed(guest.instance_id, state, number))
    return tuple(found)


def _observed(instance_id: InstanceId, state: GuestState | None, number: int) -> Observed:
    power, reason = (None, "") if state is None else (state.power, state.reason)
    return Observed(instance_id, power, reason, number)


class Observer:
    """Reports what the hypervisor reports; never changes a guest."""

    def __init__(self, driver: ComputeDriver, session: Session, records: GuestRecords) -> None:
        self._driver, self._session, self._records = driver, session, records
        self._dirty: set[InstanceId] = set()
        self._wake = asyncio.Event()

    def mark(self, event: GuestEvent) -> None:
        """This guest changed. The event of the hypervisor's return concerns no single guest and marks none: the bulk
        read of `sync` follows and reads all guests in one call."""
        if event.kind == RECONNECTED:
            return
        self._dirty.add(event.instance_id)
        self._wake.set()

    def idle(self, instance_id: InstanceId) -> None:
        """No action works on the guest any more: read now what changed meanwhile."""
        if instance_id in self._dirty:
            self._wake.set()

    def start(self, queues: InstanceQueues, tasks: Supervisor) -> None:
        """Read marked guests as they come, under `tasks`."""
        tasks.spawn("observe", self._observe_forever(queues))

    async def expected(self) -> Expected:
        """The guests of this host as the database records them."""
        conductor = self._session.conductor
        return await self._session.call(
            lambda epoch: conductor.call(LIST_EXPECTED, ListExpected(conductor.host, epoch))
        )

    async def sync(self) -> None:
        """One bulk read, compared with the database.  Raises HypervisorUnavailable, RpcTimeout, ..."""
        expected = await self.expected()
        # The hypervisor is read after the database: a guest that starts between the two does not seem to be missing.
        number = self._records.new_read().number
        found = dict(await self._driver.guest_states())
        self._records.keep({guest.instance_id for guest in expected.guests})
        # The database differs from these reads: they are reported even if an earlier report was recorded.
        await self._report(self._records.current(differences(expected.guests, found, number)))

    async def _observe_forever(self, queues: InstanceQueues) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            ready = sorted(instance_id for instance_id in self._dirty if not queues.is_busy(instance_id))
            self._dirty.difference_update(ready)
            try:
                await self._read(ready)
                self._session.outage.answered(GUESTS)
            except KilonovaError as exc:
                self._session.outage.waits(GUESTS, exc)
                self._dirty.update(ready)
                await self._driver.virtapi.clock.sleep(RETRY_S)
                self._wake.set()
            except Exception:  # an error of one guest must not end the host's service; the next bulk read repeats this
                log.exception("reading guests broke off", count=len(ready))

    async def _read(self, ready: list[InstanceId]) -> None:
        found = [seen for instance_id in ready if (seen := await self._look(instance_id)) is not None]
        await self._report(self._records.news(found))

    async def _report(self, states: tuple[Observed, ...]) -> None:
        if not states:
            return
        conductor = self._session.conductor
        for seen in states:
            self._records.sends(seen.instance_id, seen.number)
        reply = await self._session.call(
            lambda epoch: conductor.call(REPORT_STATES, ReportStates(conductor.host, epoch, states))
        )
        for seen in states:
            if seen.instance_id in reply.guests:
                self._records.recorded(seen.instance_id, seen.number, seen.power, seen.reason)

    async def _look(self, instance_id: InstanceId) -> Observed | None:
        """Read one guest. None when it cannot be read now; other guests are not affected. The change is not lost: the
        next bulk read, at the latest the read after a reconnection, finds the difference."""
        number = self._records.new_read().number
        try:
            state = await self._driver.guest_state(instance_id)
        except HypervisorUnavailable as exc:  # the driver reports the outage and its end
            log.debug("a guest could not be read now", instance=instance_id, error=str(exc))
            return None
        except HypervisorError as exc:
            log.info("a guest could not be read now", instance=instance_id, error=str(exc))
            return None
        return _observed(instance_id, state, number)
