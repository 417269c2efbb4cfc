# SPDX-License-Identifier: Apache-2.0
"""What `make scale` measures.  Each function returns rows for the table."""

import asyncio
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from bench import placement
from bench.box import FLAVOR
from bench.figures import CannotMeasure
from bench.fleet_cloud import FleetCloud
from bench.run import Bench
from bench.scale.farm import PLAN, Farm
from bench.scale.hosts_child import guest_id
from bench.scale.offered import Answers, OpenLoad
from bench.scale.rows import copy_instance
from bench.stats import median
from faults.table import Row, Samples, p
from kilonova.base.clock import SystemClock
from kilonova.base.threads import DaemonWorkers
from kilonova.db.postgres import schema
from kilonova.db.postgres.connection import make_engine
from kilonova.db.postgres.database import PostgresDatabase
from kilonova.db.postgres.url import parameters
from lab.fleet.fleet import Plan
from lab.postgres import PrivatePostgres

CONDUCTORS = ("conductor1", "conductor2")
SERVERS = "/compute/v2.1/servers"
ACTIVE_S = 60.0
ENDED_S = 600.0
"""How long requests beyond what the fleet can do may take to end."""


@contextmanager
def farm(bench: Bench, guests: int = 0) -> Generator[Farm]:
    """A fleet without hosts yet."""
    with FleetCloud(bench.directory(), PLAN) as cloud:
        found = Farm(bench, cloud, guests)
        try:
            yield found
        finally:
            found.close()


def create(cloud: FleetCloud, image: str) -> str:
    """A new server."""
    body = {"server": {"name": "scale", "imageRef": image, "flavorRef": FLAVOR, "networks": "auto"}}
    found: str = cloud.web.expect(202, "POST", SERVERS, body).json()["server"]["id"]
    return found


def wait_active(cloud: FleetCloud, *servers: str) -> None:
    """Wait until all are ACTIVE.  Raises CannotMeasure, also for one in ERROR."""
    end = time.monotonic() + ACTIVE_S
    for server in servers:
        while (status := cloud.web.expect(200, "GET", f"{SERVERS}/{server}").json()["server"]["status"]) != "ACTIVE":
            if status == "ERROR" or time.monotonic() > end:
                raise CannotMeasure(f"The server {server} is {status} after {ACTIVE_S:g} s.")
            time.sleep(0.2)


# -- hosts ---------------------------------------------------------------------------------------------------


def hosts(bench: Bench) -> list[Row]:
    """What hosts at rest cost the control plane, by their number; then all of them reconnect at once."""
    sizes = (100, 500, 1000) if not bench.quick else (20, 60, 100)
    window_s = bench.n(150, 30)
    with farm(bench) as many:
        growth, reconnects = _growth(bench, many, sizes, window_s), _reconnect(bench, many)
    return [growth, reconnects]


def _growth(bench: Bench, many: Farm, sizes: tuple[int, int, int], window_s: float) -> Row:
    few, more, most = sizes
    row = Row(
        f"{few}, {more} and {most} hosts at rest",
        "Simulated hosts (the compute manager with the fake driver, a connection to NATS with credentials of its own, "
        f"500 in one process) under the default intervals; CPU of both conductors in {window_s:g} s, which hold every "
        "period: heartbeats, fetches, inventories, bulk reads.",
    )
    spent: dict[int, Mapping[str, float]] = {}
    for size in sizes:
        took = many.grow(size)
        row.series.append(Samples(f"from {size} hosts begun to all in service", "s", [took]))
        time.sleep(bench.n(30, 5))
        before = many.cpu()
        time.sleep(window_s)
        spent[size] = {name: value - before[name] for name, value in many.cpu().items()}
        bench.say(f"{size} hosts: {_rounded(spent[size])} CPU-s in {window_s:g} s")
        row.series += [
            Samples(f"{size} hosts, {name}: CPU-ms per host and minute", "ms", [value * 60_000 / window_s / size])
            for name, value in spent[size].items()
        ]
    conductors = {size: sum(found[name] for name in CONDUCTORS) for size, found in spent.items()}
    low = (conductors[more] - conductors[few]) / (more - few)
    high = (conductors[most] - conductors[more]) / (most - more)
    row.most(f"marginal CPU per host, {more} to {most} over {few} to {more}", high / low, 1.2, "")
    row.series.append(Samples("marginal CPU-ms of the conductors per host and minute", "ms", [
        one * 60_000 / window_s for one in (low, high)
    ]))  # fmt: skip
    row.series += [Samples(f"{most} hosts, {name}: PSS", "MiB", [size]) for name, size in many.memory_mib().items()]
    return row


def _rounded(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in values.items())


def _reconnect(bench: Bench, many: Farm) -> Row:
    row = Row(
        f"NATS restarted under {many.size} hosts",
        "20 creates are accepted, NATS is killed at once and starts again after 5 s.  Settled: every host is connected "
        "and has received an answer from a conductor.",
    )
    cloud = many.cloud
    image = cloud.small_image()
    for number in range(bench.n(3, 1)):
        servers = [create(cloud, image) for _ in range(20)]
        many.fleet.nats.kill()
        time.sleep(5)
        before = many.cpu()
        back = time.monotonic()
        many.fleet.restart_nats()
        many.until(lambda since=back: many.settled_since(since), 120, "every host is served again")
        settled = time.monotonic() - back
        spent = {name: value - before[name] for name, value in many.cpu().items()}
        wait_active(cloud, *servers)
        moved = time.monotonic() - back
        row.most(f"run {number + 1}: settled", settled, 30, "s")
        row.series.append(Samples(f"run {number + 1}: all 20 creates ACTIVE", "s", [moved]))
        bench.say(f"reconnected in {settled:.1f} s, creates in {moved:.1f} s; CPU-s {_rounded(spent)}")
        services = cloud.web.expect(200, "GET", "/compute/v2.1/os-services?binary=kilonova-compute").json()["services"]
        row.none(f"run {number + 1}: hosts that are not up", sum(one["state"] != "up" for one in services))
    return row


# -- instances -----------------------------------------------------------------------------------------------


def lists(bench: Bench) -> list[Row]:
    """The same page of a list with 1,000 and with 100,000 instances."""
    many, n = bench.n(100_000, 10_000), bench.n(40, 15)
    row = Row(
        f"lists among {many:,} instances",
        f"GET /servers?limit=1000 and others through the balancer, {n} times each, with 1,000 instances and then with "
        f"{many:,} in one project, which the database copied from a server of the service.",
    )
    plan = Plan(hosts=1, real=False, pace=PLAN.pace, postgres=PLAN.postgres)
    with FleetCloud(bench.directory(), plan) as cloud:
        template = create(cloud, cloud.small_image())
        wait_active(cloud, template)
        postgres = cloud.fleet.postgres
        copy_instance(postgres, template, range(10), 100)
        few = _pages(cloud, n)
        begun = time.monotonic()
        copy_instance(postgres, template, range(10, many // 100), 100)
        bench.say(f"{many} instances recorded in {time.monotonic() - begun:.0f} s")
        full = _pages(cloud, n)
    for path in few:
        if "limit=1000" in path:
            row.most(f"p50 of {path} over that with 1,000", median(full[path]) / median(few[path]), 1.5, "")
        row.series += [Samples(f"{path}, 1,000", "ms", few[path]), Samples(f"{path}, {many:,}", "ms", full[path])]
    return [row]


def _pages(cloud: FleetCloud, n: int) -> dict[str, list[float]]:
    middle = guest_id(5, 50)
    paths = (
        "?limit=1000",
        "/detail?limit=1000",
        f"?limit=1000&marker={guest_id(9, 99)}",
        f"/{middle}",
        "?limit=100&host=h00005&all_tenants=1",
        "?limit=100&name=copy-55",
        "?limit=100&status=ERROR",
    )
    found: dict[str, list[float]] = {}
    for path in paths:
        found[
            f"GET /servers{path.replace(middle, 'ID').split('&marker')[0]}" + ("&marker=ID" if "marker" in path else "")
        ] = [_get_ms(cloud, SERVERS + path) for _ in range(n + 2)][2:]
    return found


def _get_ms(cloud: FleetCloud, path: str) -> float:
    begun = time.perf_counter()
    cloud.web.expect(200, "GET", path)
    return (time.perf_counter() - begun) * 1000


# -- the scheduler -------------------------------------------------------------------------------------------


def scheduler(bench: Bench) -> list[Row]:
    """One placement among 1,000 hosts, on PostgreSQL."""
    n = bench.n(200, 50)
    row = Row(
        "one placement among 1,000 hosts",
        f"On PostgreSQL, {n} times one after another: the read of the hosts, the choice, the claim, the address, the "
        "record.  Inventories as large as those of real hosts.",
    )
    with PrivatePostgres(bench.directory() / "pg", PLAN.postgres) as postgres:
        connection = parameters(postgres.url)
        with schema.connected(connection) as found:
            schema.upgrade(found)
        first, times = asyncio.run(_placed(connection, n))
    total, cpu, read = (list(series) for series in zip(*times, strict=True))
    row.most("p50 of one placement", median(total), 20, "ms")
    row.series += [
        Samples("one placement", "ms", total),
        Samples("the read of the hosts alone", "ms", read),
        Samples("CPU of the conductor's process", "ms", cpu),
        Samples("the first one of a process", "ms", [first]),
    ]
    return [row]


async def _placed(connection: Mapping[str, str], n: int) -> tuple[float, list[tuple[float, float, float]]]:
    db = PostgresDatabase(make_engine(connection, size=5), DaemonWorkers("db", 5), SystemClock())
    await db.start()
    return await placement.run(db, n)


# -- a large fleet -------------------------------------------------------------------------------------------


def large(bench: Bench) -> list[Row]:
    """2,500 hosts and 50,000 instances under requests at a fixed rate, then at higher ones."""
    size, per_host = bench.n(2500, 100), 20
    rates, seconds = (30, 60, 90, 120), bench.n(60, 10)
    row = Row(
        f"{size:,} hosts, {size * per_host:,} instances, requests at a fixed rate",
        f"Through the balancer, {seconds} s at each rate: 40 % GET of a server, 15 % details of 50 servers, 5 % lists "
        "of 100, 10 % flavors, 15 % creates, 15 % deletes.  The load, the simulated hosts and the whole control plane "
        "share one machine.",
    )
    with farm(bench, per_host) as many:
        for some in range(size // 5, size + 1, size // 5):
            took = many.grow(some)
            bench.say(f"{some} hosts in service after {took:.0f} s")
            row.series.append(Samples(f"from {some - size // 5} to {some} hosts in service", "s", [took]))
        cloud = many.cloud
        image = cloud.small_image()
        template = create(cloud, image)
        wait_active(cloud, template)
        copy_instance(many.fleet.postgres, template, range(size), per_host)
        time.sleep(bench.n(30, 5))
        load = OpenLoad(cloud, [guest_id(number, number % per_host) for number in range(0, size, 7)], image)
        load.run(10, 5)  # the first requests warm up
        for rate in rates:
            before = many.cpu()
            begun = time.monotonic()
            answers = load.run(rate, seconds)
            took = time.monotonic() - begun
            spent = {name: (value - before[name]) / took for name, value in many.cpu().items()}
            bench.say(f"{rate}/s: p95 {p(answers.all, 0.95):.0f} ms; CPUs {_rounded(spent)}; bad {dict(answers.bad)}")
            _offered(row, rate, answers, spent)
            if p(answers.all, 0.95) > 1000:
                break
        _settled(row, bench, many)
    return [row]


def _offered(row: Row, rate: int, answers: Answers, spent: Mapping[str, float]) -> None:
    high = p(answers.all, 0.95)
    if rate == 30:
        row.most("p95 at 30 requests/s", high, 100, "ms")
        row.none("requests at 30/s that were not served", answers.bad.total())
    row.series.append(Samples(f"{rate}/s: p95 of all", "ms", [high]))
    row.series += [Samples(f"{rate}/s: {kind}", "ms", times) for kind, times in answers.times.items()]
    row.series += [Samples(f"{rate}/s: CPUs of {name}", "", [value]) for name, value in spent.items()]
    row.series.append(Samples(f"{rate}/s: not served", "", [answers.bad.total()]))


def _settled(row: Row, bench: Bench, many: Farm) -> None:
    """All that was accepted has an end, and none of the copies was touched."""
    postgres = many.fleet.postgres
    begun = time.monotonic()
    still_open = "SELECT count(*) FROM actions WHERE state = 'open'"
    while (left := int(postgres.sql(still_open))) and time.monotonic() < begun + ENDED_S:
        time.sleep(0.5)
    row.series.append(Samples("after the last request, until no action is open", "s", [time.monotonic() - begun]))
    row.none("actions without an end", left)
    if left:
        kinds = "SELECT verb, task_state, count(*) FROM actions JOIN instances ON instances.id = instance_id"
        kinds += " WHERE actions.state = 'open' GROUP BY 1, 2"
        bench.say(f"open: {postgres.sql(kinds)}")
    ends = "SELECT state, coalesce(message, ''), count(*) FROM actions GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 6"
    bench.say(f"actions: {postgres.sql(ends)}")
    odd = "SELECT count(*) FROM instances WHERE deleted_at IS NULL AND vm_state <> 'active'"
    row.none("instances that are not active", int(postgres.sql(odd)))
