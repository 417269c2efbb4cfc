# SPDX-License-Identifier: Apache-2.0
"""The page's files: which path answers with what, under which headers."""

import base64
import gzip
import hashlib
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from kilonova.api.app import create_app
from kilonova.api.http.route import Service
from kilonova.api.ui.doctor import Doctor
from kilonova.api.ui.feed import EventFeed
from kilonova.api.ui.files import content_security_policy
from kilonova.api.ui.routes import service
from kilonova.api.ui.sampler import Sampler
from kilonova.base.threads import DaemonWorkers
from kilonova.config.load import load
from kilonova.config.ui import UiSettings
from kilonova.ui.assets import STATIC, Assets, read
from kilonova.wiring.examiner import Examiner
from tests.service.api import Api, running_api
from tests.service.test_api_http import connected, wired

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
MAP = '{"imports": {"preact": "/ui/static/vendor/preact.js"}}'
INDEX = f"""<!doctype html><script type="importmap">{MAP}</script>
<script type="module" src="/ui/static/app/main.js"></script>"""
MAIN = "import { t } from './words/en.js'; export const text = '';" + " " * 400


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """Files as the page has them."""
    for name, text in {
        "index.html": INDEX,
        "app/main.js": MAIN,
        "app/words/en.js": "export const t = 1;",
        "vendor/preact.js": "export {};",
        "vendor/preact.LICENSE": "MIT",
        "app/style/page.css": "a{}",
    }.items():
        path = tmp_path / "static" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "static"


@pytest.fixture
async def browser(api: Api, static: Path) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a service with these files."""
    app = create_app(api.cloud.box.app.deps, page=page_of(api, static))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://box") as http:
        yield http


def page_of(api: Api, static: Path) -> Service:
    deps = api.cloud.box.app.deps
    sampler = Sampler(deps.db, deps.rpc, deps.clock)
    feed, doctor = EventFeed(deps.db, UiSettings(), 1), Doctor(Examiner(load(), deps.clock).examine, "box1")
    return service(Assets(DaemonWorkers("page", 1), static), feed, sampler, doctor)


def version_in(text: str) -> str:
    found = re.search(r"/ui/static/([0-9a-f]{16})/app/main\.js", text)
    assert found is not None, text
    return found[1]


async def test_every_path_that_is_no_file_answers_with_the_page(browser: httpx.AsyncClient) -> None:
    texts = set[str]()
    for path in ("/ui", "/ui/", "/ui/servers", "/ui/servers/0b0c/console", "/ui/session", "/ui/%2e%2e/x"):
        reply = await browser.get(path)
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert reply.headers["cache-control"] == "no-cache"
        texts.add(reply.text)
    (text,) = texts
    assert text.replace(f"{version_in(text)}/", "") == INDEX


async def test_the_policy_permits_files_of_the_service_and_the_import_map_only(browser: httpx.AsyncClient) -> None:
    reply = await browser.get("/ui/")
    found = re.search(r"<script type=\"importmap\">(.*?)</script>", reply.text)
    assert found is not None
    digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
    policy = dict(part.split(" ", 1) for part in reply.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": f"'self' 'sha256-{digest}'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "connect-src": "'self'",
        "font-src": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    for path in ("/ui/", "/ui/static/app/main.js"):
        headers = (await browser.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"


async def test_a_file_below_the_version_may_be_kept_and_any_other_is_compared(browser: httpx.AsyncClient) -> None:
    version = version_in((await browser.get("/ui/")).text)
    for path, kept in ((f"{version}/app/main.js", "immutable"), ("app/main.js", "no-cache")):
        reply = await browser.get(f"/ui/static/{path}")
        assert (reply.status_code, reply.text) == (200, MAIN)
        assert reply.headers["content-type"] == "text/javascript; charset=utf-8"
        assert kept in reply.headers["cache-control"]
        again = await browser.get(
            f"/ui/static/{path}", headers={"If-None-Match": f'"other", W/{reply.headers["etag"]}'}
        )
        assert (again.status_code, again.content) == (304, b"")
        assert "content-length" not in again.headers
    css = await browser.get("/ui/static/app/style/page.css")
    assert css.headers["content-type"] == "text/css; charset=utf-8"
    licence = await browser.get("/ui/static/vendor/preact.LICENSE")
    assert licence.headers["content-type"] == "text/plain; charset=utf-8"


async def test_another_version_and_unknown_files_are_not_found(browser: httpx.AsyncClient) -> None:
    for path in ("app/none.js", "0123456789abcdef/app/main.js", "", "app", "index.html", "secret"):
        reply = await browser.get(f"/ui/static/{path}")
        assert reply.status_code == 404, path
        assert "reload" in reply.json()["itemNotFound"]["message"]


async def test_no_path_leads_out_of_the_directory(static: Path) -> None:
    async with running_api() as api:
        app = create_app(api.cloud.box.app.deps, page=page_of(api, static))
        object.__setattr__(api.cloud.box, "app", app)
        async with wired(api) as address, connected(api, address) as wire:
            for path in (
                "../secret",
                "%2e%2e/secret",
                "..%2fsecret",
                "app/../../secret",
                "/etc/passwd",
                "app//main.js",
            ):
                status, _, body = await wire.ask(wire.request("GET", f"/ui/static/{path}"))
                assert (status, b"secret" in body, b"root:" in body) == (404, False, False), path
            status, _, _ = await wire.ask(wire.request("GET", "/ui/static/%00"))
            assert status == 400


async def test_compression_is_used_where_it_is_accepted_and_saves_something(browser: httpx.AsyncClient) -> None:
    tags = set[str]()
    for accepted, packed in (("gzip, br", True), ("br", False), ("gzip;q=0", False), ("gzip;q=0.5", True)):
        reply = await browser.get("/ui/static/app/main.js", headers={"Accept-Encoding": accepted})
        assert (reply.headers.get("content-encoding") == "gzip") is packed
        assert int(reply.headers["content-length"]) == (len(gzip.compress(MAIN.encode())) if packed else len(MAIN))
        assert (reply.text, reply.headers["vary"]) == (MAIN, "Accept-Encoding")
        tags.add(reply.headers["etag"])
    assert len(tags) == 2
    small = await browser.get("/ui/static/app/words/en.js", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers


async def test_head_has_the_headers_and_other_methods_are_refused(browser: httpx.AsyncClient) -> None:
    for path in ("/ui/", "/ui/static/app/main.js"):
        got, head = await browser.get(path), await browser.head(path)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("etag", "content-length", "content-type"):
            assert head.headers[name] == got.headers[name]
        assert (await browser.post(path)).status_code == 405


async def test_a_browser_at_the_root_is_sent_to_the_page_and_a_client_of_the_api_is_not(api: Api) -> None:
    http = api.cloud.http
    sent = await http.get("/", headers=BROWSER)
    assert (sent.status_code, sent.headers["location"], sent.headers["vary"]) == (303, "/ui/", "Accept")
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        reply = await http.get("/", headers=headers)
        assert (reply.status_code, reply.json()["name"]) == (200, "kilonova")


async def test_a_page_that_is_off_is_not_there() -> None:
    async with running_api({("ui", "enabled"): False}) as api:
        for path in ("/ui", "/ui/", "/ui/static/index.html"):
            assert (await api.cloud.http.get(path)).status_code == 404
        assert (await api.cloud.http.post("/ui/session", json={})).status_code == 404
        assert (await api.cloud.http.get("/", headers=BROWSER)).status_code == 200


async def test_a_name_that_resolves_to_this_machine_is_not_the_service(api: Api) -> None:
    """DNS rebinding: a page of another site must not become the page of this one."""
    reply = await api.cloud.http.get("/ui/", headers={"Host": "rebound.example"})
    assert reply.status_code == 400


def test_the_version_changes_with_any_file(static: Path) -> None:
    before = read(static)
    assert read(static) == before
    (static / "app/words/en.js").write_text("export const t = 2;")
    assert read(static).version != before.version


def test_the_files_that_ship_have_an_index_whose_only_inline_element_is_the_import_map() -> None:
    page = read(STATIC)
    inline = re.findall(r"<script(?![^>]*\bsrc=)([^>]*)>", page.index.body.decode())
    assert [one.strip() for one in inline] in ([], ['type="importmap"'])
    assert len(page.script_hashes) == len(inline)
    assert "<style" not in page.index.body.decode()
    assert content_security_policy(page).startswith("default-src 'none'; script-src 'self'")
