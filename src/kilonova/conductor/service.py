# SPDX-License-Identifier: Apache-2.0
"""The conductor as a service: its endpoints on the bus and its own tasks.

All durable state is in the database before a caller receives a reply.  Other work of the service (placing, waking) can
be lost at any moment; the open actions show it again.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from kilonova.base.context import serving
from kilonova.base.errors import KilonovaError
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.conductor.api_endpoint import ApiEndpoint
from kilonova.conductor.failpoints import PLACE_BEGIN, PLACE_DONE
from kilonova.conductor.host_endpoint import Hooks, HostEndpoint
from kilonova.conductor.hosts import liveness
from kilonova.conductor.hosts.adoption import Adoption, Claims
from kilonova.conductor.image_endpoint import ImageEndpoint
from kilonova.conductor.operator_endpoint import OperatorEndpoint
from kilonova.conductor.placement import place
from kilonova.conductor.placement.waiting import Wait, Waits
from kilonova.conductor.tools import Policy, Tools
from kilonova.conductor.watch import auto_confirm, deadlines, offload
from kilonova.conductor.watch.housekeeping import Housekeeping
from kilonova.conductor.watch.publisher import Publisher
from kilonova.db.readers import actions as read_actions
from kilonova.objects.ids import ActionRef, HostName
from kilonova.objects.states import Verb
from kilonova.rpc.bus import Bus, SelfPing
from kilonova.rpcapi import api_to_conductor as api_methods
from kilonova.rpcapi import api_to_conductor_admin as admin_methods
from kilonova.rpcapi import host_to_conductor as host_methods
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.guard import Guard, Limits
from kilonova.rpcapi.to_host import WAKE, Wake

log = structlog.get_logger(__name__)

QUEUE = "conductors"


class Conductor:
    """Serves the API and the hosts, and owns the database.  Raises what `Database` does."""

    def __init__(self, tools: Tools, rpc: Caller, policy: Policy, metrics: Metrics) -> None:
        self._tools, self._rpc, self._policy, self._metrics = tools, rpc, policy, metrics
        self._db, self._clock, self._failpoints = tools.db, tools.clock, tools.failpoints
        self._settings = policy.settings
        self._housekeeping = Housekeeping(tools.db, tools.clock, policy.keep_deleted)
        self._liveness = liveness.Liveness(
            tools.clock, down_time_s=policy.down_time_s, grace_s=policy.settings.grace_period, alone=policy.alone
        )
        self._claims = Claims(tools.clock)
        self._jumps = deadlines.Jumps(tools.clock)
        self._resize_confirm_window = timedelta(seconds=policy.resize_confirm_window_s)
        self._to_place: asyncio.Queue[ActionRef] = asyncio.Queue()
        self._waits = Waits(tools.clock, host_wait_s=policy.settings.host_wait, down_time_s=policy.down_time_s)
        self._shelved = asyncio.Event()

    async def _wake(self, host: HostName) -> None:
        await self._rpc.cast(WAKE, Wake(), host)

    async def start(self, bus: Bus, tasks: Supervisor) -> None:
        """Serve on `bus`; background work runs under `tasks`.  Creates that were accepted by an earlier process and
        have no host yet are placed first."""
        for action in await self._db.read(read_actions.unplaced):
            self._to_place.put_nowait(action)
        for_api = ApiEndpoint(self._tools, self._rpc, self._to_place.put_nowait, self._policy.plans)
        account = Guard(self._clock, self._metrics)
        hooks = Hooks(self._ended, self._wake, self._place_waiting, lambda: bus.max_payload)
        for_hosts = HostEndpoint(self._tools, self._liveness, self._claims, hooks)
        for_operators = OperatorEndpoint(
            self._db,
            self._clock,
            Adoption(self._db, self._clock, self._claims, self._wake),
            self._liveness,
            self._policy.host,
        )
        limited = Guard(self._clock, self._metrics, None if self._policy.alone else Limits())
        for_images = ImageEndpoint(self._tools, self._metrics)
        of_api, of_hosts = for_api.endpoint(account), for_hosts.endpoint(limited)
        for_images.serve_api(of_api)
        for_images.serve_hosts(of_hosts)
        # A round trip to the process's own ping confirms what was sent before; the bus of one process needs none.
        confirm = None if self._policy.alone else await self._answer_pings(bus)
        publisher = Publisher(self._db, bus, self._clock, self._settings.watchdog_interval, confirm)
        for subject, handler in (
            (api_methods.SUBJECT, publisher.after(of_api.handle)),
            (admin_methods.SUBJECT, for_operators.endpoint(account).handle),
            (host_methods.SUBJECT, publisher.after(of_hosts.handle)),
        ):
            await bus.subscribe(subject, handler, queue=QUEUE)
        tasks.spawn("publish notifications", publisher.keep())
        tasks.spawn("place", self._place_forever())
        if self._policy.offload_after_s >= 0:
            tasks.spawn("offload", self._offload_forever())
        self._housekeeping.start(tasks)
        watches = {"watchdog": self._watch, "unplaced": self._place_again, "liveness": self._watch_hosts}
        if self._resize_confirm_window:
            watches["confirm resizes"] = self._confirm_resizes
        for name, watch in watches.items():  # each in its own task: a failed or slow watch does not delay the others
            tasks.periodic(name, self._settings.watchdog_interval, watch, limit_s=60)

    async def _answer_pings(self, bus: Bus) -> Callable[[], Awaitable[None]]:
        ping = SelfPing(bus, f"conductor-{self._policy.host}")
        await ping.listen()
        return ping.ping

    async def check_database(self) -> None:
        """A query to the database, through all layers."""
        await self._db.read(read_actions.unplaced)

    async def _place_forever(self) -> None:
        while True:
            action = await self._to_place.get()
            with serving(action.request_id):
                try:
                    await self._place(action)
                except KilonovaError as exc:
                    log.warning("placement failed and is retried later", action=action.id, error=str(exc))
                except Exception:
                    log.exception("placement failed and is retried later", action=action.id)

    async def _place(self, action: ActionRef) -> None:
        self._failpoints.hit(PLACE_BEGIN)
        patience = self._waits.patience(action)
        placed = await self._db.write(place.place, action.id, self._clock.random, self._clock.now(), patience)
        self._failpoints.hit(PLACE_DONE)
        begins = self._waits.note(action, waits=isinstance(placed, Wait))
        if not isinstance(placed, Wait):
            if placed is not None:
                log.info("a host was chosen", action=action.id, host=placed)
                await self._wake(placed)
        elif begins:
            log.info("an instance waits for a host", action=action.id, hosts=placed.hosts, reason=placed.reason)

    def _place_waiting(self) -> None:
        """A host may have returned."""
        for action in self._waits.waiting():
            self._to_place.put_nowait(action)

    def _ended(self, verb: Verb) -> None:
        if offload.follows(verb):
            self._shelved.set()

    async def _offload_forever(self) -> None:
        """Runs at the end of a shelve, and periodically."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.watchdog_interval):
                    await self._shelved.wait()
            self._shelved.clear()
            try:
                await self._offload()
            except KilonovaError as exc:
                log.warning("shelved servers stay on their hosts for now", error=str(exc))
            except Exception:
                log.exception("offloading shelved servers broke off")

    async def _offload(self) -> None:
        due = await self._db.read(offload.due, self._policy.offload_after_s, self._clock.now())
        if due:
            for host in await self._db.write(offload.begin, due, self._clock.new_id, self._clock.now()):
                await self._wake(host)

    async def _watch(self) -> None:
        expected, jump = self._jumps.look()
        if jump:
            await self._db.write(deadlines.move_windows, expected, jump)
            log.warning("the wall clock jumped", seconds=jump.total_seconds())
        self._jumps.count()
        await self._expire()

    async def _place_again(self) -> None:
        waiting = await self._db.read(read_actions.unplaced)
        if self._to_place.empty():
            for action in waiting:
                self._to_place.put_nowait(action)

    async def _watch_hosts(self) -> None:
        judge = self._liveness.may_judge(self._settings.watchdog_interval)
        changed = await self._db.read(liveness.changes, self._liveness, judge)
        if changed:
            await self._db.write(liveness.record, changed, self._liveness.last_heard(), self._clock.now())
            for host, epoch, up in changed:
                log.warning("host is up" if up else "host is down", host=host, epoch=epoch)

    async def _expire(self) -> None:
        """Each end is its own transaction: an action that cannot be ended does not keep the others open."""
        interval = self._settings.watchdog_interval
        for action in await self._db.write(deadlines.count_time, interval, self._clock.now()):
            with serving(action.request_id):
                await self._expire_one(action)

    async def _expire_one(self, action: ActionRef) -> None:
        try:
            ended = await self._db.write(deadlines.expire, action.id, self._clock.now())
        except Exception:
            log.exception("an action past its deadline could not be ended", action=action.id)
            return
        if ended:
            self._metrics.overdue(1)
            log.warning("an action ended past its deadline", action=action.id)

    async def _confirm_resizes(self) -> None:
        clock = self._clock
        due = (self._resize_confirm_window, clock.new_id, clock.now())
        for host in await self._db.write(auto_confirm.confirm_due, *due):
            await self._wake(host)
