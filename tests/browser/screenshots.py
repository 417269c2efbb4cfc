# SPDX-License-Identifier: Apache-2.0
"""The pictures of docs/ui.md: `make screenshots` writes them.  No other run collects this file, by its name."""

import os
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.people import Person, World
from tests.live.box import GUEST_IMAGE, Box, libvirt_box, private_libvirtd, wait_for

PLACE = os.environ.get("KILONOVA_SCREENSHOTS", "docs/ui")

pytestmark = pytest.mark.live

Visit = Callable[..., Person]


@pytest.fixture(scope="module")
def box() -> Generator[Box]:
    with private_libvirtd() as daemon, libvirt_box(daemon) as made:
        yield made.start().ready()


@pytest.fixture(scope="module")
def world(box: Box) -> World:
    return World(box, box.upload(GUEST_IMAGE))


def test_pictures(visit: Visit, world: World) -> None:
    server_id = world.server(
        "web-1", tags=["blue", "front"], metadata={"role": "front"}, description="The first of two"
    )
    world.server("web-2", tags=["green", "front"])
    stopped = world.server("database")
    world.box.act(stopped, {"os-stop": None})
    world.box.wait_status(stopped, "SHUTOFF")
    wait_for(lambda: "ready" in world.box.act(server_id, {"os-getConsoleOutput": {}}, 200)["output"])
    person = visit(width=1200, height=720)
    person.open("/")
    expect(person.field("User")).to_be_visible()
    take(person, "login")
    person.log_in()
    expect(person.row("database")).to_contain_text("Shut off")
    take(person, "servers")
    person.page.emulate_media(color_scheme="dark")
    person.button("Actions of web-1").click()
    take(person, "servers-dark")
    person.page.emulate_media(color_scheme="light")
    person.open("/servers/create")
    person.field("Name").fill("web-3")
    person.field("Image").select_option(world.image_id)
    person.field("Flavor").select_option("1")
    person.field("User data").fill("#cloud-config\npackages:\n  - nginx\nruncmd:\n  - systemctl enable --now nginx\n")
    expect(person.page.get_by_text("A cloud-config with packages, runcmd.")).to_be_visible()
    take(person, "create")
    person.open(f"/servers/{server_id}/actions")
    expect(person.page.get_by_text("Start the domain")).to_be_visible()
    take(person, "actions")
    person.open(f"/servers/{server_id}/console?kind=vnc")
    expect(person.page.get_by_text("Connected")).to_be_visible()
    wait_for(lambda: len(str(person.page.evaluate("document.querySelector('canvas').toDataURL()"))) > 4000)
    take(person, "screen")
    person.open(f"/servers/{server_id}")
    expect(person.page.get_by_label("The last hour").get_by_text("CPU", exact=True)).to_be_visible()
    take(person, "server")
    administration(person, world)


def administration(person: Person, world: World) -> None:
    home = world.project("web")
    for name in ("ann", "bob"):
        world.member(home, name, "secret")
    person.open(f"/projects/{home}")
    expect(person.page.get_by_role("table", name="Roles in the project")).to_contain_text("bob")
    take(person, "project")
    person.open("/notifications")
    expect(person.page.get_by_role("row").filter(has_text="instance.power_off.end")).to_be_visible()
    take(person, "notifications")


def take(person: Person, name: str) -> None:
    person.page.screenshot(path=Path(PLACE) / f"{name}.png", animations="disabled", caret="hide")
