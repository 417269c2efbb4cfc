# SPDX-License-Identifier: Apache-2.0
"""Parts that several processes are built from."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kilonova.base.clock import Clock
from kilonova.base.errors import ConfigError, StateError
from kilonova.base.failpoints import Failpoints
from kilonova.base.files import replace_file
from kilonova.base.health import Check
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.base.tasks import count as count_tasks
from kilonova.base.threads import DaemonWorkers
from kilonova.base.threads import count as count_threads
from kilonova.config.default import kept_from_images
from kilonova.config.load import Settings
from kilonova.rpc.bus import SelfPing

if TYPE_CHECKING:
    from kilonova.api.http.deps import ApiDeps
    from kilonova.api.http.route import Service
    from kilonova.compute.console_listener import ConsoleListener
    from kilonova.compute.manager import ComputeManager, Images
    from kilonova.conductor.service import Conductor
    from kilonova.conductor.tools import Policy, Tools
    from kilonova.db.engine import Database
    from kilonova.identity.passwords import Passwords
    from kilonova.images.store import ImageStore
    from kilonova.rpc.bus import Bus
    from kilonova.rpc.nats import NatsBus


SECRET_BYTES = 48
EVENTS_S = 0.1
"""How often an API process looks for new events, while pages are open."""
WOKEN_EVENTS_S = 5.0
"""The same where each new event wakes it."""
OLD_COPIES_S = 3600.0
"""How often old copies of the database are looked for."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """The health checks and metrics of a process for its status port.  `refresh` is awaited before metrics are read."""

    checks: Sequence[Check]
    metrics: Metrics
    refresh: Callable[[], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        self.metrics.gauge("kilonova_tasks", "Tasks of the event loop.", count_tasks)
        self.metrics.gauge("kilonova_threads", "Threads that run Python code.", count_threads)

    async def text(self) -> bytes:
        """The current metrics, in the format of Prometheus."""
        if self.refresh is not None:
            await self.refresh()
        return self.metrics.text()


def host_vitals(
    manager: "ComputeManager", bus: "Bus", tasks: Supervisor, settings: Settings, process_id: str
) -> Vitals:
    from kilonova.compute.figures import GuestMetrics

    ping = SelfPing(bus, f"host-{settings.default.host}", process_id)
    tasks.spawn("self-ping", ping.listen())
    guests = GuestMetrics(manager.driver, manager.virtapi, manager.metrics)
    return Vitals((Check("bus", ping.ping), *manager.checks()), manager.metrics, guests.refresh)


def compute_manager(
    settings: Settings, clock: Clock, failpoints: Failpoints, images: "Images", files: DaemonWorkers
) -> "ComputeManager":
    from kilonova.compute.host_identity import read_identity
    from kilonova.compute.manager import ComputeManager, Parts
    from kilonova.virt.driver import load_compute_driver
    from kilonova.wiring.examiner import Examiner

    return ComputeManager(
        read_identity(settings.default.state_path, settings.default.host, clock),
        settings,
        Parts(clock, images, files, failpoints, Examiner(settings, clock).examine),
        lambda virtapi: load_compute_driver(virtapi, settings.default.compute_driver, settings),
    )


def console_listener(settings: Settings, manager: "ComputeManager", clock: Clock) -> "ConsoleListener":
    """The console listener of a host, not started yet."""
    from kilonova.compute.console_listener import ConsoleListener
    from kilonova.rpc.transport_url import access_of, own_address

    address = partial(own_address, access_of(settings.default))
    return ConsoleListener(settings.console, manager.console_desk, clock, address)


def image_files(settings: Settings, files: DaemonWorkers, writer: str = "") -> "ImageStore":
    """The directory of images of this machine."""
    from kilonova.images.store import ImageStore

    root = Path(settings.image.store_path or settings.default.state_path / "images")
    return ImageStore(root, files, partial(kept_from_images, settings.default), writer)


async def web_page(
    settings: Settings, deps: "ApiDeps", tasks: Supervisor, wakes: "Bus | None" = None
) -> "Service | None":
    """The routes of the web page; None if it is not served.  `wakes`: the bus of the one box, on which a conductor
    reports new events at once; elsewhere the page's events are read every EVENTS_S."""
    if not settings.ui.enabled:
        return None
    from kilonova.api.ui.doctor import Doctor
    from kilonova.api.ui.feed import EventFeed
    from kilonova.api.ui.figures import PERIOD_S
    from kilonova.api.ui.routes import service
    from kilonova.api.ui.sampler import Sampler
    from kilonova.rpcapi.notifications import NUMBERED
    from kilonova.ui.assets import Assets
    from kilonova.wiring.examiner import Examiner

    feed = EventFeed(deps.db, settings.ui, EVENTS_S if wakes is None else WOKEN_EVENTS_S)

    async def look(_subject: str, _payload: bytes) -> bytes:
        feed.look()
        return b""

    if wakes is not None:
        await wakes.subscribe(NUMBERED, look)
    tasks.spawn("events", feed.keep())
    deps.metrics.gauge("kilonova_event_streams", "Event streams of open pages.", lambda: feed.count)
    sampler = Sampler(deps.db, deps.rpc, deps.clock)
    # A round takes as long as its calls: a host that does not answer delays the next round.
    tasks.periodic("figures", PERIOD_S, sampler.round, limit_s=10 * PERIOD_S)
    doctor = Doctor(Examiner(settings, deps.clock).examine, settings.default.host)
    return service(Assets(DaemonWorkers("page", 1)), feed, sampler, doctor)


def make_tools(settings: Settings, db: "Database", clock: Clock, failpoints: Failpoints) -> "Tools":
    from kilonova.conductor.tools import Tools

    return Tools(db, clock, settings.quota, failpoints)


def make_conductor(
    settings: Settings, tools: "Tools", bus: "Bus", metrics: Metrics, *, alone: bool = False
) -> "Conductor":
    from kilonova.conductor.service import Conductor
    from kilonova.rpcapi.caller import Caller

    return Conductor(tools, Caller(bus, tools.clock), conductor_policy(settings, alone=alone), metrics)


def conductor_policy(settings: Settings, *, alone: bool = False) -> "Policy":
    """The settings of a conductor."""
    from kilonova.conductor.tools import Policy
    from kilonova.objects.ids import HostName

    return Policy(
        settings.conductor,
        HostName(settings.default.host),
        down_time_s=settings.default.service_down_time,
        resize_confirm_window_s=settings.default.resize_confirm_window,
        offload_after_s=settings.default.shelved_offload_time,
        retention=settings.database.retention,
        alone=alone,
        report_interval_s=settings.default.report_interval,
        scheduling=settings.filter_scheduler,
    )


def fleet_bus(settings: Settings, identity: str, clock: Clock) -> "NatsBus":
    """The bus of a fleet, not entered yet.  Raises ConfigError, also for credentials of another identity."""
    from kilonova.rpc.nats import NatsBus
    from kilonova.rpc.transport_url import access_of, guarded

    access = access_of(settings.default)
    found = guarded(access).credentials
    if found is not None and found.identity != identity:
        raise ConfigError(
            f"transport_credentials {access.credentials_file} are of {found.identity}, and this process is {identity}: "
            "use the file of this process, or set host to the name in it."
        )
    return NatsBus(access, identity, clock)


def open_database(settings: Settings, clock: Clock) -> "Database":
    """The database of a conductor or an API, at the schema of this code.  Raises StateError, ConfigError."""
    from kilonova.db import opening

    return opening.open_database(settings.default.state_path, settings.database, clock)


@asynccontextmanager
async def running_database(settings: Settings, clock: Clock) -> AsyncGenerator["Database"]:
    """The same, from the moment at which it can be used until the end."""
    db = open_database(settings, clock)
    try:
        await db.start()
        yield db
    finally:
        await db.close()


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
            replace_file(path, clock.new_secret(SECRET_BYTES).encode())
        return path.read_bytes()
    except OSError as exc:
        raise StateError(f"The token key {path} cannot be used: {exc.strerror}.") from exc


def keep_database_files(
    db: "Database", settings: Settings, files: DaemonWorkers, clock: Clock, tasks: Supervisor
) -> None:
    """Keep the reserve of a database in the state directory, and remove old copies of it."""
    from kilonova.db.copies import remove_old
    from kilonova.db.location import database_path
    from kilonova.db.reserve import Reserve
    from kilonova.db.sqlite import SqliteDatabase

    if not isinstance(db, SqliteDatabase):
        return
    state, age = settings.default.state_path, settings.database.retention.age
    tasks.spawn("reserve", Reserve(db, state, files, clock).keep())
    if age is not None:
        remove = partial(files.run, remove_old, database_path(state), age)
        tasks.periodic("old copies", OLD_COPIES_S, lambda: remove(clock.now()))
