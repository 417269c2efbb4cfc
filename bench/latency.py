# SPDX-License-Identifier: Apache-2.0
"""One server after another on the fake driver: POST, POST to ACTIVE, DELETE to gone."""

from collections.abc import Iterator

from bench.box import Box
from bench.figures import Figure, Series
from bench.load import all_active, constant_control, constant_ms, run_load
from bench.run import Bench, Group

POLL_S = 0.002


def _measure(bench: Bench) -> Iterator[Figure]:
    n = bench.n(40, 15)
    with Box(bench.directory()) as box:
        image = box.small_image()
        run_load(box, image, "latency", limit_s=60, repeat=3, poll=POLL_S, timeout=20)  # the first ones warm up
        before = constant_ms(box, 100)
        found = run_load(box, image, "latency", limit_s=300, repeat=n, poll=POLL_S, timeout=20)["latency"]
        control = constant_control(before + constant_ms(box, 100))
    all_active(found, n)
    how = f"load script, phase latency, one server after another, polling every {POLL_S * 1000:g} ms; p50"
    cpu = Series("CPU-s of the box per server, its polling included", [found["cpu_s"]["total"] / n], "CPU-s")
    yield Figure("post_ms", found["post_ms"]["raw"], f"{how}; the 202 alone", control)
    yield Figure("post_to_active_ms", found["post_to_active_ms"]["raw"], how, control, {"cpu_s": cpu})
    yield Figure("delete_to_gone_ms", found["delete_to_gone_ms"]["raw"], how, control)


GROUP = Group(("post_ms", "post_to_active_ms", "delete_to_gone_ms"), _measure)
