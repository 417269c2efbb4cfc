# SPDX-License-Identifier: Apache-2.0
"""The first load of the web page: its bytes, and the time until one can use it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, BrowserContext, StorageState

from bench.box import Box
from bench.browser import LOGIN, ROW, browser, constant_site, log_in, shown_ms, watch
from bench.figures import Figure, Series
from bench.load import servers
from bench.run import Bench, Group

SERVERS = 20
QUIET_MS = 300


@dataclass
class _Transfer:
    """What a page has received, in bytes."""

    contents: int = 0
    with_headers: int = 0
    files: int = 0

    def response(self, event: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in event["response"]["headers"].items()}
        self.contents += int(headers.get("content-length", 0))

    def finished(self, event: dict[str, Any]) -> None:
        self.with_headers += int(event["encodedDataLength"])
        self.files += 1


def _transfer(context: BrowserContext, url: str, selector: str) -> _Transfer:
    """Load an address in a context without a cache."""
    page, found = context.new_page(), _Transfer()
    session = context.new_cdp_session(page)
    session.on("Network.responseReceived", found.response)
    session.on("Network.loadingFinished", found.finished)
    session.send("Network.enable")
    watch(page, selector)
    shown_ms(page, url)
    page.wait_for_timeout(QUIET_MS)  # what the page loads after it is shown
    page.close()
    return found


def _first_ms(started: Browser, url: str, selector: str, cookies: StorageState | None = None) -> float:
    """Milliseconds until an element is shown, in a context of its own: nothing is in its cache."""
    context = started.new_context(storage_state=cookies)
    try:
        page = context.new_page()
        watch(page, selector)
        return shown_ms(page, url)
    finally:
        context.close()


def _bytes(started: Browser, box: Box, constant: str, cookies: StorageState) -> Figure:
    loads: dict[str, _Transfer] = {}
    for name, url, selector, state in (
        ("login", f"{box.url}/ui/", LOGIN, None),
        ("list", f"{box.url}/ui/servers", ROW, cookies),
        ("constant", f"{constant}/login", LOGIN, None),
    ):
        context = started.new_context(storage_state=state)
        loads[name] = _transfer(context, url, selector)
        context.close()
    login = loads["login"]
    return Figure(
        "page_load_kb",
        [login.contents / 1e3],
        f"contents (gzip) of the {login.files} files from an empty cache to the login, 1 kB is 1,000 bytes",
        Series("a constant page with one field", [loads["constant"].contents / 1e3], "kB"),
        {
            "with_headers": Series("the same with the headers of HTTP", [login.with_headers / 1e3], "kB"),
            "list": Series(
                f"from an empty cache to the list of {SERVERS} servers, with the replies of the API",
                [loads["list"].contents / 1e3],
                "kB",
            ),
        },
    )


def _times(bench: Bench, started: Browser, box: Box, constant: str, cookies: StorageState) -> Figure:
    login: list[float] = []
    first: list[float] = []
    again: list[float] = []
    control: list[float] = []
    warm = started.new_context(storage_state=cookies)
    page = warm.new_page()
    watch(page, ROW)
    shown_ms(page, f"{box.url}/ui/servers")
    for _ in range(bench.n(20, 5)):
        control.append(_first_ms(started, f"{constant}/login", LOGIN))
        login.append(_first_ms(started, f"{box.url}/ui/", LOGIN))
        first.append(_first_ms(started, f"{box.url}/ui/servers", ROW, cookies))
        again.append(shown_ms(page, f"{box.url}/ui/servers"))
    warm.close()
    series = {
        "login": Series("the login, from an empty cache", login, "ms"),
        "list": Series(f"the list of {SERVERS} servers, from an empty cache, with a session", first, "ms"),
        "list_again": Series("the same list after a reload", again, "ms"),
    }
    worst = max(series.values(), key=lambda one: one.value)
    return Figure(
        "page_ready_ms",
        worst.samples,
        f"from the beginning of the navigation until the first field or row is drawn in Chromium, in turns with the "
        f"control; the worst of {len(series)} kinds ({worst.what})",
        Series("a constant page with one field, in the same way", control, "ms"),
        series,
    )


def _measure(bench: Bench) -> Iterator[Figure]:
    with Box(bench.directory()) as box:
        servers(box, box.small_image(), SERVERS, 60)
        with constant_site() as constant, browser() as started:
            context = started.new_context()
            log_in(context.new_page(), box)
            cookies = context.storage_state()
            context.close()
            yield _bytes(started, box, constant, cookies)
            yield _times(bench, started, box, constant, cookies)


GROUP = Group(("page_load_kb", "page_ready_ms"), _measure)
