# SPDX-License-Identifier: Apache-2.0
"""One placement among 1,000 hosts: the read of the hosts, the choice, and the transaction that claims."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

from bench.database import instance
from bench.figures import Figure, Series
from bench.run import Bench, Group
from kilonova.base.clock import SystemClock
from kilonova.base.context import RequestContext
from kilonova.base.threads import DaemonWorkers
from kilonova.conductor.placement.place import Look, place, wanted_of
from kilonova.conductor.verbs import create
from kilonova.config.filter_scheduler import DEFAULTS
from kilonova.db.engine import Database
from kilonova.db.location import sqlite_url
from kilonova.db.migrate import ensure_schema
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.candidates import candidates
from kilonova.db.sqlite import SqliteDatabase
from kilonova.db.transaction import Transaction
from kilonova.db.writers import hosts as write_hosts
from kilonova.objects.hardware import Offer
from kilonova.objects.ids import ActionId, HostName
from kilonova.objects.service import HostNetwork, Inventory
from kilonova.rpcapi.api_to_conductor import CreateServers

HOSTS, BATCH = 1000, 50
NETWORK = HostNetwork("kilonova", "nat", "10.77.0.0/20", "10.77.0.1", "10.77.0.16", "10.77.15.254")


def _inventory(host: HostName) -> Inventory:
    """About as large as that of a real host."""
    return Inventory(
        node=host,
        hypervisor_type="QEMU",
        hypervisor_version=9_000_000,
        vcpus=64,
        memory_mib=262_144,
        disk_gib=4000,
        vcpus_capacity=256,
        memory_mib_capacity=260_000,
        disk_gib_capacity=3900,
        cpu_info={"model": "EPYC", "features": [f"feature-{number}" for number in range(80)]},
        networks=(NETWORK,),
        offer=Offer(machines=tuple(f"pc-q35-{number}" for number in range(60))),
    )


def _add_hosts(tx: Transaction, clock: SystemClock, numbers: range) -> None:
    for number in numbers:
        host = HostName(f"host-{number}")
        process = {"topic": "compute", "zone": "nova", "epoch": 1, "process_id": "p", "boot_id": "b", "version": 1}
        write_hosts.insert_service(
            tx, clock.now(), id=clock.new_id(), host=host, binary=read_hosts.COMPUTE, up=True, **process
        )
        write_hosts.put_inventory(tx, host, clock.new_id(), _inventory(host))


async def _place(db: Database, clock: SystemClock) -> tuple[float, float, float]:
    """One placement; its duration, the CPU time, and the duration of the read alone, in ms."""
    context = RequestContext(f"req-{clock.new_id()}", "u1", "p1", ("admin",))
    action_id = ActionId(clock.new_id())
    request = CreateServers(context, (instance(clock),))
    wanted = wanted_of(request, request.instances[0])
    assert wanted is not None
    await db.write(create.create, request, (action_id,), clock.now())
    begun, cpu = time.perf_counter(), time.process_time()
    found = await db.read(candidates, clock.now(), wanted, DEFAULTS)
    look = Look(DEFAULTS, found.nodes, found.left_out)
    read_ms = (time.perf_counter() - begun) * 1000
    await db.write(place, action_id, clock.random, clock.now(), None, look)
    return (time.perf_counter() - begun) * 1000, (time.process_time() - cpu) * 1000, read_ms


async def run(db: Database, n: int) -> tuple[float, list[tuple[float, float, float]]]:
    """The first placement of this process (its duration), and `n` more, on a database without hosts, which is closed.
    See _place for the three times."""
    clock = SystemClock()
    try:
        for first in range(0, HOSTS, BATCH):
            await db.write(_add_hosts, clock, range(first, first + BATCH))
        first, *_ = await _place(db, clock)
        return first, [await _place(db, clock) for _ in range(n)]
    finally:
        await db.close()


def _measure(bench: Bench) -> Iterator[Figure]:
    path = bench.directory() / "kilonova.db"
    ensure_schema(path)
    writer, reader = DaemonWorkers("writer", 1), DaemonWorkers("reader", 1)
    with contextlib.closing(asyncio.Runner()) as runner:
        db = SqliteDatabase(sqlite_url(path), writer=writer, reader=reader, readers=1)
        first, times = runner.run(run(db, bench.n(200, 50)))
    total, cpu, read = (list(series) for series in zip(*times, strict=True))
    yield Figure(
        "placement_1000_ms",
        total,
        f"one placement among {HOSTS} hosts by SqliteDatabase, one after another: read, choice, claim, address, record",
        Series("the read of the hosts alone", read, "ms"),
        {
            "cpu": Series("CPU-ms of one", cpu, "CPU-ms"),
            "first": Series("the first one of a process, which decodes every inventory", [first], "ms"),
        },
    )


GROUP = Group(("placement_1000_ms",), _measure)
