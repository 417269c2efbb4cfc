# SPDX-License-Identifier: Apache-2.0
"""The composition root: it builds each process from its parts.

One builder per process, importing only what that process needs: a compute process never imports the database.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kilonova.base.clock import Clock
from kilonova.base.errors import StateError
from kilonova.base.failpoints import Failpoints
from kilonova.base.health import Check
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import DaemonWorkers
from kilonova.config.default import kept_from_images
from kilonova.config.load import Settings
from kilonova.rpc.bus import SelfPing

if TYPE_CHECKING:
    from ssl import SSLContext

    from kilonova.api.http.policy import Policy
    from kilonova.api.http.server import Server
    from kilonova.compute.manager import ComputeManager
    from kilonova.conductor.service import Conductor
    from kilonova.conductor.tools import Tools
    from kilonova.db.engine import Database
    from kilonova.identity.passwords import Passwords
    from kilonova.images.store import ImageStore
    from kilonova.rpc.bus import Bus
    from kilonova.rpc.nats import NatsBus

SECRET_BYTES = 48


@dataclass(frozen=True, slots=True)
class Vitals:
    """The health checks and metrics of a process for its status port.  `refresh` is awaited before metrics are read."""

    checks: Sequence[Check]
    metrics: Metrics
    refresh: Callable[[], Awaitable[None]] | None = None

    async def text(self) -> bytes:
        """The current metrics, in the format of Prometheus."""
        if self.refresh is not None:
            await self.refresh()
        return self.metrics.text()


@dataclass(frozen=True, slots=True)
class ComputeProcess:
    """A running host process."""

    manager: "ComputeManager"
    vitals: Vitals


@dataclass(frozen=True, slots=True)
class ConductorProcess:
    """A running conductor process.  `ready` returns whether it can be reached, and the reason if it cannot."""

    ready: Callable[[], tuple[bool, str]]
    vitals: Vitals


@dataclass(frozen=True, slots=True)
class OneBox:
    """API, conductor and compute of one process.  `first_password` is set only at the first start."""

    settings: Settings
    app: Any
    manager: "ComputeManager"
    policy: "Policy"
    first_password: str | None
    vitals: Vitals
    images: "ImageStore"

    def reload(self, fresh: Settings) -> None:
        """Apply the settings that may change while the process runs.  Raises ConfigError for an unusable policy file,
        and has changed nothing then."""
        self.policy.reload(fresh.oslo_policy)
        self.manager.reload(fresh)
        self.images.keep_free(partial(kept_from_images, fresh.default))

    def server(self, tls: "SSLContext | None" = None) -> "Server":
        """An HTTP server of the API that leaves signal handling to its owner."""
        from kilonova.api.http.server import make_server

        return make_server(self.app, self.settings.api, tls)


@asynccontextmanager
async def one_box(settings: Settings, clock: Clock, failpoints: Failpoints) -> AsyncGenerator[OneBox]:
    """Start all parts; they stop in reverse order at the end.  Raises StateError, ConfigError, DriverLoadError."""
    from kilonova.api.app import ApiDeps, create_app, recover
    from kilonova.api.http.disk_space import DiskSpace
    from kilonova.api.http.login_limits import LoginLimits
    from kilonova.api.http.policy import Policy
    from kilonova.api.http.token_revalidation import TokenRevalidationCache
    from kilonova.api.rules import RULES
    from kilonova.compute.console import LocalConsoles
    from kilonova.identity.console_tokens import ConsoleTokens
    from kilonova.identity.passwords import Passwords
    from kilonova.identity.tokens import TokenMinter
    from kilonova.images.store import ImageStore
    from kilonova.objects.ids import HostName
    from kilonova.rpc.memory import MemoryBus, MemoryHub
    from kilonova.rpcapi.caller import Caller

    _check_failpoints(failpoints, host=True, conductor=True)
    policy = Policy(RULES, settings.oslo_policy)
    state = settings.default.state_path
    files = DaemonWorkers("files", 4)
    passwords = Passwords(DaemonWorkers("argon2", 1), clock.new_secret(SECRET_BYTES).encode())
    store = ImageStore(state / "images", files, partial(kept_from_images, settings.default))
    async with AsyncExitStack() as stack:
        db = open_database(settings, clock)
        stack.push_async_callback(db.close)
        await db.start()
        bus = await stack.enter_async_context(MemoryBus(MemoryHub(), clock))
        manager = _compute_manager(settings, clock, failpoints, store, files)
        stack.push_async_callback(manager.stop)
        tasks = await stack.enter_async_context(Supervisor(clock, manager.metrics.round_ended))
        _keep_reserve(db, settings, files, clock, tasks)
        await _conductor(settings, _tools(settings, db, clock, failpoints), bus, manager.metrics, alone=True).start(
            bus, tasks
        )
        deps = ApiDeps(
            db=db,
            rpc=Caller(bus, clock),
            tokens=TokenMinter(token_secret(state, clock), clock, settings.api.token_lifetime),
            token_revalidation=TokenRevalidationCache(db, clock),
            policy=policy,
            passwords=passwords,
            login_limits=LoginLimits(clock, manager.metrics, settings.api.trusted, tasks),
            images=store,
            clock=clock,
            settings=settings.api,
            quotas=settings.quota,
            console=settings.console,
            consoles=LocalConsoles(HostName(settings.default.host), manager.driver),
            console_tokens=ConsoleTokens(clock, settings.consoleauth.token_ttl),
            disk_space=DiskSpace(state, files, db, tasks),
            ready=manager.ready,
        )
        await recover(deps)  # before the host may write into the image store
        await manager.start(bus, tasks)
        vitals = _host_vitals(manager, bus, tasks, settings)
        app = create_app(deps)
        # At the very end: a start that fails must not lose the only copy of a password.
        first_password = await bootstrap_cloud(db, passwords, clock)
        yield OneBox(settings, app, manager, policy, first_password, vitals, store)


@asynccontextmanager
async def compute_process(settings: Settings, clock: Clock, failpoints: Failpoints) -> AsyncGenerator[ComputeProcess]:
    """Start a host process.  It waits for its bus and its conductor in the background; `ready` reports when it has
    them.  With `[conductor] use_local` the conductor runs in this process, with the database; otherwise not even a
    module of the database is imported.  Raises StateError, ConfigError, DriverLoadError."""
    from kilonova.images.store import ImageStore
    from kilonova.rpc.memory import MemoryBus, MemoryHub

    local = settings.conductor.use_local
    _check_failpoints(failpoints, host=True, conductor=local)
    files = DaemonWorkers("files", 4)
    store = ImageStore(settings.default.state_path / "images", files, partial(kept_from_images, settings.default))
    manager = _compute_manager(settings, clock, failpoints, store, files)
    async with AsyncExitStack() as stack:
        db = open_database(settings, clock) if local else None
        if db is not None:
            stack.push_async_callback(db.close)
            await db.start()
        end = MemoryBus(MemoryHub(), clock) if local else _fleet_bus(settings, settings.default.host, clock)
        bus = await stack.enter_async_context(end)
        stack.push_async_callback(manager.stop)
        tasks = await stack.enter_async_context(Supervisor(clock, manager.metrics.round_ended))
        if db is not None:
            _keep_reserve(db, settings, files, clock, tasks)
            await _conductor(settings, _tools(settings, db, clock, failpoints), bus, manager.metrics, alone=True).start(
                bus, tasks
            )
        tasks.spawn("start", manager.start(bus, tasks))
        yield ComputeProcess(manager, _host_vitals(manager, bus, tasks, settings))


@asynccontextmanager
async def conductor_process(
    settings: Settings, clock: Clock, failpoints: Failpoints
) -> AsyncGenerator[ConductorProcess]:
    """Start a conductor of a fleet: the database and the bus.  Raises StateError, ConfigError."""
    _check_failpoints(failpoints, host=False, conductor=True)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        end = _fleet_bus(settings, f"conductor-{settings.default.host}", clock)
        db = open_database(settings, clock)
        stack.push_async_callback(db.close)
        await db.start()
        bus = await stack.enter_async_context(end)
        tasks = await stack.enter_async_context(Supervisor(clock, metrics.round_ended))
        _keep_reserve(db, settings, DaemonWorkers("files", 1), clock, tasks)
        conductor = _conductor(settings, _tools(settings, db, clock, failpoints), bus, metrics)
        await conductor.start(bus, tasks)
        ping = SelfPing(bus, f"conductor-{settings.default.host}")
        tasks.spawn("self-ping", ping.listen())
        checks = (Check("bus", ping.ping), Check("database", conductor.check_database))
        yield ConductorProcess(
            lambda: (bus.connected, "" if bus.connected else "waiting for the bus"), Vitals(checks, metrics)
        )


def _check_failpoints(failpoints: Failpoints, *, host: bool, conductor: bool) -> None:
    """Check the armed failpoints.  Raises ConfigError for a name that this kind of process never reaches."""
    known: set[str] = set()
    if host:
        from kilonova.compute import failpoints as of_host

        known |= of_host.NAMES
    if conductor:
        from kilonova.conductor import failpoints as of_conductor

        known |= of_conductor.NAMES
    failpoints.check(known)


def _host_vitals(manager: "ComputeManager", bus: "Bus", tasks: Supervisor, settings: Settings) -> Vitals:
    from kilonova.compute.figures import GuestMetrics

    ping = SelfPing(bus, f"host-{settings.default.host}")
    tasks.spawn("self-ping", ping.listen())
    guests = GuestMetrics(manager.driver, manager.virtapi, manager.metrics)
    return Vitals((Check("bus", ping.ping), *manager.checks()), manager.metrics, guests.refresh)


def _compute_manager(
    settings: Settings, clock: Clock, failpoints: Failpoints, images: "ImageStore", files: DaemonWorkers
) -> "ComputeManager":
    from kilonova.compute.host_identity import read_identity
    from kilonova.compute.manager import ComputeManager, Parts
    from kilonova.virt.driver import load_compute_driver

    return ComputeManager(
        read_identity(settings.default.state_path, settings.default.host, clock),
        settings,
        Parts(clock, images, files, failpoints),
        lambda virtapi: load_compute_driver(virtapi, settings.default.compute_driver, settings),
    )


def _tools(settings: Settings, db: "Database", clock: Clock, failpoints: Failpoints) -> "Tools":
    from kilonova.conductor.tools import Tools

    return Tools(db, clock, settings.quota, failpoints)


def _conductor(settings: Settings, tools: "Tools", bus: "Bus", metrics: Metrics, *, alone: bool = False) -> "Conductor":
    from kilonova.conductor.service import Conductor
    from kilonova.conductor.tools import Policy
    from kilonova.objects.ids import HostName
    from kilonova.rpcapi.caller import Caller

    policy = Policy(
        settings.conductor,
        HostName(settings.default.host),
        down_time_s=settings.default.service_down_time,
        resize_confirm_window_s=settings.default.resize_confirm_window,
        offload_after_s=settings.default.shelved_offload_time,
        keep_deleted=settings.database.keep_deleted,
        alone=alone,
    )
    return Conductor(tools, Caller(bus, tools.clock), policy, metrics)


def _fleet_bus(settings: Settings, name: str, clock: Clock) -> "NatsBus":
    """The bus of a fleet, not entered yet.  Raises ConfigError."""
    from kilonova.rpc.nats import NatsBus
    from kilonova.rpc.transport_url import guarded_url

    guarded_url(settings.default.transport_url)
    return NatsBus(settings.default.transport_url, name, clock)


def open_database(settings: Settings, clock: Clock) -> "Database":
    """The database of a conductor or an API, at the schema of this code.  Raises StateError, ConfigError."""
    from kilonova.db import opening

    return opening.open_database(settings.default.state_path, settings.database, clock)


def _keep_reserve(db: "Database", settings: Settings, files: DaemonWorkers, clock: Clock, tasks: Supervisor) -> None:
    from kilonova.db.reserve import Reserve
    from kilonova.db.sqlite import SqliteDatabase

    if isinstance(db, SqliteDatabase):
        tasks.spawn("reserve", Reserve(db, settings.default.state_path, files, clock).keep())


async def bootstrap_cloud(db: "Database", passwords: "Passwords", clock: Clock) -> str | None:
    """Create the administrator in a new database.  Returns the password, which is not stored; None on an older
    database."""
    from kilonova.conductor import bootstrap

    if not await db.read(bootstrap.is_new):
        return None
    password = clock.new_secret(15)
    admin = bootstrap.FirstAdmin(
        user_id=clock.new_id().replace("-", ""),
        project_id=clock.new_id().replace("-", ""),
        password_hash=await passwords.hash(password),
    )
    return password if await db.write(bootstrap.record_first_admin, admin) else None


def token_secret(state: Path, clock: Clock) -> bytes:
    """The secret that signs tokens; created at the first start, readable only by the service.  Raises StateError."""
    path = state / "token.key"
    try:
        if not path.exists():
            part = path.with_suffix(".new")
            part.touch(mode=0o600)
            part.write_text(clock.new_secret(SECRET_BYTES))
            part.rename(path)
        return path.read_bytes()
    except OSError as exc:
        raise StateError(f"The token key {path} cannot be used: {exc.strerror}.") from exc
