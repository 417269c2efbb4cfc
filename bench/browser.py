# SPDX-License-Identifier: Apache-2.0
"""The web page in a real browser, and constant pages as its control."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from playwright.sync_api import Browser, Error, Page

from bench.box import Box, password_in
from bench.figures import CannotMeasure
from lab.browser import chromium
from lab.common import LabError

LIMIT_MS = 30_000
CONSTANT_ROWS = 1000
ROW_PX = 37
"""About the height of a row of the page's tables."""
LOGIN = "input[type=password]"
ROW = "main tbody a.name"

_WATCH = """\
window.benchShown = new Promise((done) => {
  const look = (_, observer) => {
    if (!document.querySelector(%s)) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now())));
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
});
"""
"""Resolves to the milliseconds from the beginning of the navigation until an element is in a frame that was drawn."""


@contextmanager
def browser() -> Generator[Browser]:
    """A browser.  Raises CannotMeasure, also for what Playwright reports."""
    try:
        with chromium() as started:
            yield started
    except LabError as exc:
        raise CannotMeasure(exc.sentence) from exc
    except Error as exc:
        raise CannotMeasure(f"The browser: {exc.message.splitlines()[0]}") from exc


def watch(page: Page, selector: str) -> None:
    """Let each further navigation of the page record when such an element is shown."""
    page.set_default_timeout(LIMIT_MS)
    page.add_init_script(_WATCH % json.dumps(selector))


def shown_ms(page: Page, url: str) -> float:
    """Navigate; milliseconds from the beginning until the watched element is drawn."""
    page.goto(url, wait_until="commit")
    return float(page.evaluate("benchShown"))


def log_in(page: Page, box: Box, path: str = "/servers") -> None:
    """Log in as the administrator; the page of `path` begins to load then."""
    page.set_default_timeout(LIMIT_MS)
    page.goto(f"{box.url}/ui{path}")
    page.get_by_label("User").fill("admin")
    page.get_by_label("Password").fill(password_in(box.clouds.read_text()))
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("heading", level=1).wait_for()


_CELLS = f'<td height="{ROW_PX}"><a class="name" href="#">row</a></td>' + "<td>text</td>" * 7
_PAGES = {
    "/login": '<!doctype html><title>Constant</title><input type="password">',
    "/rows": f"<!doctype html><title>Constant</title><main><table width='100%'><tbody>"
    f"{f'<tr>{_CELLS}</tr>' * CONSTANT_ROWS}</tbody></table></main>",
}


class _Constant(BaseHTTPRequestHandler):
    """Documents without scripts and styles."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = _PAGES.get(self.path, "").encode()  # a browser requests an icon, too
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def constant_site() -> Generator[str]:
    """The address of constant pages: /login with one field, /rows with a table of 1,000 rows."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Constant)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
