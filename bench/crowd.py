# SPDX-License-Identifier: Apache-2.0
"""Twenty clients on the fake driver: rates, CPU per server, and long lists."""

from collections.abc import Iterator

from bench.box import Box
from bench.database import bare_commits_ms
from bench.figures import Figure, Series
from bench.load import all_active, constant_control, constant_ms, constant_rate, run_load, servers
from bench.run import Bench, Group

COUNT = 200
CLIENTS = 20
POLL_S = 0.05


def _measure(bench: Bench) -> Iterator[Figure]:
    rounds = bench.n(5, 3)
    made: list[float] = []
    gone: list[float] = []
    lists: list[float] = []
    crowd_cpu: list[float] = []
    create_cpu: list[float] = []
    list_cpu: list[float] = []
    ceiling: list[float] = []
    constant: list[float] = []
    with Box(bench.directory()) as box:
        image = box.small_image()
        options: dict[str, float | str] = {"concurrency": CLIENTS, "poll": POLL_S, "timeout": 200}
        run_load(box, image, "create,delete", limit_s=100, count=20, **options)  # the first ones warm up
        for number in range(rounds):
            ceiling.append(constant_rate(box, 400, CLIENTS))
            constant += constant_ms(box, 50)
            found = run_load(box, image, "create,list,delete", limit_s=500, count=COUNT, **options)
            all_active(found["create"], COUNT)
            made.append(found["create"]["servers_per_s"])
            gone.append(found["delete"]["servers_per_s"])
            lists += found["list"]["detail_ms"]["raw"]
            list_cpu.append(found["list"]["cpu_s"]["total"] / len(found["list"]["detail_ms"]["raw"]))
            create_cpu.append(found["create"]["cpu_s"]["total"] / COUNT)
            crowd_cpu.append(create_cpu[-1] + found["delete"]["cpu_s"]["total"] / COUNT)
            bench.say(f"crowd {number + 1}/{rounds}: {made[-1]:g} made and {gone[-1]:g} deleted a second")
        n = bench.n(20, 10)
        alone = [
            run_load(box, image, "latency", limit_s=200, repeat=n, poll=POLL_S, timeout=20)["latency"] for _ in range(3)
        ]
    one_by_one = [found["cpu_s"]["total"] / n for found in alone]
    how = f"load script, {COUNT} servers by {CLIENTS} clients, until a list shows a final state for each; n is rounds"
    control = Series(f"GET /healthz by {CLIENTS} clients of the same kind: the client's own ceiling", ceiling, "1/s")
    commits = Series(
        "bare SQLite transactions, synchronous=FULL, on the same file system", bare_commits_ms(bench), "ms"
    )
    yield Figure("create_rate", made, how, control, {"bare_commit": commits})
    yield Figure("delete_rate", gone, how, control, {"bare_commit": commits})
    yield Figure(
        "list_detail_200_ms",
        lists,
        f"load script, GET /servers/detail of {COUNT} servers",
        constant_control(constant),
        {"cpu_s": Series("CPU-s of the box per list", list_cpu, "CPU-s")},
    )
    variants = {
        "one_by_one": Series(
            f"created and deleted one by one, polling every {POLL_S * 1000:g} ms", one_by_one, "CPU-s"
        ),
        "crowd": Series(f"created and deleted by {CLIENTS} clients", crowd_cpu, "CPU-s"),
        "crowd_create": Series("the creation alone", create_cpu, "CPU-s"),
    }
    worst = max(variants["one_by_one"], variants["crowd"], key=lambda series: series.value)
    yield Figure(
        "cpu_s_per_server",
        worst.samples,
        f"all processes, polling included; the worse of one by one and by {CLIENTS} clients; n is rounds",
        Series("one bare SQLite commit, of which a server's life needs several", commits.samples, "ms"),
        variants,
    )


def _long_list(bench: Bench) -> Iterator[Figure]:
    with Box(bench.directory()) as box:
        image = box.small_image()
        servers(box, image, 1000, 300)
        constant = constant_ms(box, 50)
        n = bench.n(20, 10)
        found = run_load(box, image, "list", limit_s=120, list_repeat=n)["list"]
        constant += constant_ms(box, 50)
    assert found["servers"] == 1000
    cpu = Series("CPU-s of the box per list", [found["cpu_s"]["total"] / n], "CPU-s")
    how = f"load script, GET /servers/detail?limit=1000 of 1000 servers, {found['bytes']} bytes"
    yield Figure("list_detail_1000_ms", found["detail_ms"]["raw"], how, constant_control(constant), {"cpu_s": cpu})


CROWD = Group(("create_rate", "delete_rate", "cpu_s_per_server", "list_detail_200_ms"), _measure)
LONG_LIST = Group(("list_detail_1000_ms",), _long_list)
