# SPDX-License-Identifier: Apache-2.0
"""A fleet on the fake driver: two API processes behind a balancer, two conductors, three hosts, PostgreSQL, NATS."""

import time
from collections.abc import Iterator

from bench.box import FLAVOR
from bench.figures import Figure, Series
from bench.fleet_cloud import Counts, FleetCloud
from bench.load import all_active, constant_control, constant_ms, constant_rate, run_load
from bench.run import Bench, Group
from lab.common import LabError

POLL_S = 0.002
CROWD_POLL_S = 0.05
COUNT, CLIENTS = 200, 20
SETTLE_S = 0.5
"""A create on the fake driver has ended after this time, and so have its reports."""
REPORTS_S = 2.0
"""PostgreSQL publishes its statistics at most so much later."""


def _latency(bench: Bench) -> Iterator[Figure]:
    n = bench.n(40, 15)
    with FleetCloud(bench.directory()) as cloud:
        image = cloud.small_image()
        run_load(cloud, image, "latency", limit_s=60, repeat=6, poll=POLL_S, timeout=20)  # the first ones warm up
        before = constant_ms(cloud, 100)
        found = run_load(cloud, image, "latency", limit_s=300, repeat=n, poll=POLL_S, timeout=20)["latency"]
        control = constant_control(before + constant_ms(cloud, 100))
        all_active(found, n)
        how = f"load script, phase latency, one server after another, polling every {POLL_S * 1000:g} ms; p50"
        cpu = {"cpu_s": Series("CPU-s of all processes per server, its polling included", _per(found, n), "CPU-s")}
        yield Figure("fleet_post_to_active_ms", found["post_to_active_ms"]["raw"], how, control, cpu)
        yield from _rates(bench, cloud, image)
        yield from _counted(bench, cloud, image)


def _per(found: dict[str, dict[str, float]], n: int) -> list[float]:
    return [found["cpu_s"]["total"] / n]


def _rates(bench: Bench, cloud: FleetCloud, image: str) -> Iterator[Figure]:
    made: list[float] = []
    ceiling: list[float] = []
    cpu: list[float] = []
    options: dict[str, float | str] = {"concurrency": CLIENTS, "poll": CROWD_POLL_S, "timeout": 200}
    for number in range(bench.n(5, 2)):
        ceiling.append(constant_rate(cloud, 400, CLIENTS))
        found = run_load(cloud, image, "create,delete", limit_s=500, count=COUNT, **options)
        all_active(found["create"], COUNT)
        made.append(found["create"]["servers_per_s"])
        cpu.append(found["create"]["cpu_s"]["total"] / COUNT)
        bench.say(f"fleet, round {number + 1}: {made[-1]:g} servers/s, {cpu[-1] * 1000:.0f} CPU-ms each")
    yield Figure(
        "fleet_create_rate",
        made,
        f"load script, {COUNT} servers by {CLIENTS} clients, until a list shows a final state for each; n is rounds",
        Series(f"GET /healthz by {CLIENTS} clients of the same kind: the client's own ceiling", ceiling, "1/s"),
        {"cpu_s": Series("CPU-s of all processes per server", cpu, "CPU-s")},
    )


def _counted(bench: Bench, cloud: FleetCloud, image: str) -> Iterator[Figure]:
    """A window of creates without any poll, against a window of the same length without creates."""
    cloud.count_statements()
    n, rounds = 20, bench.n(5, 2)
    made: list[Counts] = []
    idle: list[Counts] = []
    for _ in range(rounds):
        idle.append(_window(cloud, image, 0, n))
        made.append(_window(cloud, image, n, n))
    how = (
        f"{n} creates, one each {SETTLE_S:g} s, without polling; counted by the engine, less what an equal time "
        "without creates takes; n is rounds"
    )
    for key, name in (
        ("fleet_create_statements", "statements"),
        ("fleet_create_messages", "messages"),
        ("fleet_create_fsyncs", "fsyncs"),
    ):
        rest = [float(getattr(one, name)) for one in idle]
        samples = [(getattr(one, name) - less) / n for one, less in zip(made, rest, strict=True)]
        yield Figure(key, samples, how, Series("the time without creates, in all", rest, name))


def _window(cloud: FleetCloud, image: str, creates: int, pauses: int) -> Counts:
    time.sleep(REPORTS_S)
    before = cloud.counts()
    for number in range(pauses):
        begun = time.monotonic()
        if number < creates:
            body = {"server": {"name": "counted", "imageRef": image, "flavorRef": FLAVOR, "networks": "auto"}}
            cloud.web.expect(202, "POST", "/compute/v2.1/servers", body)
        time.sleep(max(0.0, begun + SETTLE_S - time.monotonic()))
    time.sleep(REPORTS_S)
    try:
        return cloud.counts() - before
    finally:
        if creates:
            _all_active(cloud)


def _all_active(cloud: FleetCloud) -> None:
    servers = cloud.web.expect(200, "GET", "/compute/v2.1/servers/detail?name=counted").json()["servers"]
    states = {server["status"] for server in servers}
    if states != {"ACTIVE"}:
        raise LabError(f"The counted servers are {states}.")


GROUP = Group(
    (
        "fleet_post_to_active_ms",
        "fleet_create_rate",
        "fleet_create_statements",
        "fleet_create_messages",
        "fleet_create_fsyncs",
    ),
    _latency,
)
