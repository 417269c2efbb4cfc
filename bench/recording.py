# SPDX-License-Identifier: Apache-2.0
"""The cost of the record: CPU time of a conductor with and without it, in turns, in one fleet."""

from collections.abc import Iterator

from bench import processes
from bench.figures import Figure, Series
from bench.fleet_cloud import FleetCloud
from bench.load import all_active, run_load
from bench.run import Bench, Group
from bench.stats import median
from lab.fleet.fleet import Plan

SMALL = Plan(apis=1, conductors=1, hosts=1, real=False)
COUNT, CLIENTS, POLL_S = 60, 10, 0.2


def _measure(bench: Bench) -> Iterator[Figure]:
    plain: list[float] = []
    recorded: list[float] = []
    written: list[float] = []
    with FleetCloud(bench.directory(), SMALL) as cloud:
        image = cloud.small_image()
        config = cloud.fleet.directory / "conductor1.conf"
        without, record = config.read_text(), cloud.fleet.directory / "conductor1.record"
        for number in range(bench.n(10, 3)):
            for samples, text in ((plain, without), (recorded, f"{without}\n[record]\nfile = {record}\n")):
                config.write_text(text)
                samples.append(_round(cloud, image))
            written.append(record.stat().st_size / 1000 / COUNT)
            bench.say(f"record, round {number + 1}: {plain[-1]:.1f} ms without, {recorded[-1]:.1f} ms with it")
    yield Figure(
        "record_cost",
        [100 * (one / median(plain) - 1) for one in recorded],
        f"added CPU time of a conductor with [record] file, {COUNT} servers created and deleted by {CLIENTS} clients; "
        "each round is a process of its own, with and without in turns; n is rounds",
        Series("CPU time of the conductor per server without a record", plain, "CPU-ms"),
        {
            "recorded": Series("with a record", recorded, "CPU-ms"),
            "size": Series("size of the record per server", written, "kB"),
        },
        given=100 * (median(recorded) / median(plain) - 1),
    )


def _round(cloud: FleetCloud, image: str) -> float:
    """CPU-ms of the conductor per server, in a new process that has served some before."""
    (conductor,) = cloud.fleet.conductors
    conductor.stop(20.0)
    cloud.fleet.restart(conductor)
    options: dict[str, float | str] = {"concurrency": CLIENTS, "poll": POLL_S, "timeout": 200}
    run_load(cloud, image, "create,delete", limit_s=200, count=CLIENTS, **options)
    before = processes.cpu_seconds(conductor.pid)
    found = run_load(cloud, image, "create,delete", limit_s=500, count=COUNT, **options)
    all_active(found["create"], COUNT)
    return (processes.cpu_seconds(conductor.pid) - before) * 1000 / COUNT


GROUP = Group(("record_cost",), _measure)
