# SPDX-License-Identifier: Apache-2.0
"""One queue per instance: its actions run one after another, in parallel to those of other instances."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import structlog

from kilonova.base.backoff import Backoff
from kilonova.base.clock import Clock
from kilonova.base.context import serving
from kilonova.base.errors import KilonovaError, NotFound, StaleWrite
from kilonova.base.locks import KeyedLocks
from kilonova.base.metrics import Metrics
from kilonova.base.outage import Outage
from kilonova.base.tasks import Supervisor
from kilonova.compute.guest_records import GuestRecords
from kilonova.compute.operation import Job, Operation, Tools
from kilonova.compute.runner import Outcome, Revoked, Run, Runner
from kilonova.objects.ids import InstanceId
from kilonova.objects.leg import LegId
from kilonova.rpcapi.caller import HostCaller
from kilonova.rpcapi.host_to_conductor import FINISH, Finish
from kilonova.rpcapi.work import WorkItem

log = structlog.get_logger(__name__)

REPORT = Backoff(0.2, 5.0)


@dataclass(frozen=True, slots=True)
class Signals:
    """`idle` receives each instance whose last leg here has ended; `stale` is called when the conductor expects the
    outcome from another attempt, so that the host must fetch its work again. `records` receives what was reported."""

    idle: Callable[[InstanceId], None]
    stale: Callable[[], None]
    metrics: Metrics
    outage: Outage
    records: GuestRecords


class InstanceQueues:
    """The legs that this host runs: one queue per instance."""

    def __init__(
        self,
        conductor: HostCaller,
        runner: Runner,
        tools: Tools,
        signals: Signals,
        operations: Mapping[str, Operation],
    ) -> None:
        self._host, self._conductor, self._runner, self._tools = conductor.host, conductor, runner, tools
        self._signals = signals
        self._operations = operations
        self._locks = KeyedLocks()
        self._builds = asyncio.Semaphore(tools.settings.max_concurrent_builds)
        self._snapshots = asyncio.Semaphore(tools.settings.max_concurrent_snapshots)
        self._resumes = asyncio.Semaphore(tools.settings.max_concurrent_resumes)
        self._runs: dict[LegId, tuple[Run, asyncio.Task[None]]] = {}

    @property
    def _clock(self) -> Clock:
        return self._tools.clock

    def running(self) -> tuple[LegId, ...]:
        """The legs of this host that run or wait."""
        return tuple(self._runs)

    def is_busy(self, instance_id: InstanceId) -> bool:
        """Whether an action on the instance runs or waits."""
        return any(run.job.instance.id == instance_id for run, _ in self._runs.values())

    def runs(self) -> Iterator[Run]:
        """The attempts that run, for reports of their progress."""
        return (run for run, _ in self._runs.values())

    def submit(self, item: WorkItem, tasks: Supervisor) -> None:
        """Accept a leg, unless it was accepted already."""
        leg_id = item.action.leg_id
        if leg_id in self._runs:
            return
        operation = self._operations[item.action.leg.operation]
        job = Job(item.action, item.instance, self._tools)
        # It is unknown how far an earlier attempt came.
        begun = operation.no_return if item.action.leg.repeated else ""
        run = Run(job, operation, self._host, turns=self._turns(job, operation), no_return=begun)
        task = tasks.spawn(f"{item.action.verb} {item.instance.id}", self._live(run))
        self._runs[leg_id] = (run, task)

    def revoke(self, leg: LegId) -> None:
        """Stop working on a leg: at once in an interruptible step, else before its next step."""
        found = self._runs.get(leg)
        if found is not None:
            run, task = found
            run.revoked = True
            if run.interruptible:
                task.cancel()

    def revoke_all(self) -> None:
        """Stop working on everything, in the same way."""
        for leg in self.running():
            self.revoke(leg)

    def no_return(self, item: WorkItem) -> str:
        """Why the cancelled leg that the item undoes must end as requested; empty: it can be undone.  Without its run,
        which an earlier process of this host may have had, the leg counts as beyond its point of no
        return, if its operation has one."""
        action, undone = item.action, item.action.leg.undoes
        if undone is None or not action.is_cancelled:
            return ""
        found = self._runs.get(LegId(action.id, undone))
        return self._operations[action.leg.operation].no_return if found is None else found[0].no_return

    def expire(self, leg: LegId) -> None:
        """The conductor reports that an action's time is up: its leg fails, and the leg's steps are undone."""
        if leg in self._runs:
            self._runs[leg][0].expire()

    async def drain(self, limit_s: float) -> None:
        """Wait until no leg runs or waits, at most `limit_s` seconds. The next process replays what is left."""
        deadline = self._clock.monotonic() + limit_s
        while self._runs and self._clock.monotonic() < deadline:
            await self._clock.sleep(0.05)

    async def _live(self, run: Run) -> None:
        with serving(run.job.action.request_id):
            await self._serve(run)

    async def _serve(self, run: Run) -> None:
        action, instance = run.job.action, run.job.instance
        try:
            with run.may_interrupt():
                holder = self._locks.hold(instance.id)
                await holder.__aenter__()
            try:
                await self._in_turn(run)
            finally:
                await holder.__aexit__(None, None, None)
        except Revoked:
            log.info("action was taken back", verb=action.verb, instance=instance.id)
            if not run.revoked:
                self._signals.stale()
        except Exception:
            # A defect of ours must not end the service: the action is still open and will be handed out again.
            log.exception("action broke off", verb=action.verb, instance=instance.id)
        finally:
            del self._runs[action.leg_id]
            if not self.is_busy(instance.id):
                self._signals.idle(instance.id)

    async def _in_turn(self, run: Run) -> None:
        try:
            outcome = await self._runner.run(run)
        finally:
            run.give_turn()
        await self._report(run, outcome)

    def _turns(self, job: Job, operation: Operation) -> asyncio.Semaphore | None:
        if operation.heavy:
            return self._builds
        if operation.copies:
            return self._snapshots
        return self._resumes if job.action.bookkeeping.host_boot else None

    async def _report(self, run: Run, outcome: Outcome) -> None:
        """Report to the conductor until it acknowledges. StaleWrite: it has given the action to another attempt."""
        who = f"outcome of {run.job.action.id}"
        with self._signals.outage.ends_with(who):
            await self._until_heard(run, outcome, who)

    async def _until_heard(self, run: Run, outcome: Outcome, who: str) -> None:
        action, pauses = run.job.action, REPORT.start(self._clock)
        assert action.attempt is not None
        read = run.read or self._signals.records.new_read()
        self._signals.records.sends(action.instance_id, read.number)
        report = Finish(
            host=self._host,
            leg=action.leg_id,
            attempt=action.attempt,
            succeeded=outcome.succeeded,
            power=outcome.power,
            events=tuple(run.events.values()),
            message=outcome.message,
            of_host=outcome.of_host,
            read=read,
        )
        while True:
            try:
                ended = await self._conductor.call(FINISH, report)
                if ended.recorded:
                    self._signals.records.recorded(action.instance_id, read.number, outcome.power, None)
                self._signals.metrics.action_ended(action.verb, outcome.succeeded)
                log.info("action ended", verb=action.verb, instance=action.instance_id, succeeded=outcome.succeeded)
                return
            except (StaleWrite, NotFound) as exc:
                log.info("outcome is no longer wanted", verb=action.verb, action=action.id, error=str(exc))
                self._signals.stale()
                return
            except KilonovaError as exc:
                self._signals.outage.waits(who, exc)
            with run.may_interrupt():
                await pauses.wait()
