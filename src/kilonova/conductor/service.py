# SPDX-License-Identifier: Apache-2.0
"""The conductor as a service: its endpoints on the bus and its own tasks.

All durable state is in the database before a caller receives a reply.  Other work of the service (placing, waking) can
be lost at any moment; the open actions show it again.  Any number of conductors share one database
(docs/adr/0023-several-conductors.md): what one of them keeps in memory is a hint, or is received by all of them.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from kilonova import CODE_VERSION
from kilonova.base.context import serving
from kilonova.base.errors import KilonovaError
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.conductor.api_endpoint import ApiEndpoint
from kilonova.conductor.failpoints import with_failpoints
from kilonova.conductor.host_endpoint import Hooks, HostEndpoint
from kilonova.conductor.hosts import reports
from kilonova.conductor.hosts.adoption import Adoption
from kilonova.conductor.hosts.host_watch import HostWatch
from kilonova.conductor.hosts.liveness import Liveness
from kilonova.conductor.image_endpoint import ImageEndpoint
from kilonova.conductor.operator_endpoint import OperatorEndpoint
from kilonova.conductor.placement.placer import Placer
from kilonova.conductor.tools import Policy, Tools
from kilonova.conductor.verify.service import VerifyService
from kilonova.conductor.watch import auto_confirm, deadlines, offload
from kilonova.conductor.watch.housekeeping import Housekeeping
from kilonova.conductor.watch.publisher import Publisher
from kilonova.conductor.watch.rounds import Rounds
from kilonova.db.readers.hosts import CONDUCTOR
from kilonova.objects.ids import ActionRef, HostName
from kilonova.objects.states import Verb
from kilonova.rpc.bus import Bus, SelfPing
from kilonova.rpcapi import api_to_conductor as api_methods
from kilonova.rpcapi import api_to_conductor_admin as admin_methods
from kilonova.rpcapi import host_to_conductor as host_methods
from kilonova.rpcapi.api_to_conductor_admin import ReportService
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.guard import Guard, Limits
from kilonova.rpcapi.to_host import WAKE, Wake
from kilonova.rpcapi.versions import OLDEST

log = structlog.get_logger(__name__)

QUEUE = "conductors"
FORGET_S = 3600.0
DEADLINES, UNPLACED, CONFIRM, OFFLOAD = WATCHES = ("deadlines", "unplaced", "confirm resizes", "offload")
"""The periodic work of all conductors together, every `watchdog_interval`."""


class Conductor:
    """Serves the API and the hosts, and owns the database.  Raises what `Database` does."""

    def __init__(self, tools: Tools, rpc: Caller, policy: Policy, metrics: Metrics) -> None:
        tools = with_failpoints(tools)
        self._tools, self._rpc, self._policy, self._metrics = tools, rpc, policy, metrics
        self._db, self._clock = tools.db, tools.clock
        tools.conductors.lowest = CODE_VERSION if policy.alone else OLDEST  # until the first report of this process
        self._settings = policy.settings
        self._process_id = tools.clock.new_id()
        self._rounds = Rounds(tools.db, tools.clock, self._process_id, alone=policy.alone, watches=WATCHES)
        self._housekeeping = Housekeeping(tools.db, tools.clock, self._rounds, policy.retention)
        self._liveness = Liveness(
            tools.clock, down_time_s=policy.down_time_s, grace_s=policy.settings.grace_period, alone=policy.alone
        )
        self._jumps = deadlines.Jumps(tools.clock)
        self._moves = 0
        self._resize_confirm_window = timedelta(seconds=policy.resize_confirm_window_s)
        self._placer = Placer(tools, policy, metrics, self._wake)
        self._shelved = asyncio.Event()

    async def _wake(self, host: HostName) -> None:
        await self._rpc.cast(WAKE, Wake(), host)

    async def start(self, bus: Bus, tasks: Supervisor) -> None:
        """Serve on `bus`; background work runs under `tasks`.  Creates that were accepted by an earlier process and
        have no host yet are placed first."""
        await self._placer.put_unplaced()
        _, self._moves = await self._db.read(deadlines.look_at_clock, self._clock.now())
        for_api = ApiEndpoint(self._tools, self._rpc, self._placer.put, self._policy.plans)
        account = Guard(self._clock, self._metrics)
        ping = SelfPing(bus, f"conductor-{self._policy.host}", self._process_id)
        await ping.listen()
        # A round trip to the process's own ping confirms what was sent before; the bus of one process needs none.
        confirm = None if self._policy.alone else ping.ping
        publisher = Publisher(self._db, bus, self._clock, self._settings.watchdog_interval, confirm)
        put, again = self._placer.put, self._placer.put_waiting
        hooks = Hooks(self._ended, self._wake, put, again, lambda: bus.max_payload)
        for_hosts = HostEndpoint(self._tools, self._liveness, hooks)
        adoption = Adoption(self._db, self._clock, self._wake)
        for_operators = OperatorEndpoint(self._db, self._clock, adoption, self._liveness, self._policy.host)
        limited = Guard(self._clock, self._metrics, None if self._policy.alone else Limits())
        for_images = ImageEndpoint(self._tools, self._metrics)
        of_api, of_hosts = for_api.endpoint(account), for_hosts.endpoint(limited)
        of_operators = for_operators.endpoint(account)
        VerifyService(self._db, self._clock, self._rpc).serve(of_operators)
        for_images.serve_api(of_api)
        for_images.serve_hosts(of_hosts)
        for subject, handler in (
            (api_methods.SUBJECT, of_api.handle),
            (admin_methods.SUBJECT, of_operators.handle),
            (host_methods.SUBJECT, of_hosts.handle),
        ):
            await bus.subscribe(subject, handler, queue=QUEUE)
        await bus.subscribe(host_methods.HEARTBEATS, for_hosts.heartbeats(limited).handle)
        tasks.spawn("publish notifications", publisher.keep())
        self._placer.start(tasks)
        if self._policy.offload_after_s >= 0:
            tasks.spawn("offload", self._offload_forever())
        self._housekeeping.start(tasks)
        self._start_watches(tasks, ping.ping)

    def _start_watches(self, tasks: Supervisor, ping_self: Callable[[], Awaitable[None]]) -> None:
        """Each in its own task: a failed or slow watch does not delay the others.  Every conductor watches the hosts;
        one conductor in each interval does the other watches."""
        interval, claimed = self._settings.watchdog_interval, self._rounds.claimed
        own = "" if self._policy.alone else self._process_id
        hosts = HostWatch(self._db, self._clock, self._rpc, self._liveness, ping_self, own)
        watches = {
            "watchdog": self._watch,
            UNPLACED: claimed(UNPLACED, interval, self._placer.put_unplaced),
            "liveness": lambda: hosts.look(interval),
        }
        if self._resize_confirm_window:
            watches[CONFIRM] = claimed(CONFIRM, interval, self._confirm_resizes)
        for name, watch in watches.items():
            tasks.periodic(name, interval, watch, limit_s=60)
        if not self._policy.alone:
            tasks.spawn("report", self._report_forever())
            name = "forget reports"
            tasks.periodic(name, FORGET_S, claimed(name, FORGET_S, self._forget_reports))

    def _ended(self, verb: Verb) -> None:
        if offload.follows(verb):
            self._shelved.set()

    async def _offload_forever(self) -> None:
        """Runs at the end of a shelve, and periodically."""
        interval = self._settings.watchdog_interval
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._shelved.wait()
            begun = self._shelved.is_set()
            self._shelved.clear()
            try:
                if begun or await self._rounds.claim(OFFLOAD, interval):
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
        wall, moves = await self._db.read(deadlines.look_at_clock, self._clock.now())
        expected, jump = self._jumps.look(wall)
        if jump:
            args = (expected, jump, self._moves, self._process_id)
            if await self._db.write(deadlines.move_windows_once, *args):
                moves = self._moves + 1
                log.warning("the wall clock jumped", seconds=jump.total_seconds())
        self._jumps.count()
        self._moves = moves
        if await self._rounds.claim(DEADLINES, self._settings.watchdog_interval):
            await self._expire()

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

    async def _report_forever(self) -> None:
        """Report this process to the database, now and periodically."""
        interval = self._policy.report_interval_s
        valid = admin_methods.valid_s(interval, self._policy.down_time_s)
        report = ReportService(self._policy.host, CONDUCTOR, self._process_id, CODE_VERSION, valid)
        while True:
            try:
                self._tools.conductors.lowest = await self._db.write(reports.report, report, self._clock.now())
            except KilonovaError as exc:
                log.debug("this conductor could not report itself", error=str(exc))
            except Exception:
                log.exception("this conductor could not report itself")
            await self._clock.sleep(interval * self._clock.random.uniform(0.9, 1.1))

    async def _forget_reports(self) -> None:
        await self._db.write(reports.forget_old, self._clock.now())
