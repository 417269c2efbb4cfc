# SPDX-License-Identifier: Apache-2.0
"""GET /servers/{id} under a fast client."""

from collections.abc import Iterator

from bench.box import Box
from bench.figures import Figure, Series
from bench.load import CONSTANT, Burst, servers, wrk
from bench.run import Bench, Group

SERVERS = 200
CONNECTIONS = 16


def _measure(bench: Bench) -> Iterator[Figure]:
    seconds, rounds = bench.n(5, 3), 3
    gets: list[Burst] = []
    constant: list[Burst] = []
    with Box(bench.directory()) as box:
        servers(box, box.small_image(), SERVERS, 200)
        ids = box.server_ids()
        scratch = bench.directory()
        wrk(box, scratch, "/compute/v2.1/servers/", ids, 1)  # warms up
        for _ in range(rounds):
            gets.append(wrk(box, scratch, "/compute/v2.1/servers/", ids, seconds))
            constant.append(wrk(box, scratch, CONSTANT, [""], seconds))
    how = (
        f"wrk, 1 thread, {CONNECTIONS} connections, over {SERVERS} servers in turn, {seconds} s a round, in turns with "
        "the control"
    )
    latency = Series("p50 of a request under that load", [burst.p50_ms for burst in gets], "ms")
    yield Figure(
        "get_cpu_ms",
        [burst.cpu_ms for burst in gets],
        f"{how}; CPU of the box over the number of requests",
        Series(f"GET {CONSTANT} in the same way", [burst.cpu_ms for burst in constant], "CPU-ms"),
    )
    yield Figure(
        "get_rate",
        [burst.rate for burst in gets],
        how,
        Series(f"GET {CONSTANT} in the same way", [burst.rate for burst in constant], "requests/s"),
        {"p50": latency},
    )


GROUP = Group(("get_cpu_ms", "get_rate"), _measure)
