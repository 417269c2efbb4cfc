# SPDX-License-Identifier: Apache-2.0
"""The compute manager: the parts of a host's process, and the order in which they start.

It maps verbs to operations (kilonova.compute.operations) and hands every request to the driver through them; all other
code only reads from the driver.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from kilonova.base import sightings
from kilonova.base.clock import Clock
from kilonova.base.errors import HypervisorUnavailable, NotFound, RpcUnavailable
from kilonova.base.failpoints import Failpoints
from kilonova.base.health import Check
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import Workers
from kilonova.compute.cached_bases import CachedBases
from kilonova.compute.capacity import inventory_of
from kilonova.compute.consoles import ConsoleDesk
from kilonova.compute.feed import Feed
from kilonova.compute.given_up import GivenUp
from kilonova.compute.guest_records import GuestRecords
from kilonova.compute.image_cache import ImageCache
from kilonova.compute.image_cleanup import ImageCleanup
from kilonova.compute.image_uploads import ImageUploads
from kilonova.compute.local_images import ImageLibrary
from kilonova.compute.notifier import Notifier
from kilonova.compute.observer import Observer
from kilonova.compute.operation import Operation, Tools
from kilonova.compute.operations import OPERATIONS
from kilonova.compute.precache import Precache
from kilonova.compute.queues import InstanceQueues, Signals
from kilonova.compute.reaper import Reaper
from kilonova.compute.refusals import Refusals
from kilonova.compute.reports import Reports
from kilonova.compute.runner import Runner
from kilonova.compute.seeds import read_seed_key
from kilonova.compute.session import HostIdentity, Session
from kilonova.compute.uptime import uptime
from kilonova.compute.verifier import Verifier
from kilonova.compute.virtapi import ComputeVirtAPI
from kilonova.config.default import kept_from_images, reloaded
from kilonova.config.load import Settings
from kilonova.objects.diagnostics import GuestDiagnostics
from kilonova.objects.examination import Examine
from kilonova.objects.service import Inventory
from kilonova.rpc.bus import Bus
from kilonova.rpcapi import to_host as methods
from kilonova.rpcapi.caller import Caller, HostCaller
from kilonova.rpcapi.endpoint import Endpoint
from kilonova.rpcapi.guard import Guard
from kilonova.rpcapi.host_to_conductor import PING, Ping
from kilonova.rpcapi.method import Ack
from kilonova.rpcapi.versions import ConductorVersion
from kilonova.virt.capabilities import DIAGNOSTICS
from kilonova.virt.driver import ComputeDriver, VirtAPI

log = structlog.get_logger(__name__)


LOST_S = 10.0
"""The time for the step in progress when this process learns that its host has a newer process."""


Images = Callable[[HostCaller], ImageLibrary]
"""Returns where a host's images come from and go to, once the host can call the conductor."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a host receives from its process; `workers` do its work on files, and `examine` runs the doctor's checks."""

    clock: Clock
    images: Images
    workers: Workers
    failpoints: Failpoints
    examine: Examine


class ComputeManager:
    """One host.  Constructing it loads the driver (DriverLoadError) and does no I/O.

    `load_driver` returns the driver for the VirtAPI that it receives (see kilonova.virt.driver.load_compute_driver).
    `operations` is the table of operations that legs name.
    """

    def __init__(
        self,
        identity: HostIdentity,
        settings: Settings,
        parts: Parts,
        load_driver: Callable[[VirtAPI], ComputeDriver],
        *,
        metrics: Metrics | None = None,
        operations: Mapping[str, Operation] = OPERATIONS,
    ) -> None:
        self._identity, self._settings, self._clock = identity, settings, parts.clock
        self.metrics = metrics or Metrics()
        self._images, self._workers, self._failpoints = parts.images, parts.workers, parts.failpoints
        self._examine = parts.examine
        self._operations = operations
        self.virtapi = ComputeVirtAPI(parts.clock)
        self.driver = load_driver(self.virtapi)
        self.console_desk = ConsoleDesk(identity.host, self.driver, parts.clock, self.metrics)
        self._session: Session | None = None
        self._reports: Reports | None = None
        self._queues: InstanceQueues | None = None
        self._feed: Feed | None = None
        self._precache: Precache | None = None

    async def start(self, bus: Bus, tasks: Supervisor) -> None:
        """Driver first, then the record of this process, then the bus, then all work: actions that an earlier
        process left open arrive in the same way as new ones."""
        defaults, clock = self._settings.default, self._clock
        conductor = HostCaller(Caller(bus, clock, ConductorVersion()), self._identity.host)
        session = Session(self._identity, conductor, clock, defaults)
        notifier = Notifier(conductor, clock, session.outage)
        self.virtapi.on_error = notifier.error
        await self.driver.init_host(tasks)
        records = GuestRecords(self._identity.process_id, lambda: session.registrations)
        observer = Observer(self.driver, session, records)
        self.virtapi.on_event = observer.mark
        images = self._images(conductor)
        cache = ImageCache(Path(defaults.instances_path) / "_base", images, self._workers, clock)
        uploads = ImageUploads(images, conductor, clock, session.outage)
        seed_key = await self._workers.run(read_seed_key, defaults.state_path, clock)
        tools = Tools(self.driver, cache, uploads, clock, defaults, self._identity.boot_id, seed_key)
        runner = Runner(self._failpoints, session, records.new_read)
        signals = Signals(observer.idle, self._look_for_work, self.metrics, session.outage, records)
        queues = InstanceQueues(session.conductor, runner, tools, signals, self._operations)
        refusals = Refusals(session, self.driver, records)
        feed = Feed(session, queues, refusals, clock, defaults.action_poll_interval)
        reports = Reports(session, self.inventory, self.virtapi, observer, clock)
        self._session, self._queues, self._feed, self._reports = session, queues, feed, reports
        self._precache = Precache(cache)
        tasks.spawn("precache", self._precache.run())
        cleanup = ImageCleanup(self.driver, cache, self._settings.image_cache, self.metrics, self._kept_free)
        cleanup.start(tasks, self.virtapi)
        GivenUp(session, queues, tools).start(tasks)
        await session.register()
        tasks.spawn("until lost", self._until_lost(session, feed, queues))
        reaper = Reaper(session, queues, runner, tools, self.metrics)
        endpoint = self._endpoint()
        seen = sightings.Sightings(Path(defaults.state_path) / sightings.FILE, self._workers, clock)
        Verifier(tools, queues, (reaper, observer), seen, CachedBases(cache)).serve(endpoint, tasks)
        await bus.subscribe(methods.WAKE.subject_of(self._identity.host), endpoint.handle)
        observer.start(queues, tasks)
        reports.start(defaults, tasks)
        feed.start(tasks)
        notifier.start(tasks)
        reaper.start(tasks, self.virtapi)

    def _kept_free(self, total_bytes: int) -> int:
        return kept_from_images(self._settings.default, total_bytes)

    async def inventory(self) -> Inventory:
        """The host's resources, and the part of them that guests may claim."""
        return inventory_of(await self.driver.resources(), self._settings.default)

    def ready(self) -> tuple[bool, str]:
        """Whether this host can receive work, and if not, the reason in one sentence."""
        if self._session is None or self._reports is None or self._session.epoch is None:
            return False, (self._session and self._session.waits_for) or "waiting for the conductor"
        if not self.virtapi.enabled:
            return False, self.virtapi.reason
        if not self._reports.reported:
            return False, self._reports.trouble or "telling the conductor what this host has"
        return True, ""

    async def drain(self, limit_s: float) -> int:
        """Accept no more work; give the work in progress `limit_s` seconds to end, and report the end to the conductor.
        Returns the number of actions that are left for the next process. Guests continue to run."""
        if self._feed is None or self._queues is None or self._session is None:
            return 0
        self._feed.close()
        await self._queues.drain(limit_s)
        await self._session.leave()
        return len(self._queues.running())

    async def _until_lost(self, session: Session, feed: Feed, queues: InstanceQueues) -> None:
        """When the host has a newer process, this process ends. No further step starts; a step in progress has LOST_S
        seconds to end. Raises HostSuperseded."""
        await session.until_lost()
        feed.close()
        queues.revoke_all()
        lost = await session.contest()
        log.error("this process has lost its host", host=self._identity.host, error=lost.message)
        await queues.drain(LOST_S)
        raise lost

    async def stop(self) -> None:
        """Disconnect from the hypervisor."""
        await self.driver.cleanup_host()

    def reload(self, fresh: Settings) -> None:
        """Use the options that may change while running (see config.default.reloaded); what the host offers is
        reported at once."""
        settings = replace(self._settings, default=reloaded(self._settings.default, fresh.default))
        self._settings = settings
        self.driver.reconfigure(settings)
        if self._reports is not None:
            self._reports.tell_inventory()

    def checks(self) -> tuple[Check, ...]:
        """What /healthz checks on this host."""
        return (Check("conductor", self._check_conductor), Check("hypervisor", self._check_hypervisor))

    async def _check_conductor(self) -> None:
        if self._session is None or self._session.epoch is None:
            raise RpcUnavailable("This host is not registered with a conductor yet.")
        await self._session.conductor.call(PING, Ping(self._identity.host))

    async def _check_hypervisor(self) -> None:
        if not self.virtapi.enabled:
            raise HypervisorUnavailable(self.virtapi.reason)
        if self.driver.reachability is not None:
            await self.driver.reachability.ping()

    def _look_for_work(self) -> None:
        if self._feed is not None:
            self._feed.wake()

    def _endpoint(self) -> Endpoint:
        endpoint = Endpoint(Guard(self._clock, self.metrics))
        endpoint.on(methods.WAKE, self._wake)
        endpoint.on(methods.PING, self._ping)
        endpoint.on(methods.CONSOLE_OUTPUT, self._console_output)
        endpoint.on(methods.HOST_UPTIME, self._host_uptime)
        endpoint.on(methods.EXAMINE, self._examine_host)
        endpoint.on(methods.CACHE_IMAGES, self._cache_images)
        endpoint.on(methods.DIAGNOSE, self._diagnose)
        endpoint.on(methods.GRANT_CONSOLE, self.console_desk.grant)
        endpoint.on(methods.REDEEM_CONSOLE, self.console_desk.redeem)
        endpoint.on(methods.FIND_CONSOLES, self.console_desk.find)
        return endpoint

    async def _wake(self, _request: methods.Wake, _peer: str) -> Ack:
        self._look_for_work()
        return Ack()

    async def _ping(self, _request: methods.Ping, _peer: str) -> methods.Alive:
        assert self._session is not None
        return methods.Alive(self._session.epoch or 0)

    async def _console_output(self, request: methods.ConsoleOutput, _peer: str) -> methods.Text:
        if await self.driver.guest_state(request.instance_id) is None:
            raise NotFound(f"Guest {request.instance_id} does not exist on this host.")
        output = await self.driver.console_output(request.instance_id, request.max_bytes)
        return methods.Text(output.decode("utf-8", errors="replace"))

    async def _host_uptime(self, _request: methods.HostUptime, _peer: str) -> methods.Uptime:
        return methods.Uptime(await uptime())

    async def _examine_host(self, _request: methods.ExamineHost, _peer: str) -> methods.HostFindings:
        return methods.HostFindings(await self._examine())

    async def _diagnose(self, request: methods.Diagnose, _peer: str) -> GuestDiagnostics:
        return await DIAGNOSTICS.of(self.driver).read(request.instance_id)

    async def _cache_images(self, request: methods.CacheImages, _peer: str) -> Ack:
        if self._precache is not None:
            self._precache.want(request.images, request.grants)
        return Ack()
