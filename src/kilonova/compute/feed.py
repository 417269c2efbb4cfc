# SPDX-License-Identifier: Apache-2.0
"""The host fetches its work: at each wake-up, and periodically in case a wake-up was lost."""

import asyncio

import structlog

from kilonova.base.clock import Clock
from kilonova.base.context import serving
from kilonova.base.errors import KilonovaError, StaleWrite
from kilonova.base.fleet_clock import SLOW_S, ClockWatch, ahead_of
from kilonova.base.tasks import Supervisor
from kilonova.compute.queues import InstanceQueues
from kilonova.compute.refusals import Refusals
from kilonova.compute.session import Session
from kilonova.objects.ids import AttemptId
from kilonova.objects.leg import LegId
from kilonova.rpcapi.host_to_conductor import FETCH, RECORD_EVENTS, RecordEvents
from kilonova.rpcapi.work import Fetch, Fetched, Unread, WorkItem

log = structlog.get_logger(__name__)

WORK = "work"
RETRY_S = 0.5
PROGRESS_S = 1.0


class Feed:
    """One fetch at a time: the work of a reply that arrives too late was not started, and is fetched again."""

    def __init__(
        self, session: Session, queues: InstanceQueues, refusals: Refusals, clock: Clock, poll_s: float
    ) -> None:
        self._session, self._queues, self._clock, self._poll_s = session, queues, clock, poll_s
        self._refusals = refusals
        self._clocks = ClockWatch("the conductors")
        self._wake = asyncio.Event()
        self._open = True

    def wake(self) -> None:
        """There may be work."""
        self._wake.set()

    def close(self) -> None:
        """Accept no more work."""
        self._open = False

    def start(self, tasks: Supervisor) -> None:
        """Fetch now, and then at each wake-up."""
        self._wake.set()
        tasks.spawn("feed", self._ask_forever(tasks))
        tasks.periodic("progress", PROGRESS_S, self._session.while_there(self._tell_progress), limit_s=10)

    async def _ask_forever(self, tasks: Supervisor) -> None:
        while True:
            try:
                async with asyncio.timeout(self._poll_s * self._clock.random.uniform(0.9, 1.1)):
                    await self._wake.wait()
            except TimeoutError:
                pass  # no wake-up arrived: fetch anyway
            self._wake.clear()
            if not self._open:
                continue
            try:
                await self._ask(tasks)
                self._session.outage.answered(WORK)
                continue
            except KilonovaError as exc:
                self._session.outage.waits(WORK, exc)
            except Exception:  # a defect in accepting one action must not end the host's service
                log.exception("fetching work failed")
            await self._clock.sleep(RETRY_S * self._clock.random.uniform(0.5, 1.5))
            self._wake.set()

    async def _ask(self, tasks: Supervisor) -> None:
        attempt = AttemptId(self._clock.new_id())
        running = (*self._queues.running(), *self._refusals.left)
        conductor = self._session.conductor
        fetched = await self._session.call(lambda epoch: self._fetch(Fetch(conductor.host, epoch, attempt, running)))
        conductor.conductors.lowest = fetched.conductors
        beyond = {LegId(item.action.id, item.action.leg.undoes or 0) for item in fetched.items if self._is_beyond(item)}
        for leg in fetched.revoked:
            if leg not in beyond:
                self._queues.revoke(leg)
        for leg in fetched.expired:
            self._queues.expire(leg)
        if self._open:
            await self._take(fetched, attempt, tasks)
        if fetched.more:
            self._wake.set()

    def _is_beyond(self, item: WorkItem) -> bool:
        """Whether the item undoes a cancelled leg that has passed its point of no return: its run continues."""
        try:
            return bool(self._queues.no_return(item))
        except KeyError:  # an operation that this version does not have: `_take_one` reports it
            return False

    async def _fetch(self, request: Fetch) -> Fetched:
        """Fetch, and compare the clocks."""
        began = self._clock.monotonic()
        fetched = await self._session.conductor.call(FETCH, request)
        took_s = self._clock.monotonic() - began
        if fetched.now is not None and took_s < SLOW_S:
            self._clocks.look(ahead_of(fetched.now, self._clock.now(), took_s))
        return fetched

    async def _take(self, fetched: Fetched, attempt: AttemptId, tasks: Supervisor) -> None:
        for item in fetched.items:
            with serving(item.action.request_id):
                await self._take_one(item, attempt, tasks)
        for unread in fetched.unread:
            await self._refusals.refuse(unread, attempt)

    async def _take_one(self, item: WorkItem, attempt: AttemptId, tasks: Supervisor) -> None:
        try:
            if why := self._queues.no_return(item):
                await self._refusals.refuse_undo(item.action, why)
                return
            self._queues.submit(item, tasks)
        except Exception as exc:  # a defect in accepting one action must not delay the others
            log.exception("an action could not be accepted", action=item.action.id)
            action = item.action
            odd = Unread(action.leg_id, action.instance_id, action.verb, type(exc).__name__)
            await self._refusals.refuse(odd, attempt)

    async def _tell_progress(self) -> None:
        """Report the progress of long actions to users."""
        for run in tuple(self._queues.runs()):
            action = run.job.action
            age = self._clock.now() - min((e.start_time for e in run.events.values()), default=self._clock.now())
            # (after a clock was set back, times lie in the future: the progress is reported all the same)
            if action.attempt is None or abs(age.total_seconds()) < PROGRESS_S:
                continue
            events = run.take_unsent()
            if events:
                report = RecordEvents(self._session.conductor.host, action.leg_id, action.attempt, events)
                with serving(action.request_id):
                    await self._report_events(report)

    async def _report_events(self, report: RecordEvents) -> None:
        try:
            await self._session.conductor.call(RECORD_EVENTS, report)
        except StaleWrite as exc:  # a newer attempt owns this action; the next action may still belong to this process
            log.info("progress is no longer wanted", action=report.leg.action_id, error=str(exc))
