# SPDX-License-Identifier: Apache-2.0
"""The cost for a host of knowing its guests' states: a power-sync pass over many guests, and their events.

The guests are domains of libvirt's test driver behind a private daemon, in the shape of ours; the conductor and its
database are in the same process as the observer, over the in-memory bus, as in one box.
"""

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import libvirt

from bench.database import instance
from bench.figures import CannotMeasure, Figure, Series
from bench.load import child
from bench.run import Bench, Group
from bench.stats import ratio
from kilonova.base import logging
from kilonova.base.clock import SystemClock
from kilonova.base.failpoints import Failpoints
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import DaemonWorkers
from kilonova.compute.guest_records import GuestRecords
from kilonova.compute.observer import Observer, differences
from kilonova.compute.session import HostIdentity, Session
from kilonova.compute.virtapi import ComputeVirtAPI
from kilonova.conductor.service import Conductor
from kilonova.conductor.tools import Policy, Tools
from kilonova.config.load import load
from kilonova.db.location import sqlite_url
from kilonova.db.migrate import ensure_schema
from kilonova.db.sqlite import SqliteDatabase
from kilonova.db.writers import instances as write_instances
from kilonova.objects.guest import GuestEvent
from kilonova.objects.ids import HostName
from kilonova.objects.instance import Instance
from kilonova.objects.states import PowerState, VmState
from kilonova.rpc.memory import MemoryBus, MemoryHub
from kilonova.rpcapi.caller import Caller, HostCaller
from kilonova.rpcapi.host_to_conductor import LIST_EXPECTED, ListExpected
from kilonova.virt.libvirt.connection.opening import ensure_event_loop
from kilonova.virt.libvirt.driver import LibvirtDriver
from kilonova.virt.libvirt.xml.domain import Domain, Metadata
from lab.common import LabError
from lab.libvirtd import PrivateLibvirtd

GUESTS = 1000
HOST = HostName("bench")
PREFIX = "kilonova-"
LIMIT_S = 60.0


class TimedDriver(LibvirtDriver):
    """Notes the CPU seconds that each event's callback took of the loop's thread."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.callbacks: list[float] = []

    def _receive(self, event: GuestEvent) -> None:
        begun = time.thread_time()
        super()._receive(event)
        self.callbacks.append(time.thread_time() - begun)


@dataclass(slots=True)
class Rig:
    """A host's observer on `GUESTS` guests that run, and a bare connection to the same daemon."""

    uri: str
    observer: Observer
    session: Session
    driver: TimedDriver
    virtapi: ComputeVirtAPI
    bare: libvirt.virConnect

    async def check(self) -> None:
        """The pass sees every guest, and that all is as the database believes.  Raises CannotMeasure."""
        reply = await self.session.call(
            lambda epoch: self.session.conductor.call(LIST_EXPECTED, ListExpected(HOST, epoch))
        )
        expected = reply.guests
        seen = dict(await self.driver.guest_states())
        if len(expected) != GUESTS or len(seen) != GUESTS or differences(expected, seen, 0):
            raise CannotMeasure(f"{len(expected)} guests were expected and {len(seen)} seen, of {GUESTS}.")


def _define(conn: libvirt.virConnect, one: Instance) -> None:
    metadata = Metadata(one.id, one.project_id, one.name)
    domain = Domain("test", one.id, f"{PREFIX}{one.id}", metadata, one.flavor.memory_mib, 1, machine=None, arch=None)
    conn.defineXML(domain.xml()).create()


def _fill(connection: object, made: list[Instance]) -> None:
    for one in made:
        write_instances.insert(connection, one)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def _rig(directory: Path, daemon: PrivateLibvirtd) -> AsyncGenerator[Rig]:
    clock = SystemClock()
    running = {"vm_state": VmState.ACTIVE, "task_state": None, "power_state": PowerState.RUNNING, "host": HOST}
    made = [replace(instance(clock), **running) for _ in range(GUESTS)]
    # Held open as long as the rig is there: the test driver forgets its domains with the last connection.
    bare = libvirt.open(daemon.test_uri)
    for one in made:
        _define(bare, one)
    path = directory / "kilonova.db"
    ensure_schema(path)
    db = SqliteDatabase(
        sqlite_url(path), writer=DaemonWorkers("writer", 1), reader=DaemonWorkers("reader", 1), readers=1
    )
    settings = load(
        overrides={
            ("DEFAULT", "state_path"): str(directory),
            ("DEFAULT", "host"): HOST,
            ("libvirt", "connection_uri"): daemon.test_uri,
            ("libvirt", "virt_type"): "test",
        }
    )
    virtapi = ComputeVirtAPI(clock)
    driver = TimedDriver(virtapi, settings)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(bare.close)
        stack.push_async_callback(db.close)
        bus = await stack.enter_async_context(MemoryBus(MemoryHub(), clock))
        tasks = await stack.enter_async_context(Supervisor(clock))
        await db.write(_fill, made)
        caller = Caller(bus, clock)
        policy = Policy(settings.conductor, HOST, down_time_s=60, resize_confirm_window_s=0, offload_after_s=-1)
        conductor = Conductor(Tools(db, clock, settings.quota, Failpoints()), caller, policy, Metrics())
        await conductor.start(bus, tasks)
        session = Session(
            HostIdentity(HOST, "node", "boot", "process"), HostCaller(caller, HOST), clock, settings.default
        )
        await session.register()
        stack.push_async_callback(driver.cleanup_host)
        changed = asyncio.Event()
        virtapi.on_enabled = changed.set
        await driver.init_host(tasks)
        while not virtapi.enabled:
            changed.clear()
            await changed.wait()
        records = GuestRecords(session.identity.process_id, lambda: session.registrations)
        yield Rig(daemon.test_uri, Observer(driver, session, records), session, driver, virtapi, bare)


async def _syncs(rig: Rig, n: int) -> tuple[list[float], list[float], float]:
    """Milliseconds of `n` passes and of as many bare calls, in turns; and CPU-ms of a pass."""
    await rig.check()
    passes: list[float] = []
    bare: list[float] = []
    cpu = 0.0
    for turn in range(n + 3):
        cpu_begun, begun = time.process_time(), time.perf_counter()
        await rig.observer.sync()
        middle, cpu_ended = time.perf_counter(), time.process_time()
        rig.bare.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0)
        if turn >= 3:
            passes.append((middle - begun) * 1000)
            bare.append((time.perf_counter() - middle) * 1000)
            cpu += (cpu_ended - cpu_begun) * 1000 / n
    return passes, bare, cpu


@dataclass(slots=True)
class Arrivals:
    """Counts events as they come, on any thread."""

    wanted: int
    first_s: float = 0.0
    last_s: float = 0.0
    count: int = 0
    complete: threading.Event = field(default_factory=threading.Event)

    def one(self, *_ignored: object) -> None:
        self.last_s = time.perf_counter()
        if self.count == 0:
            self.first_s = self.last_s
        self.count += 1
        if self.count == self.wanted:
            self.complete.set()

    def rate(self) -> float:
        """Events per second from the first to the last.  Raises CannotMeasure when some did not come."""
        if not self.complete.wait(LIMIT_S):
            raise CannotMeasure(f"{self.count} events of {self.wanted} arrived.")
        return (self.count - 1) / (self.last_s - self.first_s)


def _made(rig: Rig, arrivals: Arrivals) -> float:
    """Blocks."""
    child([sys.executable, "-m", "bench.suspend_child", rig.uri, PREFIX, str(arrivals.wanted)], LIMIT_S)
    return arrivals.rate()


async def _heard(rig: Rig, count: int) -> float:
    """Events per second as the observer receives them."""
    arrivals = Arrivals(count)

    def hear(event: GuestEvent) -> None:
        rig.observer.mark(event)
        arrivals.one()

    rig.virtapi.on_event = hear
    try:
        return await asyncio.to_thread(_made, rig, arrivals)
    finally:
        rig.virtapi.on_event = rig.observer.mark


async def _bare_heard(rig: Rig, count: int) -> float:
    """The same, received by a callback that only counts; the driver's own callback runs in both cases."""
    arrivals = Arrivals(count)
    number = rig.bare.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, arrivals.one, None)
    try:
        return await asyncio.to_thread(_made, rig, arrivals)
    finally:
        rig.bare.domainEventDeregisterAny(number)


async def _events(rig: Rig, n: int, count: int) -> tuple[list[float], list[float]]:
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(n):
        ours.append(await _heard(rig, count))
        bare.append(await _bare_heard(rig, count))
    return ours, bare


async def _all(bench: Bench, daemon: PrivateLibvirtd) -> list[Figure]:
    async with _rig(bench.directory(), daemon) as rig:
        passes, bare, cpu = await _syncs(rig, bench.n(60, 20))
        count = bench.n(4000, 1000)
        rig.driver.callbacks.clear()
        ours, counted = await _events(rig, bench.n(9, 3), count)
        longest = max(rig.driver.callbacks) * 1e6
    sync = Figure(
        "sync_over_bulk",
        [one / other for one, other in zip(passes, bare, strict=True)],
        f"a power-sync pass of the observer over {GUESTS} running domains of libvirt's test driver behind a private "
        "daemon, asking the conductor (same process, SQLite) for the expected states included, over one bare bulk "
        "STATE call to the same daemon; in turns",
        Series("one bare getAllDomainStats(STATE)", bare, "ms"),
        {
            "pass_ms": Series("the pass", passes, "ms"),
            "cpu": Series("CPU-ms of a pass, the conductor's part included", [cpu], "CPU-ms"),
        },
        given=ratio(passes, bare),
    )
    events = Figure(
        "events_per_s",
        ours,
        f"lifecycle events of {GUESTS} domains of libvirt's test driver behind a private daemon, made by another "
        f"process that suspends and resumes, to the observer's mark; a sample is {count} events, first to last",
        Series("the same events received by a bare callback that counts, in turns", counted, "events/s"),
        {
            "longest_callback": Series(
                f"CPU of the longest of {len(rig.driver.callbacks)} callbacks on the loop", [longest], "CPU-us"
            )
        },
    )
    return [sync, events]


def _measure(bench: Bench) -> Iterator[Figure]:
    logging.set_up(stream=sys.stderr)  # stdout is for the figures
    daemon = PrivateLibvirtd(bench.directory() / "l")
    try:
        daemon.start()
        ensure_event_loop()
        yield from asyncio.run(_all(bench, daemon))
    except LabError as exc:
        raise CannotMeasure(exc.sentence) from exc
    finally:
        daemon.remove()


GROUP = Group(("sync_over_bulk", "events_per_s"), _measure)
