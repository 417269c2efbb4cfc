# SPDX-License-Identifier: Apache-2.0
"""This process's registration with the conductor: its identity, and the epoch of its reports."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from kilonova import CODE_VERSION
from kilonova.base.backoff import Backoff
from kilonova.base.clock import Clock
from kilonova.base.errors import (
    HostSuperseded,
    HostTaken,
    KilonovaError,
    StaleWrite,
)
from kilonova.base.outage import Outage
from kilonova.config.default import DefaultSettings
from kilonova.objects.action import Action
from kilonova.objects.ids import HostName
from kilonova.rpcapi.caller import HostCaller
from kilonova.rpcapi.host_to_conductor import (
    CONFIRM_ATTEMPT,
    CONTEST,
    HEARTBEAT,
    HEARTBEAT_CALL,
    LEAVE,
    REGISTER_HOST,
    ConfirmAttempt,
    Contest,
    Heartbeat,
    Leave,
    RegisterHost,
)
from kilonova.rpcapi.method import ANY_CALL
from kilonova.rpcapi.versions import check_window

log = structlog.get_logger(__name__)

T = TypeVar("T")

BINARY = "kilonova-compute"
RETRY = Backoff(0.2, 10.0)
BOTH_LIVE = 2.0
"""A process whose heartbeats arrive for so many intervals after this process requested its place runs beside it; the
process of an earlier boot of the machine sends none."""

AWAY = ANY_CALL
"""The conductor does not answer now, or refuses one message of many."""


@dataclass(frozen=True, slots=True)
class HostIdentity:
    """`node_id` is kept in the host's state directory, `boot_id` changes when the machine boots, `process_id` is new at
    each start of the service.  For `state_id` and `started_s` see rpcapi.host_to_conductor.RegisterHost."""

    host: HostName
    node_id: str
    boot_id: str
    process_id: str
    state_id: str = ""
    started_s: float = 0.0


class Session:
    """Registers, and registers again when the conductor does not know this process.  `registrations` counts them: the
    conductor may have forgotten what was reported before the last one. When the host has a newer process, this process
    has lost its registration permanently: `until_lost` returns, every call raises HostSuperseded, and no step of an
    operation begins any more (see runner.Hold).
    """

    def __init__(self, identity: HostIdentity, conductor: HostCaller, clock: Clock, settings: DefaultSettings) -> None:
        self.identity, self.conductor = identity, conductor
        self._clock, self._settings = clock, settings
        self.epoch: int | None = None
        self.registrations = 0
        self.waits_for = ""
        """Why this process is not registered yet, when the cause is not only that the conductor does not answer."""
        self.outage = Outage("the conductor", clock)
        """Shared by all calls of this process that cannot continue without an answer."""
        self.on_given_up: Callable[[], None] = lambda: None
        """Called when a registration reports that an operator has given up this host, before anything else runs."""
        self._left = False
        self._lost: HostSuperseded | None = None
        self._has_lost = asyncio.Event()

    @property
    def is_current(self) -> bool:
        """Whether this process is the host's current process, by the last report of the conductor."""
        return self._lost is None

    async def until_lost(self) -> HostSuperseded:
        """Waits until the conductor reports that the host has a newer process. Returns the conductor's error."""
        await self._has_lost.wait()
        assert self._lost is not None
        return self._lost

    async def register(self) -> None:
        """Waits for the conductor as long as it takes, with backoff, and logs that; also waits for the end of the
        host's former process, where the conductor cannot know of it. Raises StateError when the conductor knows this
        host under another node, or this node under another host (renamed or copied), HostTaken when another process of
        this host runs beside this process, HostSuperseded.
        """
        with self.outage.ends_with("registration"):
            await self._register()

    async def _register(self) -> None:
        pauses, refused_at = RETRY.start(self._clock), None
        while True:
            self._check()
            try:
                registered = await self.conductor.call(REGISTER_HOST, self._request())
                check_window(registered.version, "kilonova-conductor", f"kilonova-compute on host {self.identity.host}")
            except AWAY as exc:
                self.outage.waits("registration", exc)
            except HostTaken as exc:
                refused_at = self._clock.monotonic() if refused_at is None else refused_at
                self._wait_for_the_other(exc, self._clock.monotonic() - refused_at)
            except HostSuperseded as exc:
                self._lose(exc)
                raise
            else:
                if registered.rebooted:
                    log.info("this machine has booted: guests are started", count=registered.resumed)
                if registered.given_up:
                    self.on_given_up()
                self.epoch, self.waits_for = registered.epoch, ""
                self.conductor.conductors.lowest = registered.conductors
                self.registrations += 1
                return
            await pauses.wait()

    def _request(self) -> RegisterHost:
        identity, settings = self.identity, self._settings
        return RegisterHost(
            host=identity.host,
            process_id=identity.process_id,
            node_id=identity.node_id,
            boot_id=identity.boot_id,
            binary=BINARY,
            topic=settings.compute_topic,
            version=CODE_VERSION,
            availability_zone=settings.default_availability_zone,
            resume_guests=settings.resume_guests_state_on_host_boot,
            state_id=identity.state_id,
            started_s=identity.started_s,
        )

    def _wait_for_the_other(self, refusal: HostTaken, waited_s: float) -> None:
        """Raises the refusal when heartbeats of the other process still arrive long after this process requested its
        place."""
        heard_s_ago = refusal.details.get("heard_s_ago")
        if heard_s_ago is not None and waited_s - heard_s_ago > BOTH_LIVE * self._settings.report_interval:
            raise refusal
        if not self.waits_for:
            log.warning("waiting for the end of this host's other process", error=refusal.message)
        self.waits_for = refusal.message

    async def call(self, ask: Callable[[int], Awaitable[T]]) -> T:
        """Call `ask(epoch)`; when the conductor does not know this process, register and call once more. Raises
        HostSuperseded when the host has a newer process, and every error of `ask`."""
        self._check()
        if self.epoch is None:
            await self.register()
        try:
            try:
                return await ask(self.epoch or 0)
            except StaleWrite as exc:
                # This process itself is the newer one when it registered again while the request was on its way.
                if isinstance(exc, HostSuperseded) and exc.details.get("process_id") != self.identity.process_id:
                    raise
                log.warning("registering again: the conductor does not know this process", host=self.identity.host)
                await self.register()
                return await ask(self.epoch or 0)
        except HostSuperseded as exc:
            self._lose(exc)
            raise

    async def confirm(self, action: Action) -> None:
        """Ask the conductor whether this process still has the action's leg, under this attempt, for as long as it
        takes.  Raises StaleWrite, NotFound."""
        with self.outage.ends_with(f"confirmation of {action.id}"):
            await self._confirm(action)

    async def _confirm(self, action: Action) -> None:
        pauses, attempt = RETRY.start(self._clock), action.attempt
        assert attempt is not None
        while True:
            try:
                await self.call(
                    lambda epoch: self.conductor.call(
                        CONFIRM_ATTEMPT, ConfirmAttempt(self.conductor.host, epoch, action.leg_id, attempt)
                    )
                )
                return
            except AWAY as exc:
                self.outage.waits(f"confirmation of {action.id}", exc)
            await pauses.wait()

    async def heartbeat(self) -> None:
        """Send a heartbeat to every conductor, until this process has reported its end or has lost its host.  It has no
        answer: the next fetch reports whether the conductor answers, and whether the host has a newer process."""
        if self.epoch is None or self._left or not self.is_current:
            return
        if self.conductor.conductors.lowest < HEARTBEAT.since:
            await self._call_heartbeat()
        else:
            await self.conductor.cast(HEARTBEAT, Heartbeat(self.conductor.host, self.epoch))

    async def _call_heartbeat(self) -> None:
        """A conductor of code version 1 receives only calls (goes in version 3)."""
        try:
            await self.call(lambda epoch: self.conductor.call(HEARTBEAT_CALL, Heartbeat(self.conductor.host, epoch)))
        except AWAY as exc:
            log.debug("the conductor did not answer a heartbeat", error=str(exc))

    def while_there(self, work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """`work` as a periodic task. The fetch, not this task, reports that the conductor does not answer."""

        async def work_if_there() -> None:
            try:
                await work()
            except AWAY as exc:
                log.debug("a periodic task received no answer from the conductor", error=str(exc))

        return work_if_there

    async def contest(self) -> HostSuperseded:
        """Report that this process lives although its host has a newer process.  Returns the error with which this
        process ends: that of the loss, or the conflict if the newer process lives, too, and was not preferred by an
        operator.  Never fails."""
        lost, identity = await self.until_lost(), self.identity
        newer = lost.details.get("newer")
        if self.epoch is None or not isinstance(newer, int):
            return lost
        contest = Contest(identity.host, self.epoch, identity.process_id, identity.boot_id, newer)
        try:
            contested = await self.conductor.call(CONTEST, contest)
        except KilonovaError as exc:
            log.info("that this process lives could not be reported", error=str(exc))
            return lost
        return HostSuperseded(contested.conflict, host=identity.host) if contested.conflict else lost

    async def leave(self) -> None:
        """Report the end of this process, so that the next process need not wait until its heartbeats stop. Never
        fails."""
        self._left = True
        if self.epoch is None or not self.is_current:
            return
        try:
            await self.conductor.call(LEAVE, Leave(self.conductor.host, self.epoch))
        except KilonovaError as exc:
            log.info("the end of this process could not be reported", error=str(exc))

    def _check(self) -> None:
        if self._lost is not None:
            raise self._lost

    def _lose(self, exc: HostSuperseded) -> None:
        self._lost = exc
        self._has_lost.set()
