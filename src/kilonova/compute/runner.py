# SPDX-License-Identifier: Apache-2.0
"""Running an operation: ensure in order; when it fails for good, absent in reverse.

One rule for trouble: when the hypervisor does not answer, what was asked may have happened, so nothing is judged and
nothing is undone; the steps are run again from the first (each looks before it acts) until the action's deadline or
until it is revoked.
"""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import structlog

from kilonova.base.errors import HypervisorError, HypervisorUnavailable, KilonovaError, StaleWrite
from kilonova.base.failpoints import Failpoints
from kilonova.compute.operation import Job, Operation, Step, nothing
from kilonova.objects.action import ActionEvent
from kilonova.objects.states import PowerState
from kilonova.virt.power import able

log = structlog.get_logger(__name__)

RETRY_FIRST_S = 0.5
RETRY_MOST_S = 15.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """`power` is None when the guest is provably absent."""

    succeeded: bool
    power: PowerState | None
    message: str | None = None


@dataclass(slots=True)
class Run:
    """One attempt, as it goes on.  `revoked` is set by the lane; the run ends before its next step.  `turns` are what
    it must wait for beside others of its kind, first come first served; None: nothing."""

    job: Job
    operation: Operation
    host: str
    events: dict[str, ActionEvent] = field(default_factory=dict[str, ActionEvent])
    unsent: set[str] = field(default_factory=set[str])
    revoked: bool = False
    interruptible: bool = False
    turns: asyncio.Semaphore | None = None
    has_turn: bool = False

    async def take_turn(self) -> None:
        """Wait for one; the lane may cancel that."""
        if self.turns is not None:
            with self.may_interrupt():
                await self.turns.acquire()
            self.has_turn = True

    def give_turn(self) -> None:
        """Back to the others; nothing to do without one."""
        if self.turns is not None and self.has_turn:
            self.has_turn = False
            self.turns.release()

    def take_unsent(self) -> tuple[ActionEvent, ...]:
        """Events that nobody was told yet."""
        events = tuple(self.events[name] for name in self.events if name in self.unsent)
        self.unsent.clear()
        return events

    @contextmanager
    def may_interrupt(self) -> Generator[None]:
        """A stretch in which the lane may cancel this run."""
        self.interruptible = True
        try:
            yield
        finally:
            self.interruptible = False


class Revoked(Exception):
    """The conductor took the action back: end quietly, somebody else decides."""


class Runner:
    """Runs attempts.  Holds no state of its own."""

    def __init__(self, failpoints: Failpoints) -> None:
        self._failpoints = failpoints

    async def run(self, run: Run) -> Outcome:
        """Run to an outcome.  Raises Revoked."""
        if (refusal := await self._refusal(run)) is not None:  # nothing was begun, so that nothing is to be undone
            return Outcome(False, await self._power_after_failure(run), refusal)
        try:
            await self._ensure(run)
            return Outcome(True, await self._read_power(run))
        except (Revoked, HypervisorUnavailable):
            raise
        except StaleWrite as exc:
            raise Revoked from exc
        except Exception as exc:
            message = _explain(exc)
            log.warning("action failed", verb=run.operation.verb, instance=run.job.instance.id, error=message)
            if run.operation.clean_up:
                message = await self._clean_up(run, message)
            return Outcome(False, await self._power_after_failure(run), message)

    async def _refusal(self, run: Run) -> str | None:
        """Why the operation cannot be begun; None when it can."""
        operation = run.operation
        try:
            if operation.needs is not None:
                able(run.job.tools.driver, operation.needs)
            if operation.look is not nothing:
                await self._until_answered(run, (Step("look", operation.look, interruptible=True),), undo=False)
        except HypervisorError as exc:
            facts = {"verb": operation.verb, "instance": run.job.instance.id, "error": exc.message}
            log.warning("action refused", **facts, details=dict(exc.details))
            return exc.message
        return None

    async def _ensure(self, run: Run) -> None:
        """Every step, in order, replayed from the first whenever the hypervisor went away."""
        await self._until_answered(run, run.operation.steps, undo=False)

    async def _clean_up(self, run: Run, message: str) -> str:
        """What the failed run has made is made absent; the message, with what could not be.  That stays, with the
        instance's claim, until it is deleted."""
        try:
            await self._until_answered(run, tuple(reversed(run.operation.steps)), undo=True)
        except (Revoked, HypervisorUnavailable):
            raise
        except Exception as exc:
            log.warning("clean-up failed", instance=run.job.instance.id, error=_explain(exc))
            return f"{message} What was made could not be removed: {_explain(exc)}"
        return message

    async def _read_power(self, run: Run) -> PowerState | None:
        found: list[PowerState | None] = []

        async def read(job: Job) -> None:
            state = await job.tools.driver.guest_state(job.instance.id)
            found.append(None if state is None else state.power)

        await self._until_answered(run, (Step("observe", read),), undo=False)
        return found[-1]

    async def _power_after_failure(self, run: Run) -> PowerState | None:
        """Unknown where it cannot be read: the action has ended all the same."""
        try:
            return await self._read_power(run)
        except HypervisorError as exc:
            log.warning("a guest could not be read", instance=run.job.instance.id, error=exc.message)
            return PowerState.NOSTATE

    async def _until_answered(self, run: Run, steps: Sequence[Step], *, undo: bool) -> None:
        clock, pause = run.job.tools.clock, RETRY_FIRST_S
        while True:
            try:
                for step in steps:
                    await self._step(run, step, undo=undo)
                return
            except HypervisorUnavailable as exc:
                log.info("waiting for the hypervisor", instance=run.job.instance.id, error=str(exc))
            run.give_turn()  # one guest's call may never come back
            with run.may_interrupt():
                await clock.sleep(pause * clock.random.uniform(0.8, 1.2))
            await run.take_turn()
            pause = min(pause * 2, RETRY_MOST_S)

    async def _step(self, run: Run, step: Step, *, undo: bool) -> None:
        if run.revoked:
            raise Revoked
        name = f"{run.operation.verb}.{'remove-' if undo else ''}{step.name}"
        self._failpoints.hit(f"compute.{name}.begin")
        clock = run.job.tools.clock
        self._note(run, ActionEvent(name, clock.now(), host=run.host))
        try:
            if step.interruptible and not undo:
                with run.may_interrupt():
                    await step.ensure(run.job)
            else:
                await (step.absent if undo else step.ensure)(run.job)
        except Exception as exc:
            self._note(
                run,
                replace(run.events[name], finish_time=clock.now(), result="Error", details=_explain(exc)),
            )
            raise
        self._note(run, replace(run.events[name], finish_time=clock.now(), result="Success"))
        self._failpoints.hit(f"compute.{name}.done")

    def _note(self, run: Run, event: ActionEvent) -> None:
        run.events[event.name] = event
        run.unsent.add(event.name)


def _explain(exc: Exception) -> str:
    """A sentence for the instance's owner: our own errors speak for themselves, others are told by their kind (their
    text may hold what is not the owner's)."""
    if isinstance(exc, KilonovaError):
        return exc.message
    if isinstance(exc, OSError) and exc.strerror:
        return f"The host could not do it: {exc.strerror}."
    return f"The host could not do it ({type(exc).__name__})."
