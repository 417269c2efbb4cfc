# SPDX-License-Identifier: Apache-2.0
"""Running an operation: ensure in order; after a permanent failure, absent in reverse. One rule for outages: when the
hypervisor does not answer, the requested change may have happened, so nothing is decided and nothing is undone. The
steps run again from the first (each reads before it changes anything) until the conductor reports that the action's
time is up (then it fails, as for any other reason), or takes the action back.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from typing import Protocol

import structlog

from kilonova.base.backoff import Backoff
from kilonova.base.errors import (
    DeadlineExceeded,
    HypervisorError,
    HypervisorUnavailable,
    KilonovaError,
    NotFound,
    StaleWrite,
    is_of_host,
)
from kilonova.base.failpoints import Failpoints
from kilonova.base.outage import Outage
from kilonova.compute.operation import Job, Operation, Step, nothing
from kilonova.objects.action import Action, ActionEvent
from kilonova.objects.guest import ReadMark
from kilonova.objects.states import PowerState

log = structlog.get_logger(__name__)

RETRY = Backoff(0.5, 15.0)
UNDO_S = 600.0
"""How long an action whose time is up continues to undo its changes while the hypervisor does not answer."""


class Phase(Enum):
    """The phase of a run: its steps are done, its steps are undone, or its guest is read."""

    DO = "do"
    UNDO = "undo"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run. `power` is None when the guest and all its parts are provably absent. `of_host`: the
    reason of the failure lies in this host, so that another one may succeed."""

    succeeded: bool
    power: PowerState | None
    message: str | None = None
    of_host: bool = False


@dataclass(slots=True)
class Run:
    """One attempt in progress. The queue sets `revoked`; the run then ends before its next step. `expired` means that
    its time is up: it fails before its next step. `no_return` is the sentence of the step after which it cannot be
    cancelled, once that step has begun, or may have begun in an earlier attempt. `turns` are the slots that it shares
    with other runs of its kind, first come first served; None: it needs no slot. `read` is the last read of its guest,
    which gave the outcome, and `is_done` what the operation says of it.
    """

    job: Job
    operation: Operation
    host: str
    events: dict[str, ActionEvent] = field(default_factory=dict[str, ActionEvent])
    unsent: set[str] = field(default_factory=set[str])
    revoked: bool = False
    interruptible: bool = False
    turns: asyncio.Semaphore | None = None
    has_turn: bool = False
    expired: bool = False
    no_return: str = ""
    waiting: asyncio.Timeout | None = None
    read: ReadMark | None = None
    is_done: bool = False

    async def take_turn(self) -> None:
        """Wait for a slot; the queue may cancel the wait."""
        if self.turns is not None:
            with self.may_interrupt():
                await self.turns.acquire()
            self.has_turn = True

    def expire(self) -> None:
        """Its time is up: interruptible work ends now, other work ends after the current step."""
        self.expired = True
        if self.waiting is not None:
            self.waiting.reschedule(0)

    def check_time(self) -> None:
        """Raises DeadlineExceeded once the action's time is up."""
        if self.expired:
            raise DeadlineExceeded(f"{self.job.action.verb} did not end within its deadline (host {self.host}).")

    @asynccontextmanager
    async def may_expire(self) -> AsyncGenerator[None]:
        """A block that ends with DeadlineExceeded when the action's time is up, and that the queue may cancel."""
        self.check_time()
        try:
            async with asyncio.timeout(None) as self.waiting:
                with self.may_interrupt():
                    yield
        except TimeoutError:
            self.check_time()
            raise
        finally:
            self.waiting = None

    @asynccontextmanager
    async def stretch(self, phase: Phase) -> AsyncGenerator[None]:
        """A pause between two tries. The end of the action's time ends the pause only while steps are done."""
        if phase is Phase.DO:
            async with self.may_expire():
                yield
        else:
            with self.may_interrupt():
                yield

    def give_turn(self) -> None:
        """Give the slot back; without a slot this does nothing."""
        if self.turns is not None and self.has_turn:
            self.has_turn = False
            self.turns.release()

    def take_unsent(self) -> tuple[ActionEvent, ...]:
        """Events that were not reported yet."""
        events = tuple(self.events[name] for name in self.events if name in self.unsent)
        self.unsent.clear()
        return events

    @contextmanager
    def may_interrupt(self) -> Generator[None]:
        """A block in which the queue may cancel this run."""
        before, self.interruptible = self.interruptible, True
        try:
            yield
        finally:
            self.interruptible = before


class Revoked(Exception):
    """The conductor took the action back: the run ends without an outcome, because another attempt decides."""


class Hold(Protocol):
    """Whether this process may touch guests at all (see kilonova.compute.session.Session)."""

    @property
    def is_current(self) -> bool:
        """Whether it may, by the last report of the conductor; read before each step."""
        ...

    async def confirm(self, action: Action) -> None:
        """Ask the conductor, for as long as it takes. Raises StaleWrite, NotFound when another attempt has the
        action."""
        ...


class Runner:
    """Runs attempts. Without a `hold` its process is the only process of the host, and without `new_read` its reads
    have no order (tests)."""

    def __init__(
        self, failpoints: Failpoints, hold: Hold | None = None, new_read: Callable[[], ReadMark | None] = lambda: None
    ) -> None:
        self._failpoints, self._hold, self._new_read = failpoints, hold, new_read
        self._outage: Outage | None = None

    async def run(self, run: Run) -> Outcome:
        """Run to an outcome.  Raises Revoked."""
        self._failpoints.hit(f"leg.{run.operation.name}.begin")
        outcome = await self._outcome(run)
        self._failpoints.hit(f"leg.{run.operation.name}.done")
        return outcome

    async def _outcome(self, run: Run) -> Outcome:
        try:
            if run.job.action.leg.undoes is not None:
                return await self._undo(run)
            if (refusal := await self._refusal(run)) is not None:
                # In the first attempt no step has begun, so nothing must be undone.
                return await self._failure(run, refusal, of_host=True, undo=run.job.action.leg.repeated)
            async with run.may_expire():
                await run.take_turn()
            await self._until_answered(run, run.operation.steps, Phase.DO)
            return Outcome(True, await self._read_power(run))
        except (Revoked, HypervisorUnavailable):
            raise
        except StaleWrite as exc:
            raise Revoked from exc
        except Exception as exc:
            message = _explain(exc)
            log.warning("action failed", verb=run.job.action.verb, instance=run.job.instance.id, error=message)
            return await self._failure(run, message, of_host=is_of_host(exc), undo=True)

    async def _failure(self, run: Run, message: str, *, of_host: bool, undo: bool) -> Outcome:
        left = await self._make_absent(run) if undo and run.operation.clean_up else None
        if left is not None:
            message = f"{message} What was made could not be removed: {left}"
        power = await self._power_with(left, run)
        if run.is_done:
            log.warning("an action is done all the same", verb=run.job.action.verb, instance=run.job.instance.id)
            return Outcome(True, power)
        return Outcome(False, power, message, of_host)

    async def _refusal(self, run: Run) -> str | None:
        """The reason that the operation cannot begin; None when it can."""
        operation = run.operation
        try:
            if operation.needs is not None:
                operation.needs.of(run.job.tools.driver)
            if operation.look is not nothing:
                await self._until_answered(run, (Step("look", operation.look, interruptible=True),), Phase.DO)
        except HypervisorError as exc:
            facts = {"verb": run.job.action.verb, "instance": run.job.instance.id, "error": exc.message}
            log.warning("action refused", **facts, details=dict(exc.details))
            return exc.message
        return None

    async def _undo(self, run: Run) -> Outcome:
        """Run a leg that undoes an earlier leg of its action on this host."""
        reason = await self._make_absent(run)
        return Outcome(reason is None, await self._power_with(reason, run), reason)

    async def _power_with(self, left: str | None, run: Run) -> PowerState | None:
        """The power state after a failure.  With parts that could not be removed the guest is not provably absent: they
        stay, with the instance's claim, until the instance is deleted."""
        power = await self._power_after_failure(run)
        return PowerState.NOSTATE if power is None and left is not None else power

    async def _make_absent(self, run: Run) -> str | None:
        """Make the operation's steps absent, the last step first. Returns the reason when that was not possible, else
        None. What another process of the host, or another attempt, has made since must not be removed: nothing is
        removed before the conductor has confirmed that this attempt still has the action."""
        await self._confirm(run)
        try:
            await self._until_answered(run, tuple(reversed(run.operation.steps)), Phase.UNDO)
        except Revoked:
            raise
        except Exception as exc:
            log.warning("clean-up failed", instance=run.job.instance.id, error=_explain(exc))
            return _explain(exc)
        return None

    async def _confirm(self, run: Run) -> None:
        """Raises Revoked."""
        if self._hold is None or run.job.action.attempt is None:  # no action requests an undo without an attempt
            return
        try:
            with run.may_interrupt():
                await self._hold.confirm(run.job.action)
        except (StaleWrite, NotFound) as exc:
            raise Revoked from exc

    async def _read_power(self, run: Run) -> PowerState | None:
        found: list[PowerState | None] = []

        async def read(job: Job) -> None:
            run.read = self._new_read()
            state = await job.tools.driver.guest_state(job.instance.id)
            found.append(None if state is None else state.power)
            run.is_done = state is not None and run.operation.is_done(job, state)

        try:
            await self._until_answered(run, (Step("observe", read),), Phase.READ)
        except HypervisorUnavailable as exc:  # the action's time is up, and the guest still does not answer
            log.warning("a guest could not be read", instance=run.job.instance.id, error=exc.message)
            return PowerState.NOSTATE
        return found[-1]

    async def _power_after_failure(self, run: Run) -> PowerState | None:
        """The power state; unknown when it cannot be read, because the action has ended in any case."""
        try:
            return await self._read_power(run)
        except HypervisorError as exc:
            log.warning("a guest could not be read", instance=run.job.instance.id, error=exc.message)
            return PowerState.NOSTATE

    async def _until_answered(self, run: Run, steps: Sequence[Step], phase: Phase) -> None:
        """Run every step, in order, and again from the first whenever the hypervisor does not answer. Raises
        DeadlineExceeded when the action's time ends while steps are done, and HypervisorUnavailable when the time ended
        long ago while steps are undone or the guest is read.
        """
        clock = run.job.tools.clock
        self._outage = self._outage or Outage("the hypervisor", clock)
        who = f"{run.operation.name} {run.job.instance.id}"
        with self._outage.ends_with(who):
            await self._again_and_again(run, steps, phase, partial(self._outage.waits, who))

    async def _again_and_again(
        self, run: Run, steps: Sequence[Step], phase: Phase, waits: Callable[[HypervisorUnavailable], None]
    ) -> None:
        clock, pauses = run.job.tools.clock, RETRY.start(run.job.tools.clock)
        give_up: float | None = None
        while True:
            try:
                for step in steps:
                    await self._step(run, step, phase)
                return
            except HypervisorUnavailable as exc:
                waits(exc)
                if run.expired and phase is not Phase.DO:
                    give_up = give_up or clock.monotonic() + UNDO_S
                    if clock.monotonic() >= give_up:
                        raise
            run.give_turn()  # the call of one guest may never return
            async with run.stretch(phase):
                await pauses.wait()
                await run.take_turn()

    async def _step(self, run: Run, step: Step, phase: Phase) -> None:
        if run.revoked or (self._hold is not None and not self._hold.is_current):
            raise Revoked
        if phase is Phase.DO:
            run.check_time()
            run.no_return = step.no_return or run.no_return
        undo = phase is Phase.UNDO
        name = f"{run.operation.name}.{'remove-' if undo else ''}{step.name}"
        self._failpoints.hit(f"compute.{name}.begin")
        clock = run.job.tools.clock
        self._note(run, ActionEvent(name, clock.now(), host=run.host, leg=run.job.action.current))
        try:
            if step.interruptible and not undo:
                async with run.may_expire():
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
    """A sentence for the instance's owner: the message of our own errors, and only the kind of other errors (their text
    may contain what the owner must not see)."""
    if isinstance(exc, KilonovaError):
        return exc.message
    if isinstance(exc, OSError) and exc.strerror:
        return f"The host could not do it: {exc.strerror}."
    return f"The host could not do it ({type(exc).__name__})."
