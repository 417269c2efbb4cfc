# SPDX-License-Identifier: Apache-2.0
"""The cost of the box without requests: CPU and memory with 200 servers."""

import time
from collections.abc import Iterator

from bench import processes
from bench.box import Box
from bench.figures import Figure, Series
from bench.load import servers
from bench.run import Bench, Group

SERVERS = 200
WINDOW_S = 130.0
"""Longer than the longest default period (sync_power_state_interval, 120 s)."""
QUICK_WINDOW_S = 26.0
QUICK = """\
[DEFAULT]
report_interval = 2
action_poll_interval = 3
update_resources_interval = 12
sync_power_state_interval = 24
[conductor]
watchdog_interval = 1
"""
"""Every period that can be configured, at a fifth."""
SETTLE_S = 5.0


def _measure(bench: Bench) -> Iterator[Figure]:
    config = QUICK if bench.quick else ""
    window = QUICK_WINDOW_S if bench.quick else WINDOW_S
    with Box(bench.directory(), config=config) as box, Box(bench.directory(), config=config) as empty:
        fresh = empty.pss_mib()
        image = box.small_image()
        begin_pss = box.pss_mib()
        servers(box, image, SERVERS, 200)
        time.sleep(SETTLE_S)
        full = [box.pss_mib() for _ in range(3)]
        # Both at once: what disturbs one disturbs the other.
        before = box.cpu_seconds(), empty.cpu_seconds()
        begun = time.monotonic()
        bench.say(f"idle for {window:g} s")
        time.sleep(window)
        minutes = (time.monotonic() - begun) / 60
        spent = (box.cpu_seconds() - before[0]) / minutes
        spent_empty = (empty.cpu_seconds() - before[1]) / minutes
        later, count = box.pss_mib(), processes.count(box.process.pid)
    yield Figure(
        "pss_mib",
        [*full, later],
        f"PSS of all processes ({count}) with {SERVERS} servers (fake driver): 3 looks, and one after the idle time",
        Series("a box that has just become ready, without servers", [fresh], "MiB"),
        {"before_servers": Series("the same box before its first server, an image uploaded", [begin_pss], "MiB")},
    )
    scaling = (
        "every configurable period at a fifth, NOT scaled back: an upper bound" if bench.quick else "default periods"
    )
    yield Figure(
        "idle_cpu",
        [spent],
        f"{SERVERS} servers, one window of {window:g} s, {scaling}",
        Series("a box without servers at the same time", [spent_empty], "CPU-s/min"),
    )


GROUP = Group(("pss_mib", "idle_cpu"), _measure)
