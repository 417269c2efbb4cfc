# SPDX-License-Identifier: Apache-2.0
"""Whether a build costs more when there are many servers already."""

from collections.abc import Iterator

from bench.box import FLAVOR, Box
from bench.figures import CannotMeasure, Figure, Series
from bench.load import all_active, run_load, servers
from bench.run import Bench, Group
from bench.stats import ratio

FEW = 100
BATCH = 100
ROUNDS = 3
CHUNK = 500
"""Servers that fill the database are made in chunks of this many."""


class _Rates:
    """Servers per second, and CPU-seconds of the box per server, of some rounds."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.cpu: list[float] = []

    def measure(self, box: Box, image: str, rounds: int) -> None:
        """Creates and deletes `BATCH` servers by 20 clients, some times."""
        for _ in range(rounds):
            options: dict[str, float | str] = {"count": BATCH, "concurrency": 20, "poll": 0.05, "timeout": 200}
            found = run_load(box, image, "create,delete", limit_s=450, **options)
            all_active(found["create"], BATCH)
            self.rates.append(found["create"]["servers_per_s"])
            self.cpu.append(found["create"]["cpu_s"]["total"] / BATCH)


def _measure(bench: Bench) -> Iterator[Figure]:
    many = bench.n(10_000, 1_000)
    few_rates, many_rates = _Rates(), _Rates()
    with Box(bench.directory()) as box:
        image = box.small_image()
        servers(box, image, FEW, 100)
        _Rates().measure(box, image, 1)  # warms up
        few_rates.measure(box, image, ROUNDS)
        for have in range(FEW, many, CHUNK):
            servers(box, image, min(CHUNK, many - have), 300)
            bench.say(f"{min(have + CHUNK, many)} servers of {many}")
        many_rates.measure(box, image, ROUNDS)
        _still_there(box, image)
    yield Figure(
        "build_rate_growth",
        [one / few for one, few in zip(many_rates.rates, few_rates.rates, strict=True)],
        f"create rate of {BATCH} servers by 20 clients with {many} servers on the host over that with {FEW}; all "
        "made through the API; n is rounds",
        Series(f"servers per second with {FEW} servers, on the same box", few_rates.rates, "servers/s"),
        {
            "many": Series(f"servers per second with {many} servers", many_rates.rates, "servers/s"),
            "cpu_few": Series(f"CPU-s per create with {FEW} servers, watching included", few_rates.cpu, "CPU-s"),
            "cpu_many": Series(f"CPU-s per create with {many} servers, watching included", many_rates.cpu, "CPU-s"),
        },
        given=ratio(many_rates.rates, few_rates.rates),
    )


def _still_there(box: Box, image: str) -> None:
    """One more server still comes up: the box is whole after all that."""
    found = run_load(box, image, "latency", limit_s=60, repeat=1, poll=0.05, timeout=30)["latency"]
    if found["states"] != {"ACTIVE": 1}:
        raise CannotMeasure(f"After the growth a server of flavor {FLAVOR} ended as {found['states']}")


GROUP = Group(("build_rate_growth",), _measure)
