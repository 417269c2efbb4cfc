# SPDX-License-Identifier: Apache-2.0
"""The accept transaction through the service's own engine, beside a bare one."""

import asyncio
import contextlib
import dataclasses
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figures import Figure, Series
from bench.run import Bench, Group
from kilonova.base.clock import SystemClock
from kilonova.base.context import RequestContext
from kilonova.base.threads import DaemonWorkers
from kilonova.conductor.bootstrap import FLAVORS
from kilonova.conductor.verbs import create
from kilonova.db.location import sqlite_url
from kilonova.db.migrate import ensure_schema
from kilonova.db.sqlite import SqliteDatabase
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import ActionId, FlavorId, ImageId, InstanceId
from kilonova.objects.image import ImageRef
from kilonova.objects.instance import Instance
from kilonova.rpcapi.api_to_conductor import CreateServers

ROW_BYTES = 1500
"""About what an instance and its action take."""


class BareSqlite:
    """One insert a transaction, WAL and synchronous=FULL, by the sqlite3 module alone."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=FULL",
            "CREATE TABLE t (id TEXT PRIMARY KEY, data TEXT)",
        ):
            self._connection.execute(statement)

    def commit(self) -> float:
        """One transaction; its duration in ms."""
        begun = time.perf_counter()
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO t VALUES (?, ?)", (str(uuid.uuid4()), "x" * ROW_BYTES))
        self._connection.execute("COMMIT")
        return (time.perf_counter() - begun) * 1000

    def close(self) -> None:
        self._connection.close()


def bare_commits_ms(bench: Bench, n: int = 200) -> list[float]:
    """Durations in ms of `n` bare transactions, one after another."""
    with contextlib.closing(BareSqlite(bench.directory() / "bare.db")) as bare:
        return [bare.commit() for _ in range(n)]


def instance(clock: SystemClock) -> Instance:
    """An instance that does not exist on any host, of the smallest flavor."""
    flavor_id, name, vcpus, memory_mib, disk_gib = FLAVORS[0]
    return Instance(
        id=InstanceId(clock.new_id()),
        project_id="p1",
        user_id="u1",
        name="bench",
        hostname="bench",
        flavor=Flavor(FlavorId(flavor_id), name, vcpus, memory_mib, disk_gib),
        image=ImageRef(ImageId("image-1"), "raw", 1 << 20, 1 << 20, "0" * 128),
        created_at=clock.now(),
        updated_at=clock.now(),
    )


@dataclasses.dataclass(slots=True)
class _Times:
    ours: list[float]
    bare: list[float]
    cpu_ms: float
    together: list[float]


async def _accept(db: SqliteDatabase, clock: SystemClock) -> float:
    """One create accepted; its duration in ms, waiting for the thread included."""
    context = RequestContext(f"req-{clock.new_id()}", "u1", "p1", ("admin",))
    request = CreateServers(context, (instance(clock),))
    begun = time.perf_counter()
    await db.write(create.create, request, (ActionId(clock.new_id()),), clock.now())
    return (time.perf_counter() - begun) * 1000


async def _run(db: SqliteDatabase, bare: Callable[[], float], n: int) -> _Times:
    try:
        return await _take_turns(db, bare, n)
    finally:
        await db.close()


async def _take_turns(db: SqliteDatabase, bare: Callable[[], float], n: int) -> _Times:
    clock = SystemClock()
    times = _Times([], [], 0.0, [])
    for _ in range(20):
        await _accept(db, clock)
        bare()
    for _ in range(n):
        begun = time.process_time()
        times.ours.append(await _accept(db, clock))
        times.cpu_ms += (time.process_time() - begun) * 1000 / n
        times.bare.append(bare())
    for _ in range(5):
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(20):
                tasks.create_task(_accept(db, clock))
        times.together.append((time.perf_counter() - begun) * 1000 / 20)
    return times


def _measure(bench: Bench) -> Iterator[Figure]:
    n = bench.n(300, 100)
    directory = bench.directory()
    path = directory / "kilonova.db"
    ensure_schema(path)
    db = SqliteDatabase(
        sqlite_url(path), writer=DaemonWorkers("writer", 1), reader=DaemonWorkers("reader", 1), readers=1
    )
    bare = BareSqlite(directory / "bare.db")
    with contextlib.closing(bare):
        times = asyncio.run(_run(db, bare.commit, n))
    yield Figure(
        "transaction_ms",
        times.ours,
        "one accepted create (instance and action) by SqliteDatabase.write, one after another, in turns with the "
        "control",
        Series(
            f"bare SQLite: BEGIN IMMEDIATE, one insert of {ROW_BYTES} bytes, COMMIT, synchronous=FULL", times.bare, "ms"
        ),
        {
            "cpu": Series("CPU-ms of one", [times.cpu_ms], "CPU-ms"),
            "by_20": Series("per transaction, 20 requested at once (n is rounds)", times.together, "ms"),
        },
    )


GROUP = Group(("transaction_ms",), _measure)
