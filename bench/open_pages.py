# SPDX-License-Identifier: Apache-2.0
"""Open pages: how soon a change reaches them, and what they cost while nothing changes."""

import selectors
import socket
import statistics
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from bench.box import Box
from bench.figures import CannotMeasure, Figure, Series
from bench.load import constant_control, constant_ms, servers
from bench.run import Bench, Group

SERVERS = 1000
PAGES = 50
IDLE_PAGES = 200
"""Enough for their cost to stand out from that of the box."""
LIMIT_S = 10.0
PAUSE_S = 0.15
"""Longer than the conductor's pause between two looks at the outbox: each change is alone."""
CONFIG = """\
[quota]
instances = -1
cores = -1
ram = -1
[api]
max_connections_per_peer = 900
[ui]
max_streams_per_user = 900
"""


class Pages:
    """Event streams, each on its own connection and with its own token."""

    def __init__(self, box: Box, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._sockets = [self._opened(box) for _ in range(count)]

    def _opened(self, box: Box) -> socket.socket:
        identity = {"methods": ["token"], "token": {"id": box.token}}
        path = "/identity/v3/auth/tokens?nocatalog"
        token = box.web.expect(201, "POST", path, {"auth": {"identity": identity}}).headers["x-subject-token"]
        page = socket.create_connection(("127.0.0.1", box.port), timeout=LIMIT_S)
        page.sendall(f"GET /ui/events HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Auth-Token: {token}\r\n\r\n".encode())
        answer = b""
        while b"event: ready" not in answer:
            if not (piece := page.recv(65536)):
                raise CannotMeasure(f"A page has no events: {answer[:200].decode(errors='replace')}")
            answer += piece
        self._selector.register(page, selectors.EVENT_READ)
        return page

    def wait(self, event: bytes) -> float:
        """Wait until each page has received the event; when the last one did."""
        missing, until = set(self._sockets), time.monotonic() + LIMIT_S
        while missing:
            for key, _ in self._selector.select(timeout=max(0.0, until - time.monotonic())):
                page = key.fileobj
                if isinstance(page, socket.socket) and event in page.recv(65536):
                    missing.discard(page)
            if time.monotonic() > until:
                raise CannotMeasure(f"{len(missing)} pages did not receive {event.decode()} within {LIMIT_S:g} s")
        return time.monotonic()

    def close(self) -> None:
        """Close all of them."""
        for page in self._sockets:
            page.close()
        self._selector.close()


@contextmanager
def pages(box: Box, count: int) -> Generator[Pages]:
    """So many open pages."""
    opened = Pages(box, count)
    try:
        yield opened
    finally:
        opened.close()


def _change_ms(box: Box, opened: Pages, server: str, n: int) -> list[float]:
    """From the request of a change to its event at the last page."""
    found: list[float] = []
    for at in range(n):
        action, event = ("unlock", b"instance.unlock") if at % 2 else ("lock", b"instance.lock")
        begun = time.monotonic()
        box.web.expect(202, "POST", f"/compute/v2.1/servers/{server}/action", {action: None})
        found.append((opened.wait(event) - begun) * 1e3)
        time.sleep(PAUSE_S)
    return found


def _cpu_per_minute(box: Box, window_s: float) -> float:
    before, begun = box.cpu_seconds(), time.monotonic()
    time.sleep(window_s)
    return (box.cpu_seconds() - before) / (time.monotonic() - begun) * 60


def _measure(bench: Bench) -> Iterator[Figure]:
    window_s = 60.0 if not bench.quick else 20.0
    with Box(bench.directory(), config=CONFIG) as box:
        count = bench.n(SERVERS, 100)
        servers(box, box.small_image(), count, 400)
        control = constant_ms(box, 50)
        with pages(box, PAGES) as opened:
            bench.say(f"changes before {PAGES} open pages")
            changes = _change_ms(box, opened, box.server_ids()[0], bench.n(100, 20))
        yield Figure(
            "event_p95_ms",
            changes,
            f"from the request of a change to its event at the last of {PAGES} pages, p95, with {count} servers",
            constant_control(control),
            given=statistics.quantiles(changes, n=20)[-1],
        )
        alone = _cpu_per_minute(box, window_s)
        with pages(box, IDLE_PAGES):
            bench.say(f"{IDLE_PAGES} open pages for {window_s:g} s")
            spent = _cpu_per_minute(box, window_s)
    yield Figure(
        "idle_page_cpu_ms",
        [(spent - alone) / IDLE_PAGES * 1e3],
        f"{IDLE_PAGES} event streams with a token each for {window_s:g} s, without the cost of the same box before",
        Series("the same box without pages", [alone], "CPU-s/min"),
    )


GROUP = Group(("event_p95_ms", "idle_page_cpu_ms"), _measure)
