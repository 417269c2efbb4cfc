# SPDX-License-Identifier: Apache-2.0
"""The API process of a fleet: it reads the database, and changes it through the conductors."""

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from kilonova import CODE_VERSION
from kilonova.base.clock import Clock
from kilonova.base.errors import KilonovaError
from kilonova.base.failpoints import Failpoints
from kilonova.base.fleet_clock import FleetClock
from kilonova.base.health import Check
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import DaemonWorkers
from kilonova.config.default import kept_from_images
from kilonova.config.load import Settings
from kilonova.identity.key_ring import REFRESH_S, KeyRing
from kilonova.objects.signing_key import TOKENS
from kilonova.rpc.bus import SelfPing
from kilonova.wiring.failpoints import breakable_bus, check_failpoints
from kilonova.wiring.shared import SECRET_BYTES, Vitals, fleet_bus, image_files, web_page

if TYPE_CHECKING:
    from ssl import SSLContext

    from kilonova.api.http.policy import Policy
    from kilonova.api.http.server import Server
    from kilonova.api.http.start_gate import Start, StartGate
    from kilonova.api.image.upkeep import Upkeep
    from kilonova.db.engine import Database
    from kilonova.images.store import ImageStore
    from kilonova.rpc.bus import Bus
    from kilonova.rpc.nats import NatsBus
    from kilonova.rpcapi.caller import Caller

REPORT_S = 10.0
"""The limit of a report: longer than its call takes without a conductor."""
JUST_STARTED = "The service has just started, and has not read its database yet."
FIRST_LOOK_S = 0.1
LOOK_S = 1.0
"""Between two attempts to read the database at the start; the first ones follow each other faster."""


@dataclass(frozen=True, slots=True)
class ApiProcess:
    """A running API process.  `app` answers 503 with a reason until `ready` is true for the first time."""

    settings: Settings
    app: "StartGate"
    ready: Callable[[], tuple[bool, str]]
    policy: "Policy"
    images: "ImageStore"
    vitals: Vitals

    def reload(self, fresh: Settings) -> None:
        """Apply the settings that may change while the process runs.  Raises ConfigError for an unusable policy file,
        and has changed nothing then."""
        self.policy.reload(fresh.oslo_policy)
        self.images.keep_free(partial(kept_from_images, fresh.default))

    def server(self, tls: "SSLContext | None" = None) -> "Server":
        """An HTTP server of the API that leaves signal handling to its owner."""
        from kilonova.api.http.server import make_server

        return make_server(self.app, self.settings.api, tls)


@asynccontextmanager
async def api_process(settings: Settings, clock: Clock, failpoints: Failpoints) -> AsyncGenerator[ApiProcess]:
    """Start an API process.  It waits for the database and the bus in the background.  Raises StateError,
    ConfigError."""
    from kilonova.api.app import ApiDeps, create_app
    from kilonova.api.consoles.hosts import HostConsoles
    from kilonova.api.http.disk_space import ConductorSpace
    from kilonova.api.http.login_limits import LoginLimits
    from kilonova.api.http.policy import Policy
    from kilonova.api.http.start_gate import Start
    from kilonova.api.http.token_revalidation import TokenRevalidationCache
    from kilonova.api.image.fleet_store import StoreParts
    from kilonova.api.image.upkeep import open_store
    from kilonova.api.rules import RULES
    from kilonova.db.database_time import follow
    from kilonova.db.existing import open_existing
    from kilonova.identity.passwords import Passwords
    from kilonova.identity.tokens import TokenMinter
    from kilonova.images.client import StoreClient

    name, machine, clock = f"api-{settings.default.host}", clock, FleetClock(clock)
    end = fleet_bus(settings, name, clock)
    keys, metrics, start = KeyRing(clock, settings.api.token_lifetime), Metrics(), Start(JUST_STARTED)
    async with AsyncExitStack() as stack:
        db = open_existing(settings.default.state_path, settings.database, clock)
        stack.push_async_callback(db.close)
        bus = await stack.enter_async_context(end)
        tasks = await stack.enter_async_context(Supervisor(clock, metrics.round_ended))
        rpc, ready = _caller(bus, failpoints, clock), partial(_ready, start, bus)
        process_id, client = clock.new_id(), StoreClient(settings.image.ca_file)
        stack.push_async_callback(client.close)
        files = image_files(settings, DaemonWorkers("files", 4), process_id)
        parts = StoreParts(files, db, rpc, client, clock, metrics)
        store, upkeep = await open_store(settings, parts, process_id)
        deps = ApiDeps(
            db=db,
            rpc=rpc,
            tokens=TokenMinter(keys, clock, settings.api.token_lifetime),
            token_revalidation=TokenRevalidationCache(db, clock),
            policy=Policy(RULES, settings.oslo_policy),
            passwords=Passwords(DaemonWorkers("argon2", 1), clock.new_secret(SECRET_BYTES).encode()),
            login_limits=LoginLimits(clock, metrics, settings.api.trusted, tasks),
            images=store,
            clock=clock,
            settings=settings.api,
            quotas=settings.quota,
            console=settings.console,
            console_ttl_s=settings.consoleauth.token_ttl,
            consoles=HostConsoles(),
            disk_space=ConductorSpace(rpc),
            metrics=metrics,
            ready=ready,
            has_page=settings.ui.enabled,
        )
        _measure(metrics, db, bus, keys)
        tasks.spawn("self-ping", (ping := SelfPing(bus, name, process_id)).listen())
        report = partial(_report, rpc, settings, process_id)
        tasks.periodic("report", settings.default.report_interval, report, limit_s=REPORT_S)
        begin = partial(_begin, tasks, upkeep, partial(_read_keys, db, keys), partial(follow, db, clock, machine))
        tasks.spawn("start", _wait_for_database(start, db, keys, clock, begin))
        checks = (Check("bus", ping.ping), Check("database", partial(_read_keys, db, keys)))
        app = _behind_gate(create_app(deps, page=await web_page(settings, deps, tasks)), failpoints, start)
        yield ApiProcess(settings, app, ready, deps.policy, files, Vitals(checks, metrics))


def _caller(bus: "Bus", failpoints: Failpoints, clock: Clock) -> "Caller":
    """Every conductor of an API process has REPORT_SERVICE; its reply says which newer methods all of them have.

    Raises ConfigError for an unknown failpoint."""
    from kilonova.rpcapi.api_to_conductor_admin import REPORT_SERVICE
    from kilonova.rpcapi.caller import Caller
    from kilonova.rpcapi.versions import OLDEST, ConductorVersion

    check_failpoints(failpoints, "api")
    return Caller(breakable_bus(bus, failpoints), clock, ConductorVersion(max(OLDEST, REPORT_SERVICE.since)))


def _behind_gate(app: Callable[..., Awaitable[None]], failpoints: Failpoints, start: "Start") -> "StartGate":
    from kilonova.api.http.breakable import breakable_app
    from kilonova.api.http.start_gate import StartGate

    return StartGate(breakable_app(app, failpoints), start)


def _measure(metrics: Metrics, db: "Database", bus: "NatsBus", keys: KeyRing) -> None:
    from kilonova.db.figures import DatabaseMetrics

    DatabaseMetrics(db, metrics)
    metrics.gauge("kilonova_bus_connected", "1 with a connection to the bus, else 0.", lambda: bus.connected)
    metrics.gauge("kilonova_token_keys_age_seconds", "Since the last successful read of the database.", keys.age_s)


async def _report(rpc: "Caller", settings: Settings, process_id: str) -> None:
    """Report that this process is up, for the list of services.  Without a conductor its record expires."""
    from kilonova.objects.ids import HostName
    from kilonova.rpcapi.api_to_conductor_admin import REPORT_SERVICE, ReportService, valid_s

    host, defaults = HostName(settings.default.host), settings.default
    valid = valid_s(defaults.report_interval, defaults.service_down_time)
    with contextlib.suppress(KilonovaError):
        report = ReportService(host, "kilonova-api", process_id, CODE_VERSION, valid)
        rpc.conductors.lowest = (await rpc.call(REPORT_SERVICE, report)).conductors


def _ready(start: "Start", bus: "NatsBus") -> tuple[bool, str]:
    if start.reason:
        return False, start.reason
    return (True, "") if bus.connected else (False, "waiting for the bus")


async def _wait_for_database(
    start: "Start", db: "Database", keys: KeyRing, clock: Clock, begin: Callable[[], Awaitable[None]]
) -> None:
    pause_s = FIRST_LOOK_S
    while reason := await _look(db, keys):
        start.reason = reason
        await clock.sleep(pause_s)
        pause_s = min(2 * pause_s, LOOK_S)
    await begin()
    start.reason = ""


async def _begin(
    tasks: Supervisor, upkeep: "Upkeep", read_keys: Callable[[], Awaitable[None]], follow: Callable[[], Awaitable[None]]
) -> None:
    """Begin the work that reads the database.  Before, the database may have no tables."""
    await follow()
    tasks.periodic("token keys", REFRESH_S, read_keys)
    tasks.periodic("clock", REFRESH_S, follow)
    upkeep.start(tasks)


async def _look(db: "Database", keys: KeyRing) -> str:
    """Read the keys of tokens.  Returns why that is not possible yet, in one sentence; empty if they were read."""
    from kilonova.db.existing import schema_trouble

    try:
        if trouble := await db.read(schema_trouble):
            return trouble
        await _read_keys(db, keys)
        keys.signing()
        return ""
    except KilonovaError as exc:
        return f"The API waits for the database. {exc.message}"


async def _read_keys(db: "Database", keys: KeyRing) -> None:
    from kilonova.db.readers import signing_keys

    keys.replace(await db.read(signing_keys.of_purpose, TOKENS))
