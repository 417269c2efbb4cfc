# SPDX-License-Identifier: Apache-2.0
"""Watching guests: events mark them dirty, a read decides, and a bulk read finds what events missed."""

import asyncio

import structlog

from kilonova.base.errors import HypervisorError, HypervisorUnavailable, KilonovaError
from kilonova.base.tasks import Supervisor
from kilonova.compute.queues import InstanceQueues
from kilonova.compute.session import Session
from kilonova.objects.guest import RECONNECTED, GuestEvent, GuestState
from kilonova.objects.ids import InstanceId
from kilonova.rpcapi.host_to_conductor import (
    LIST_EXPECTED,
    REPORT_STATES,
    ExpectedGuest,
    ListExpected,
    Observed,
    ReportStates,
)
from kilonova.virt.driver import ComputeDriver

log = structlog.get_logger(__name__)

GUESTS = "what guests do"
RETRY_S = 1.0


def differences(expected: tuple[ExpectedGuest, ...], seen: dict[InstanceId, GuestState]) -> tuple[Observed, ...]:
    """What must be reported: each guest whose state differs from the database.  Busy guests are left to their
    action. Guests of this service that the database does not know are ignored here."""
    found: list[Observed] = []
    for guest in expected:
        state = seen.get(guest.instance_id)
        power = None if state is None else state.power
        if not guest.busy and power != guest.power and not (power is None and guest.power == 0):
            found.append(Observed(guest.instance_id, power, "" if state is None else state.reason))
    return tuple(found)


class Observer:
    """Reports what the hypervisor reports; never changes a guest."""

    def __init__(self, driver: ComputeDriver, session: Session) -> None:
        self._driver, self._session = driver, session
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

    async def sync(self) -> None:
        """One bulk read, compared with the database.  Raises HypervisorUnavailable, RpcTimeout, ..."""
        conductor = self._session.conductor
        expected = await self._session.call(
            lambda epoch: conductor.call(LIST_EXPECTED, ListExpected(conductor.host, epoch))
        )
        # The hypervisor is read after the database: a guest that starts between the two does not seem to be missing.
        found = dict(await self._driver.guest_states())
        states = differences(expected.guests, found)
        if states:
            await self._session.call(
                lambda epoch: conductor.call(REPORT_STATES, ReportStates(conductor.host, epoch, states))
            )
            # A bulk read and the reports after it take time. Meanwhile an action on one of these guests may have begun
            # and ended, and this older read would overwrite its result. So each guest is read once more by itself.
            self._dirty.update(seen.instance_id for seen in states)
            self._wake.set()

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
        report = tuple([seen for instance_id in ready if (seen := await self._look(instance_id)) is not None])
        if report:
            conductor = self._session.conductor
            await self._session.call(
                lambda epoch: conductor.call(REPORT_STATES, ReportStates(conductor.host, epoch, report))
            )

    async def _look(self, instance_id: InstanceId) -> Observed | None:
        """Read one guest. None when it cannot be read now; other guests are not affected. The change is not lost: the
        next bulk read, at the latest the read after a reconnection, finds the difference."""
        try:
            state = await self._driver.guest_state(instance_id)
        except HypervisorUnavailable as exc:  # the driver reports the outage and its end
            log.debug("a guest could not be read now", instance=instance_id, error=str(exc))
            return None
        except HypervisorError as exc:
            log.info("a guest could not be read now", instance=instance_id, error=str(exc))
            return None
        return Observed(instance_id, None if state is None else state.power, "" if state is None else state.reason)
