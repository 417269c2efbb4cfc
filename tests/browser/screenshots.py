# SPDX-License-Identifier: Apache-2.0
"""The pictures of docs/ui.md: `make screenshots` writes them, of each page in the navigation too.

No other run collects this file, by its name.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.people import Person, World
from tests.live.box import wait_for

PLACE = os.environ.get("KILONOVA_SCREENSHOTS", "docs/ui")
GUIDE = Path(__file__).parents[2] / "docs/ui.md"

pytestmark = pytest.mark.live
REAL_GUESTS = True

Visit = Callable[..., Person]


def test_pictures(visit: Visit, world: World) -> None:
    prepare(world)
    server_id = world.server(
        "web-1", tags=["blue", "front"], metadata={"role": "front"}, description="The first of two", key_name="laptop"
    )
    second = world.server("web-2", tags=["green", "front"])
    stopped = world.server("database")
    world.box.act(stopped, {"os-stop": None})
    world.box.wait_status(stopped, "SHUTOFF")
    wait_for(lambda: "ready" in world.box.act(server_id, {"os-getConsoleOutput": {}}, 200)["output"])
    person = visit(width=1200, height=720)
    person.open("/")
    expect(person.field("User")).to_be_visible()
    take(person, "login")
    person.log_in()
    servers(person)
    create(person, world)
    server(person, world, server_id)
    person.open(f"/images/{world.image_id}")
    expect(person.page.get_by_role("heading", level=1)).to_be_visible()
    take(person, "image")
    world.box.act(second, {"os-stop": None})  # an action in progress, which can be cancelled
    for path in others(person):
        person.open(path)
        expect(person.page.get_by_role("heading", level=1)).to_be_visible()
        expect(person.page.get_by_role("status").filter(has_text="Loading")).to_have_count(0)
        take(person, path.strip("/").replace("/", "-"))


def prepare(world: World) -> None:
    """Something to see on each page."""
    world.post("/compute/v2.1/os-keypairs", {"keypair": {"name": "laptop"}}, 201)
    for name, policy in (("databases", "soft-anti-affinity"), ("web", "soft-affinity")):
        world.post("/compute/v2.1/os-server-groups", {"server_group": {"name": name, "policy": policy}}, 200)
    for name in ("operators", "web-team"):
        world.post("/identity/v3/groups", {"group": {"name": name, "description": f"Members of {name}"}})


def servers(person: Person) -> None:
    expect(person.row("database")).to_contain_text("Shut off")
    take(person, "servers")
    person.page.emulate_media(color_scheme="dark")
    person.button("Actions of web-1").click()
    take(person, "servers-dark")
    person.page.emulate_media(color_scheme="light")


def create(person: Person, world: World) -> None:
    person.open("/servers/create")
    person.field("Name").fill("web-3")
    person.field("Image").select_option(world.image_id)
    person.field("Flavor").select_option("1")
    person.field("User data").fill("#cloud-config\npackages:\n  - nginx\nruncmd:\n  - systemctl enable --now nginx\n")
    expect(person.page.get_by_text("A cloud-config with packages, runcmd.")).to_be_visible()
    take(person, "create")


def server(person: Person, world: World, server_id: str) -> None:
    person.open(f"/servers/{server_id}/actions")
    expect(person.page.get_by_text("Start the domain")).to_be_visible()
    take(person, "server-actions")
    person.open(f"/servers/{server_id}/console?kind=vnc")
    expect(person.page.get_by_text("Connected")).to_be_visible()
    wait_for(lambda: len(str(person.page.evaluate("document.querySelector('canvas').toDataURL()"))) > 4000)
    take(person, "screen")
    person.open(f"/servers/{server_id}")
    expect(person.page.get_by_label("The last hour").get_by_text("CPU", exact=True)).to_be_visible()
    take(person, "server")
    host = world.box.node()["service"]["host"]
    person.open(f"/hosts/{host}")
    expect(
        person.page.get_by_role("region", name="What the doctor finds").get_by_text("without a problem")
    ).to_be_visible()
    take(person, "host")
    administration(person, world)


def others(person: Person) -> list[str]:
    """The paths of the navigation, without the list of servers."""
    links = person.page.get_by_role("navigation", name="Pages").get_by_role("link").all()
    paths = [str(link.get_attribute("href")).removeprefix("/ui") for link in links]
    return [path for path in paths if path != "/servers"]


def administration(person: Person, world: World) -> None:
    home = world.project("web")
    for name in ("ann", "bob"):
        world.member(home, name, "secret")
    person.open(f"/projects/{home}")
    expect(person.page.get_by_role("table", name="Roles in the project")).to_contain_text("bob")
    take(person, "project")


def take(person: Person, name: str) -> None:
    """A picture, which docs/ui.md shows."""
    assert f"](ui/{name}.png)" in GUIDE.read_text(), f"docs/ui.md does not show ui/{name}.png"
    person.page.screenshot(path=Path(PLACE) / f"{name}.png", animations="disabled", caret="hide")
