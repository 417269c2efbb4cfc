# SPDX-License-Identifier: Apache-2.0
"""Consoles in the browser, with a real guest: the terminal, the screen, the window of its own."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.browser.guest import TEXTS, end, held, open_screen, paste, read, shell
from tests.browser.people import Person, World
from tests.live.box import wait_for

pytestmark = pytest.mark.live
REAL_GUESTS = True

Visit = Callable[..., Person]

CTRL, ALT, DELETE, CAPS_LOCK = 29, 56, 111, 58
LONG = 400
"""Characters of the longest text here, more than QEMU keeps.  tests/browser/long_paste.py has the longest of all."""
MOST_MS = 180_000
"""A machine under load is slow, and no text is judged by the clock."""


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
    admin.context.grant_permissions(["clipboard-read", "clipboard-write"])
    admin.page.evaluate("navigator.clipboard.writeText('mine')")
    questions: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        questions.append(dialog.message)
        dialog.dismiss()

    admin.page.on("dialog", dismiss)
    # A title, the clipboard, a colour and a link.
    keyboard.type(r"printf '\033]0;evil\007\033]52;c;ZXZpbA==\007\033[38;2;1;2;3mcol%s\033[0m\n' oured" + "\n")
    expect(admin.page.get_by_text("coloured").first).to_be_visible()
    keyboard.type(r"clear; printf '\033]8;;http://127.0.0.1:9/\033\\lin%s\033]8;;\033\\\n' ked" + "\n")
    place = admin.page.get_by_text("linked").last.bounding_box()
    assert place is not None
    admin.page.mouse.move(place["x"] + 30, place["y"] + place["height"] / 2, steps=5)
    admin.page.mouse.click(place["x"] + 30, place["y"] + place["height"] / 2)
    assert questions == []
    assert admin.page.evaluate("navigator.clipboard.readText()") == "mine"
    assert admin.page.title() == "guest · Kilonova"
    assert len(admin.context.pages) == 1
    assert admin.complaints == []


def test_text_is_pasted_whole_in_the_layout_of_the_guest(admin: Person, world: World, server_id: str) -> None:
    screen = open_screen(admin, server_id)
    with shell(world.box, server_id) as guest:
        paste(admin, "cat >/dev/null\n", "English (US)")  # so that the guest does not run what follows
        expect(admin.page.get_by_role("dialog")).to_have_count(0)
        for layout, (name, text) in TEXTS.items():
            whole = (text * LONG)[:LONG] if layout == "de" else text
            guest.listen()
            paste(admin, whole, name)
            expect(admin.page.get_by_role("dialog")).to_have_count(0, timeout=MOST_MS)
            end(admin, screen)
            assert read(guest, layout) == whole


def test_a_paste_is_cancelled_and_refused_before_its_first_key(admin: Person, world: World, server_id: str) -> None:
    screen = open_screen(admin, server_id)
    dialog = admin.page.get_by_role("dialog")
    with shell(world.box, server_id) as guest:
        guest.survive_ctrl_alt_del()
        guest.listen()
        paste(admin, "x漢é\u00a0", "English (US)")
        expect(dialog.get_by_text("This layout has no keys for: 漢 é U+00A0")).to_be_visible()
        assert admin.violations() == []
        dialog.get_by_role("textbox").fill("Aµ@" * 1000)
        dialog.get_by_label("Keyboard layout").select_option("German")
        admin.confirm("Type it")
        expect(dialog.get_by_role("progressbar", name="Typing")).not_to_have_attribute("aria-valuenow", "0")
        expect(dialog.get_by_text("of 3000 characters")).to_be_visible()
        assert admin.violations() == []
        dialog.get_by_role("button", name="Cancel").click()
        admin.button("Ctrl-Alt-Del").click()
        end(admin, screen)
        events = guest.events()
    # The paste sets Caps Lock back as it ends, which may be a moment after the click.
    keys = [event for event in events if event[0] != CAPS_LOCK]
    assert keys[-6:] == [(CTRL, True), (ALT, True), (DELETE, True), (DELETE, False), (ALT, False), (CTRL, False)]
    assert 0 < len(events) < 9000
    assert events.count((CAPS_LOCK, True)) % 2 == 0, events[-40:]
    assert held(events) == set()


def test_several_look_at_one_screen_one_of_them_full_screen(admin: Person, visit: Visit, server_id: str) -> None:
    other = visit()
    other.log_in()
    open_screen(admin, server_id)
    open_screen(other, server_id)
    other.page.get_by_label("Only look").check()
    expect(other.button("Ctrl-Alt-Del")).to_be_disabled()
    wait_for(lambda: lit(pixels(other.page)))
    before = pixels(other.page)
    admin.button("Full screen").click()
    wait_for(lambda: admin.page.evaluate("document.fullscreenElement !== null"))
    paste(admin, "clear\n", "English (US)")
    expect(admin.page.get_by_role("dialog")).to_have_count(0)
    wait_for(lambda: pixels(other.page) != before)


def test_a_screen_survives_a_restart_of_the_service_and_keeps_what_was_not_typed(
    admin: Person, world: World, server_id: str
) -> None:
    open_screen(admin, server_id)
    wait_for(lambda: lit(pixels(admin.page)))
    paste(admin, "x" * 2000, "English (US)")
    expect(admin.page.get_by_role("progressbar", name="Typing")).to_be_visible()
    world.box.stop()
    expect(admin.page.get_by_role("dialog").get_by_role("alert")).to_contain_text("The connection ended after")
    admin.page.keyboard.press("Escape")
    expect(admin.page.get_by_text("Connected")).to_have_count(0)
    world.box.start().ready()
    expect(admin.page.get_by_text("Connected")).to_be_visible()
    wait_for(lambda: lit(pixels(admin.page)))
    admin.button("Paste").click()
    expect(admin.page.get_by_role("textbox", name="Text")).to_have_value("x" * 2000)
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
