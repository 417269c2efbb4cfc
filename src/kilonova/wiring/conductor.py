# SPDX-License-Identifier: Apache-2.0
"""The process of a conductor of a fleet."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from kilonova.base.clock import Clock
from kilonova.base.failpoints import Failpoints
from kilonova.base.fleet_clock import FleetClock
from kilonova.base.health import Check
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import DaemonWorkers
from kilonova.config.load import Settings
from kilonova.objects.signing_key import TOKENS
from kilonova.rpc.bus import SelfPing
from kilonova.wiring.failpoints import breakable_bus, check_failpoints
from kilonova.wiring.shared import (
    Vitals,
    conductor_policy,
    fleet_bus,
    keep_database_files,
    make_conductor,
    make_tools,
    running_database,
    token_secret,
)

if TYPE_CHECKING:
    from kilonova.db.engine import Database


@dataclass(frozen=True, slots=True)
class ConductorProcess:
    """A running conductor process.  `ready` returns whether it can be reached, and the reason if it cannot."""

    ready: Callable[[], tuple[bool, str]]
    vitals: Vitals


@asynccontextmanager
async def conductor_process(
    settings: Settings, clock: Clock, failpoints: Failpoints
) -> AsyncGenerator[ConductorProcess]:
    """Start a conductor of a fleet: the database and the bus.  Raises StateError, ConfigError."""
    from kilonova.conductor.figures import FleetMetrics
    from kilonova.db.database_time import FOLLOW_S, follow
    from kilonova.db.figures import DatabaseMetrics
    from kilonova.db.readers.actions import unplaced
    from kilonova.record.rooms import Rooms
    from kilonova.wiring.record import conductor_body, recorder_of

    check_failpoints(failpoints, "conductor")
    metrics, machine = Metrics(), clock
    clock, policy = FleetClock(machine), conductor_policy(settings)
    async with AsyncExitStack() as stack:
        end = fleet_bus(settings, f"conductor-{settings.default.host}", clock)
        db = await stack.enter_async_context(running_database(settings, clock))
        following = partial(follow, db, clock, machine)
        await following()
        await _ensure_token_key(db, settings, clock)
        rooms = Rooms(machine, breakable_bus(end, failpoints), db)
        recorder = await stack.enter_async_context(
            recorder_of(rooms, settings.record, policy, settings.quota, DaemonWorkers("record", 1))
        )
        bus = await stack.enter_async_context(end)
        tasks = await stack.enter_async_context(Supervisor(clock, metrics.round_ended))
        tasks.periodic("clock", FOLLOW_S, following, limit_s=FOLLOW_S)
        DatabaseMetrics(db, metrics)
        fleet = FleetMetrics(db, clock, metrics)
        keep_database_files(db, settings, DaemonWorkers("files", 1), clock, tasks)
        if recorder is None:
            tools = make_tools(settings, db, clock, failpoints)
            await make_conductor(settings, tools, rooms.bus, metrics).start(rooms.bus, tasks)
        else:
            await recorder.start(conductor_body(policy, settings.quota, failpoints, metrics))
            tasks.spawn("recorded conductor", recorder.keep())
        ping = SelfPing(bus, f"conductor-{settings.default.host}", clock.new_id())
        tasks.spawn("self-ping", ping.listen())
        checks = (Check("bus", ping.ping), Check("database", partial(db.read, unplaced)))
        metrics.gauge("kilonova_bus_connected", "1 with a connection to the bus, else 0.", lambda: bus.connected)
        vitals = Vitals(checks, metrics, fleet.refresh)
        yield ConductorProcess(lambda: (bus.connected, "" if bus.connected else "waiting for the bus"), vitals)


async def _ensure_token_key(db: "Database", settings: Settings, clock: Clock) -> None:
    """Create the first key of the fleet's tokens.  It is the key of the one box that had this state directory before,
    so that its tokens stay valid."""
    from kilonova.conductor import signing_keys
    from kilonova.db.readers.signing_keys import of_purpose

    if not await db.read(of_purpose, TOKENS):
        secret = token_secret(settings.default.state_path, clock).decode()
        await db.write(signing_keys.ensure, TOKENS, secret, clock.now())
