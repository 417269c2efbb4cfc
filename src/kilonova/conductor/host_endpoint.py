# SPDX-License-Identifier: Apache-2.0
"""The RPC methods that hosts call.  A host can only send requests about itself: the subject pins its name."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, TypeVar

import structlog

from kilonova import CODE_VERSION
from kilonova.base.errors import Forbidden, HostTaken
from kilonova.conductor import images
from kilonova.conductor.engine import fencing, hand_out, reports
from kilonova.conductor.hosts import conflicts, fleet_status, forgotten, guests, host_boot, processes, register
from kilonova.conductor.hosts.liveness import Liveness
from kilonova.conductor.hosts.processes import Sign
from kilonova.conductor.tools import Tools
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import work as read_work
from kilonova.db.readers.hosts import HostProcess
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import ActionId, ActionRef, HostName
from kilonova.objects.states import Verb
from kilonova.rpc.bus import USUAL_PAYLOAD, token
from kilonova.rpcapi import host_to_conductor as methods
from kilonova.rpcapi import host_to_conductor_images as image_methods
from kilonova.rpcapi.endpoint import Endpoint
from kilonova.rpcapi.guard import Guard
from kilonova.rpcapi.method import Ack, reply_bytes

log = structlog.get_logger(__name__)

ACK = Ack()


class _FromHost(Protocol):
    @property
    def host(self) -> HostName: ...


Q = TypeVar("Q", bound=_FromHost)
R = TypeVar("R")


def pinned(handler: Callable[[Q], Awaitable[R]]) -> Callable[[Q, str], Awaitable[R]]:
    """The handler, for requests of a host about itself only.  Otherwise Forbidden is raised."""

    async def checked(request: Q, peer: str) -> R:
        if token(request.host) != peer:
            raise Forbidden(f"A host can only send requests about itself, not about {request.host}.")
        return await handler(request)

    return checked


@dataclass(frozen=True, slots=True)
class Hooks:
    """Callbacks for further work.  `ended` receives the verb of each leg that has ended.  `wake` receives each host
    that has work to fetch (it has registered, or one of its legs begins).  `place` receives each action that needs
    another host.  `offered` is called when a host has reported its resources, or whether it is in service.
    `max_payload` is the limit of one message of the bus, in bytes."""

    ended: Callable[[Verb], None]
    wake: Callable[[HostName], Awaitable[None]]
    place: Callable[[ActionRef], None]
    offered: Callable[[], None]
    max_payload: Callable[[], int] = lambda: USUAL_PAYLOAD


class HostEndpoint:
    """All handlers are safe to call again with the same request."""

    def __init__(self, tools: Tools, liveness: Liveness, hooks: Hooks) -> None:
        self._db, self._clock, self._quotas = tools.db, tools.clock, tools.quotas
        self._liveness, self._hooks = liveness, hooks
        self._conductors = tools.conductors

    def endpoint(self, guard: Guard | None = None) -> Endpoint:
        """The handlers by RPC method."""
        endpoint = Endpoint(guard)
        endpoint.on(methods.REGISTER_HOST, pinned(self._register))
        endpoint.on(methods.HEARTBEAT_CALL, pinned(self._heartbeat_call))
        endpoint.on(methods.CONTEST, pinned(self._contest))
        endpoint.on(methods.LEAVE, pinned(self._leave))
        endpoint.on(methods.PING, pinned(self._ping))
        endpoint.on(methods.FETCH, pinned(self._fetch))
        endpoint.on(methods.FINISH, pinned(self._finish))
        endpoint.on(methods.CONFIRM_ATTEMPT, pinned(self._confirm_attempt))
        endpoint.on(methods.RECORD_EVENTS, pinned(self._record_events))
        endpoint.on(image_methods.BEGIN_IMAGE, pinned(self._begin_image))
        endpoint.on(image_methods.COMPLETE_IMAGE, pinned(self._complete_image))
        endpoint.on(image_methods.DROP_IMAGES, pinned(self._drop_images))
        endpoint.on(methods.REPORT_STATES, pinned(self._report_states))
        endpoint.on(methods.LIST_EXPECTED, pinned(self._list_expected))
        endpoint.on(methods.CLASSIFY_GUESTS, pinned(self._classify_guests))
        endpoint.on(methods.LIST_COPIES, pinned(self._list_copies))
        endpoint.on(methods.COPIES_REMOVED, pinned(self._copies_removed))
        endpoint.on(methods.REPORT_INVENTORY, pinned(self._report_inventory))
        endpoint.on(methods.SET_HOST_ENABLED, pinned(self._set_enabled))
        endpoint.on(methods.NOTIFY, pinned(self._notify))
        return endpoint

    def heartbeats(self, guard: Guard | None = None) -> Endpoint:
        """The handler of the messages that every conductor receives."""
        endpoint = Endpoint(guard)
        endpoint.on(methods.HEARTBEAT, pinned(self._heartbeat))
        return endpoint

    async def _register(self, request: methods.RegisterHost) -> methods.Registered:
        known = await self._db.read(read_hosts.process_of, request.host)
        sign = None if known is None else self._liveness.sign_of_life(request.host, known)
        epoch = 0 if known is None else known.epoch
        try:
            registered = await self._db.write(self.admit, request, (epoch, sign), self._clock.now())
        except HostTaken as exc:
            if await self._db.write(processes.refused, request, self._clock.now()):
                log.warning("refused a second process of a host", host=request.host, error=exc.message)
            raise
        self._liveness.registered(request.host, registered.epoch)
        if registered.rebooted:
            log.info("a host has booted", host=request.host, guests_to_start=registered.resumed)
            await self._hooks.wake(request.host)
        return replace(registered, version=CODE_VERSION, conductors=self._conductors.lowest)

    def admit(
        self, tx: Transaction, request: methods.RegisterHost, seen: tuple[int, Sign | None], now: datetime
    ) -> methods.Registered:
        """The transaction of a registration.  `seen`: the epoch of the last process, and its last sign of life."""

        def alive(_host: HostName, process: HostProcess) -> Sign | None:
            """A process that has registered since the look is alive."""
            return seen[1] if process.epoch == seen[0] else Sign(None)

        processes.admit(tx, request, alive)
        new_id = self._clock.new_id
        return host_boot.enroll(tx, request, new_id(), new_id, now)

    async def _heartbeat(self, request: methods.Heartbeat) -> Ack:
        self._liveness.heard(request.host, request.epoch)
        return ACK

    async def _heartbeat_call(self, request: methods.Heartbeat) -> Ack:
        """Of a host of code version 1, which learns from it whether it has a newer process (goes in version 3)."""
        await self._db.read(fencing.check_epoch, request.host, request.epoch)
        return await self._heartbeat(request)

    async def _contest(self, request: methods.Contest) -> methods.Contested:
        contested = await self._db.write(conflicts.contest, request, self._clock.now())
        if contested.conflict:
            log.error("two live processes of one host", host=request.host, conflict=contested.conflict)
            await self._hooks.wake(request.host)
        return contested

    async def _leave(self, request: methods.Leave) -> Ack:
        await self._db.write(processes.leave, request, self._clock.now())
        return ACK

    async def _confirm_attempt(self, request: methods.ConfirmAttempt) -> Ack:
        await self._db.read(processes.confirm_attempt, request)
        return ACK

    async def _ping(self, request: methods.Ping) -> methods.Pong:
        now = self._clock.now()
        claims = await self._db.read(fleet_status.contested, now, request.host)
        return methods.Pong(self._clock.now(), " ".join(claims))

    async def _fetch(self, request: methods.Fetch) -> methods.Fetched:
        now, limit = self._clock.now(), self._hooks.max_payload()
        # Most fetches find nothing: a read finds that out, which needs no transaction id and no locks.
        if not request.running and await self._db.read(read_work.is_idle, request.host, request.epoch):
            fetched = methods.Fetched((), ())
        else:
            fetched = await self._db.write(hand_out.hand_out, request, now, limit)
        return replace(fetched, conductors=self._conductors.lowest, now=self._clock.now())

    async def _finish(self, request: methods.Finish) -> methods.Ended:
        finished = await self._db.write(reports.finish, request, self._clock.new_id, self._clock.now())
        self._hooks.ended(finished.verb)
        if finished.wake is not None:
            await self._hooks.wake(finished.wake)
        if finished.place is not None:
            self._hooks.place(finished.place)
        return methods.Ended(finished.recorded)

    async def _record_events(self, request: methods.RecordEvents) -> Ack:
        await self._db.write(reports.record_events, request)
        return ACK

    async def _begin_image(self, request: image_methods.BeginImage) -> image_methods.ImageBegun:
        return await self._db.write(images.begin, request, self._clock.now())

    async def _complete_image(self, request: image_methods.CompleteImage) -> Ack:
        await self._db.write(images.complete, request, self._clock.now(), self._quotas)
        return ACK

    async def _drop_images(self, request: image_methods.DropImages) -> image_methods.Dropped:
        return await self._db.write(images.drop, request, self._clock.now())

    async def _report_states(self, request: methods.ReportStates) -> methods.StatesRecorded:
        ids = tuple(ActionId(self._clock.new_id()) for _ in request.states)
        return await self._db.write(guests.report_states, request, ids, self._clock.now())

    async def _list_expected(self, request: methods.ListExpected) -> methods.Expected:
        return await self._db.read(guests.list_expected, request)

    async def _classify_guests(self, request: methods.ClassifyGuests) -> methods.GuestClasses:
        return await self._db.read(guests.classify_guests, request, reply_bytes(self._hooks.max_payload()))

    async def _list_copies(self, request: methods.ListCopies) -> methods.Copies:
        return await self._db.read(forgotten.list_copies, request)

    async def _copies_removed(self, request: methods.CopiesRemoved) -> Ack:
        await self._db.write(forgotten.copies_removed, request, self._clock.now())
        return ACK

    async def _report_inventory(self, request: methods.ReportInventory) -> Ack:
        for sentence in await self._db.write(register.report_inventory, request):
            log.warning("the networks of hosts do not agree", host=request.host, reason=sentence)
        self._hooks.offered()
        return ACK

    async def _set_enabled(self, request: methods.SetHostEnabled) -> Ack:
        await self._db.write(register.set_enabled, request, self._clock.now())
        self._hooks.offered()
        return ACK

    async def _notify(self, request: methods.Notify) -> Ack:
        await self._db.write(guests.notify, request)
        return ACK
