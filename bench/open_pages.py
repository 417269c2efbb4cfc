# SPDX-License-Identifier: Apache-2.0
"""Open pages: how soon a change reaches them, how a long list scrolls, and what they cost while nothing changes."""

import selectors
import socket
import statistics
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from playwright.sync_api import Page

from bench.box import Box
from bench.browser import ROW, browser, constant_site, log_in
from bench.figures import CannotMeasure, Figure, Series
from bench.load import constant_control, constant_ms, servers
from bench.run import Bench, Group
from bench.scrolling import scroll_figure

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


_FOLLOW = """\
([row, id]) => {
  let wasLocked = false;
  window.benchSeen = [];
  const look = () => {
    const name = [...document.querySelectorAll(row)].find((each) => each.href.endsWith(id));
    const isLocked = Boolean(name?.parentElement.querySelector(".lock"));
    if (name && isLocked !== wasLocked) benchSeen.push(performance.timeOrigin + performance.now());
    if (name) wasLocked = isLocked;
  };
  new MutationObserver(look).observe(document.querySelector("main"), { childList: true, subtree: true });
}
"""
"""Keeps the times at which the row of a server shows that the server was locked or unlocked."""
_NOW = "performance.timeOrigin + performance.now()"
_SEEN = """\
(count) => new Promise((done, failed) => {
  const until = performance.now() + LIMIT;
  const look = () => {
    if (benchSeen.length >= count) done(benchSeen[count - 1]);
    else if (performance.now() > until) failed(new Error("the page does not show a change"));
    else setTimeout(look, 5);
  };
  look();
})
""".replace("LIMIT", f"{LIMIT_S * 1e3:g}")


def _behind_ms(page: Page) -> float:
    """How far the clock of a page is behind this process's."""
    before = time.time()
    theirs = float(page.evaluate(_NOW))
    return (before + time.time()) / 2 * 1e3 - theirs


def _change_ms(box: Box, opened: Pages, page: Page, n: int) -> tuple[list[float], list[float]]:
    """From the request of a change until a browser shows it, and until its event is at the last page."""
    server = str(page.locator(ROW).first.get_attribute("href")).rpartition("/")[2]
    page.evaluate(_FOLLOW, [ROW, server])
    shown: list[float] = []
    received: list[float] = []
    for at in range(n):
        action, event = ("unlock", b"instance.unlock") if at % 2 else ("lock", b"instance.lock")
        behind = _behind_ms(page)
        begun, wall = time.monotonic(), time.time() * 1e3
        box.web.expect(202, "POST", f"/compute/v2.1/servers/{server}/action", {action: None})
        received.append((opened.wait(event) - begun) * 1e3)
        shown.append(float(page.evaluate(_SEEN, at + 1)) + behind - wall)
        time.sleep(PAUSE_S)
    return shown, received


def _browser_figures(bench: Bench, box: Box, count: int) -> Iterator[Figure]:
    """What a browser shows of that many servers."""
    control = constant_control(constant_ms(box, 50))
    with constant_site() as constant, browser() as started:
        page, plain = started.new_page(), started.new_page()
        log_in(page, box)
        page.locator(ROW).first.wait_for()
        plain.goto(f"{constant}/rows")
        bench.say(f"scrolling {count} servers")
        yield scroll_figure(page, plain, count, bench.n(5, 2))
        with pages(box, PAGES) as opened:
            bench.say(f"changes before {PAGES} open pages and a browser")
            shown, received = _change_ms(box, opened, page, bench.n(100, 20))
    p95 = statistics.quantiles(received, n=20)[-1]
    yield Figure(
        "event_p95_ms",
        shown,
        f"from the request of a change until Chromium shows it in the list of {count} servers, p95, while {PAGES} "
        f"other pages receive its event",
        control,
        {"streams": Series(f"p95 until the event is at the last of the {PAGES} pages", received, "ms", p95)},
        given=statistics.quantiles(shown, n=20)[-1],
    )


def _cpu_per_minute(box: Box, window_s: float) -> float:
    before, begun = box.cpu_seconds(), time.monotonic()
    time.sleep(window_s)
    return (box.cpu_seconds() - before) / (time.monotonic() - begun) * 60


def _measure(bench: Bench) -> Iterator[Figure]:
    window_s = 60.0 if not bench.quick else 20.0
    with Box(bench.directory(), config=CONFIG) as box:
        count = bench.n(SERVERS, 100)
        servers(box, box.small_image(), count, 400)
        yield from _browser_figures(bench, box, count)
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


GROUP = Group(("scroll_frame_ms", "event_p95_ms", "idle_page_cpu_ms"), _measure)
