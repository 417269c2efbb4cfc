# SPDX-License-Identifier: Apache-2.0
"""Whether a build costs more when there are many servers already."""

import time
from collections.abc import Iterator

from bench.box import Box
from bench.figures import CannotMeasure, Figure, Series
from bench.load import all_active, run_load, servers
from bench.run import Bench, Group
from bench.stats import ratio

FEW = 100
BATCH = 400
"""So many that the load script's polling (it pauses four times as long as its last listing took) adds little."""
CHUNK = 500
"""Servers that fill the database are made in chunks of this many."""


class _Side:
    """A box with some servers, and the measurements of building on it."""

    def __init__(self, box: Box) -> None:
        self.box, self.image = box, box.small_image()
        self.rates: list[float] = []
        self.cpu: list[float] = []
        self.list_ms: list[float] = []

    def fill(self, bench: Bench, total: int) -> None:
        """Make servers through the API until there are so many."""
        for have in range(0, total, CHUNK):
            servers(self.box, self.image, min(CHUNK, total - have), 300)
            if total > CHUNK:
                bench.say(f"{min(have + CHUNK, total)} servers of {total}")

    def round(self) -> None:
        """Create `BATCH` servers by 20 clients, and delete them again."""
        options: dict[str, float | str] = {"count": BATCH, "concurrency": 20, "poll": 0.05, "timeout": 200}
        found = run_load(self.box, self.image, "create,delete", limit_s=450, **options)
        all_active(found["create"], BATCH)
        self.rates.append(found["create"]["servers_per_s"])
        self.cpu.append(found["create"]["cpu_s"]["total"] / BATCH)
        begun = time.perf_counter()
        self.box.web.expect(200, "GET", "/compute/v2.1/servers/detail?name=nobody")
        self.list_ms.append((time.perf_counter() - begun) * 1000)


def _measure(bench: Bench) -> Iterator[Figure]:
    total, rounds = bench.n(10_000, 1_000), bench.n(5, 3)
    with Box(bench.directory()) as first, Box(bench.directory()) as second:
        few, many = _Side(first), _Side(second)
        few.fill(bench, FEW)
        many.fill(bench, total)
        if len(second.server_ids()) != total:
            raise CannotMeasure(f"There are not {total} servers.")
        few.round()
        few.rates.clear()  # that one warmed it up
        few.cpu.clear()
        few.list_ms.clear()
        for _ in range(rounds):
            few.round()
            many.round()
    yield Figure(
        "build_rate_growth",
        [one / other for one, other in zip(many.rates, few.rates, strict=True)],
        f"create rate of {BATCH} servers by 20 clients with {total} servers on the host over that with {FEW}, two "
        "boxes in turns, all servers made through the API; n is rounds",
        Series(f"create rate with {FEW} servers", few.rates, "servers/s"),
        {
            "many": Series(f"create rate with {total} servers", many.rates, "servers/s"),
            "cpu_few": Series(f"CPU-s per create with {FEW} servers, polling included", few.cpu, "CPU-s"),
            "cpu_many": Series(f"CPU-s per create with {total} servers, polling included", many.cpu, "CPU-s"),
            "list_few": Series(f"a list by an unused name, {FEW} servers", few.list_ms, "ms"),
            "list_many": Series(f"the same with {total} servers", many.list_ms, "ms"),
        },
        given=ratio(many.rates, few.rates),
    )


GROUP = Group(("build_rate_growth",), _measure)
