# SPDX-License-Identifier: Apache-2.0
"""Consoles in the browser, with a real guest: the terminal, the screen, the window of its own."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.people import Person, World
from tests.live.box import wait_for

pytestmark = pytest.mark.live
REAL_GUESTS = True

Visit = Callable[..., Person]


@pytest.fixture(scope="module")
def server_id(world: World) -> str:
    """A guest that waits for input at both consoles."""
    server_id = world.server("guest")
    wait_for(lambda: "ready" in world.box.act(server_id, {"os-getConsoleOutput": {}}, 200)["output"])
    return server_id


def test_commands_are_typed_into_the_terminal_and_its_output_stays_there(admin: Person, server_id: str) -> None:
    admin.open(f"/servers/{server_id}/console?kind=serial")
    expect(admin.page.get_by_text("Connected")).to_be_visible()
    keyboard = admin.page.keyboard
    keyboard.type("echo sum=$((20+22))\n")
    expect(admin.page.get_by_text("sum=42").first).to_be_visible()
    # A title, the clipboard, and a colour.
    keyboard.type(r"printf '\033]0;evil\007\033]52;c;ZXZpbA==\007\033[38;2;1;2;3mcol%s\033[0m\n' oured" + "\n")
    expect(admin.page.get_by_text("coloured").first).to_be_visible()
    assert admin.page.title() == "guest · Kilonova"
    assert admin.complaints == []


def test_the_screen_shows_what_is_typed_and_survives_a_restart_of_the_service(
    admin: Person, world: World, server_id: str
) -> None:
    admin.open(f"/servers/{server_id}/console?kind=vnc")
    expect(admin.page.get_by_text("Connected")).to_be_visible()
    before = pixels(admin.page)
    admin.button("Paste").click()
    admin.page.get_by_role("textbox", name="Text").fill("echo Pasted: [42] {a} 'b' \"c\" | cat\n" * 3)
    admin.confirm("Type it")
    expect(admin.page.get_by_role("dialog")).to_have_count(0)
    wait_for(lambda: pixels(admin.page) != before)
    admin.page.get_by_label("Only look").check()
    expect(admin.button("Ctrl-Alt-Del")).to_be_disabled()
    world.box.stop()
    expect(admin.page.get_by_text("Connected")).to_have_count(0)
    world.box.start().ready()
    expect(admin.page.get_by_text("Connected")).to_be_visible()
    wait_for(lambda: lit(pixels(admin.page)))
    admin.complaints.clear()


def pixels(page: Page) -> str:
    """What the canvas shows, as the URL of a picture."""
    return str(page.evaluate("document.querySelector('canvas')?.toDataURL() ?? ''"))


def lit(picture: str) -> bool:
    """A screen with text needs more bytes than a black one."""
    return len(picture) > 4000


def test_the_url_of_a_remote_console_opens_once_without_a_login(visit: Visit, world: World, server_id: str) -> None:
    wish = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
    url = world.post(f"/compute/v2.1/servers/{server_id}/remote-consoles", wish, 200)["remote_console"]["url"]
    viewer = visit()
    viewer.page.goto(url)
    expect(viewer.page.get_by_text("Connected")).to_be_visible()
    assert re.search(r"/ui/console/vnc/[0-9a-f-]{36}$", viewer.page.url), "the token has left the address bar"
    second = visit()
    second.page.goto(url)
    expect(second.page.get_by_text("The connection has ended.")).to_be_visible()
    expect(viewer.page.get_by_text("Connected")).to_be_visible()
    viewer.page.reload()
    expect(viewer.field("Password")).to_be_visible()
    second.complaints.clear()
