# SPDX-License-Identifier: Apache-2.0
"""People with a browser, and what the tests know of the cloud that they look at."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, expect

from lab.common import BUILD
from tests.live.box import Box, wait_for

PATIENCE_MS = 30_000
AXE = BUILD / "web/node_modules/axe-core/axe.min.js"
EXPECTED = ("401 (Unauthorized)", "404 (Not Found)", "400 (Bad Request)", "403 (Forbidden)", "409 (Conflict)", "503 (")
"""Chromium's messages about answers that a page handles are not complaints."""

SHAPES: Sequence[tuple[Literal["light", "dark"], int]] = (("light", 1280), ("dark", 320))
"""The colour schemes and widths in which pages are checked."""

expect.set_options(timeout=PATIENCE_MS)


def admin_password(clouds: Path) -> str:
    """The password in a clouds.yaml of ours."""
    return next(line.split()[1] for line in clouds.read_text().splitlines() if "password:" in line)


@dataclass
class World:
    """A box with an image, and its users."""

    box: Box
    image_id: str

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.box.port}"

    @property
    def admin_password(self) -> str:
        return admin_password(self.box.clouds)

    def post(self, path: str, body: dict[str, Any], status: int = 201) -> Any:
        reply = self.box.http.post(path, json=body)
        assert reply.status_code == status, reply.text
        return reply.json()

    def project(self, name: str) -> str:
        return str(self.post("/identity/v3/projects", {"project": {"name": name}})["project"]["id"])

    def member(self, project_id: str, name: str, password: str) -> None:
        """A new user with the role "member" in the project."""
        user = {"name": name, "password": password, "default_project_id": project_id}
        user_id = self.post("/identity/v3/users", {"user": user})["user"]["id"]
        roles = self.box.http.get("/identity/v3/roles", params={"name": "member"}).json()["roles"]
        reply = self.box.http.put(f"/identity/v3/projects/{project_id}/users/{user_id}/roles/{roles[0]['id']}")
        assert reply.status_code == 204, reply.text

    def server(self, name: str, **fields: Any) -> str:
        """A server of the administrator's project that is ACTIVE."""
        server_id = self.box.create(self.image_id, name, **fields)
        self.box.wait_status(server_id, "ACTIVE")
        return server_id

    def name(self, beginning: str) -> str:
        """A name that nothing else has."""
        return f"{beginning}-{uuid.uuid4().hex[:6]}"


@dataclass
class Person:
    """Somebody with a browser; what the page complains about in its console is collected."""

    context: BrowserContext
    name: str
    password: str
    complaints: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.page: Page = self.context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self._under_way: set[Request] = set()
        self.page.on("request", lambda request: self._under_way.add(request))
        self.page.on("requestfinished", lambda request: self._under_way.discard(request))
        self.page.on("requestfailed", lambda request: self._under_way.discard(request))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(words in message.text for words in EXPECTED):
            self.complaints.append(message.text)

    def log_in(self, project: str = "") -> None:
        """From the login to the list of servers."""
        self.page.goto("/ui/")
        self.type_login(self.password, project)
        expect(self.heading("Servers")).to_be_visible()

    def type_login(self, password: str, project: str = "") -> None:
        self.field("User").fill(self.name)
        self.field("Password").fill(password)
        self.field("Project").fill(project)
        self.button("Log in").click()

    def wait_quiet(self) -> None:
        """Until no request is under way but the stream of events."""

        def quiet() -> bool:
            self.page.wait_for_timeout(20)
            return all("/ui/events" in request.url for request in self._under_way)

        wait_for(quiet)

    def open(self, path: str) -> None:
        self.page.goto(f"/ui{path}")

    def heading(self, name: str) -> Locator:
        return self.page.get_by_role("heading", name=name, exact=True, level=1)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True)

    def field(self, label: str) -> Locator:
        return self.page.get_by_label(label)

    def row(self, name: str) -> Locator:
        """The row of a server in the list."""
        return self.page.get_by_role("row").filter(has=self.link(name))

    def message(self, text: str) -> Locator:
        return self.page.get_by_label("Messages").get_by_text(text)

    def do(self, name: str, action: str) -> None:
        """An action of a server, by the menu in its row."""
        self.button(f"Actions of {name}").click()
        self.page.get_by_role("menuitem", name=action, exact=True).click()

    def confirm(self, action: str) -> None:
        """The button of the dialog that is open."""
        self.page.get_by_role("dialog").get_by_role("button", name=action, exact=True).click()

    def violations(self, *rules: str) -> list[str]:
        """What axe-core finds on the page, a line each; by all of its rules, or by these."""
        self.page.evaluate(AXE.read_text())
        options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
        found = self.page.evaluate("(options) => axe.run(document, options)", options)["violations"]
        return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]

    def look_at(self, pages: Mapping[str, str]) -> None:
        """Open each path, with the heading that it shows ("" for any), and check it in each of SHAPES: axe-core finds
        nothing, and nothing is wider than the window."""
        for path, title in pages.items():
            self.open(path)
            heading = self.heading(title) if title else self.page.get_by_role("heading", level=1)
            expect(heading).to_be_visible()
            expect(self.page.get_by_role("status").filter(has_text="Loading")).to_have_count(0)
            for scheme, width in SHAPES:
                self.page.emulate_media(color_scheme=scheme)
                self.page.set_viewport_size({"width": width, "height": 800})
                assert [path, scheme, self.violations()] == [path, scheme, []]
                beyond = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert [path, scheme, beyond] == [path, scheme, 0]
