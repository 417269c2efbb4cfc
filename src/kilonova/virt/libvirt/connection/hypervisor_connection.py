# SPDX-License-Identifier: Apache-2.0
"""All connection pools to one libvirt daemon, with one common state: in service or not."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from kilonova.base.errors import KilonovaError
from kilonova.base.tasks import Supervisor
from kilonova.config.libvirt import LibvirtSettings
from kilonova.virt.calls.pool import CallPools
from kilonova.virt.calls.proxy import Proxy
from kilonova.virt.driver import DriverSettings, VirtAPI
from kilonova.virt.libvirt.connection import opening
from kilonova.virt.libvirt.connection.opening import OpenOptions, Registrar
from kilonova.virt.libvirt.connection.pool import ConnectionPool, PoolContext, PoolState

log = structlog.get_logger(__name__)

HOST_WIDTH = 2
"""A bulk read does not wait for an inventory: the first inventory after the daemon's start takes seconds."""

LIVENESS_WIDTH, JOBS_WIDTH = 4, 4
"""Calls that need an answer of a guest's own process, or last in proportion to its memory; lost calls included."""

REQUESTS_WIDTH = ENDS_WIDTH = 12
"""So many guests may leave a request without an answer, or be in the middle of their end, before others wait for them.
libvirtd executes at most 20 ordinary calls at a time (its max_workers): the rest is for calls that return."""

CLOSING_THREADS = 8


class HypervisorConnection:
    """Seven pools of sockets.

    *control* carries calls on single guests; *host* carries events and host-wide reads, so that a guest that does not
    answer never delays what concerns the whole host.  The host is in service when these two are up.  *liveness* probes
    guests.  The others are opened when they are first used: *requests* carries what a guest's QEMU must answer, *ends*
    the power-offs, *jobs* calls that may last long, and *foreign* is for proxies of the whole binding.
    """

    def __init__(
        self, virtapi: VirtAPI, settings: DriverSettings, *, read_only: bool, registrar: Callable[[], Registrar] | None
    ) -> None:
        self._virtapi, self._my_ip = virtapi, settings.default.my_ip
        self.uri = settings.libvirt.connection_uri or opening.default_uri(settings.libvirt.virt_type)
        self.threads = CallPools("libvirt")
        self._context = PoolContext(
            host=settings.default.host,
            opening=_open_options(self.uri, settings.libvirt, read_only=read_only),
            connect_timeout_s=settings.libvirt.connect_timeout,
            call_timeout_s=settings.libvirt.call_timeout,
            clock=virtapi.clock,
            pools=self.threads,
            closers=self.threads.pool("close", CLOSING_THREADS),
            on_change=self._changed,
        )
        # The test driver runs inside this process, with separate state per connection: all pools must be one.
        in_process = self.uri.startswith("test:///")
        self.host = ConnectionPool("host", 1 if in_process else HOST_WIDTH, self._context, registrar)
        self.control, self.liveness, self._jobs, self._foreign = (self.host,) * 4
        self._requests, self._ends = (self.host,) * 2
        if not in_process:
            # One request of the daemon's limit per client stays free for keepalive.
            self.control = ConnectionPool("control", settings.libvirt.max_client_requests - 1, self._context)
            self.liveness = ConnectionPool("liveness", LIVENESS_WIDTH, self._context)
            self._requests = ConnectionPool("requests", REQUESTS_WIDTH, self._context)
            self._ends = ConnectionPool("ends", ENDS_WIDTH, self._context)
            self._jobs = ConnectionPool("jobs", JOBS_WIDTH, self._context)
            self._foreign = ConnectionPool("foreign", 1, self._context)
        self._essential = [self.host] if in_process else [self.control, self.host]
        self._on_connected: Callable[[], Awaitable[None]] | None = None
        self._tasks: Supervisor | None = None
        self._in_service: bool | None = None
        self._warned_of_events = False

    @property
    def abandoned(self) -> int:
        """Abandoned calls on guests and the host that have not returned."""
        pools = {self.host, self.control, self.liveness, self._requests, self._ends, self._jobs}
        return sum(pool.calls.abandoned for pool in pools)

    def start(self, tasks: Supervisor, on_connected: Callable[[], Awaitable[None]]) -> None:
        """Open the pools and keep them open.  `on_connected` runs each time that *control* and *host* are both up
        again."""
        self._tasks, self._on_connected = tasks, on_connected
        self._virtapi.set_host_enabled(False, "The connection to libvirt is being opened.")
        for pool in {*self._essential, self.liveness}:
            pool.start(tasks)

    async def close(self) -> None:
        """Close all pools, within a few seconds."""
        self._in_service = None
        async with asyncio.TaskGroup() as group:
            for pool in {*self._essential, self.liveness, self._requests, self._ends, self._jobs, self._foreign}:
                group.create_task(pool.close())
        self.threads.close()

    @property
    def requests(self) -> ConnectionPool:
        """For calls that a guest's QEMU must answer: guests that do not answer delay one another, and no read."""
        return self._unless_down(self._requests)

    @property
    def ends(self) -> ConnectionPool:
        """For power-offs: libvirt gives a QEMU that does not answer ten seconds before it kills it."""
        return self._unless_down(self._ends)

    def _unless_down(self, pool: ConnectionPool) -> ConnectionPool:
        """The pool, or *control* while only the pool is down: it may come back later than *control* after an outage."""
        return self.control if self._started(pool).state is PoolState.DOWN else pool

    @property
    def jobs(self) -> ConnectionPool:
        """For calls that may last long: they delay one another, and nothing else."""
        return self._started(self._jobs)

    async def proxy(self) -> Proxy:
        """A live connection with the whole of libvirt's binding as awaitables."""
        return await self._started(self._foreign).proxy()

    def _started(self, pool: ConnectionPool) -> ConnectionPool:
        if not pool.started and self._tasks is not None:
            pool.start(self._tasks)
        return pool

    def _changed(self) -> None:
        if all(pool.up for pool in self._essential):
            if self._in_service is not True:
                self._came_up()
            return
        reason = next((pool.reason for pool in self._essential if pool.reason), None)
        if reason is None or self._in_service is False:
            return  # the first attempt of the other pool is in progress, or the outage is known
        self._in_service = False
        log.warning("libvirt is not available", uri=self.uri, reason=reason)
        self._virtapi.set_host_enabled(False, f"libvirt is not available: {reason}")
        self._virtapi.notify_error("compute.libvirt.error", {"ip": self._my_ip, "method": "_connect", "reason": reason})

    def _came_up(self) -> None:
        self._in_service = True
        log.info("libvirt is connected", uri=self.uri)
        if self.host.without_events is not None and not self._warned_of_events:
            self._warned_of_events = True
            log.warning("this URI has no lifecycle events: guests are polled", why=self.host.without_events)
        self._virtapi.set_host_enabled(True)
        if self._tasks is not None and self._on_connected is not None:
            self._tasks.spawn("libvirt-connected", self._after_connect(self._on_connected))

    async def _after_connect(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except KilonovaError as exc:
            log.warning("the reads after a connect failed; periodic reads follow", error=exc.message)
        except Exception:  # an unexpected error of one guest must not end the host's service
            log.exception("the reads after a connect failed unexpectedly")


def _open_options(uri: str, settings: LibvirtSettings, *, read_only: bool) -> OpenOptions:
    return OpenOptions(
        uri=uri,
        read_only=read_only,
        auth_file=settings.auth_file,
        keepalive_interval_s=settings.keepalive_interval,
        keepalive_count=settings.keepalive_count,
    )
