# SPDX-License-Identifier: Apache-2.0
"""A newcomer's whole day, with a real guest and nothing but the page."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.people import Person, World
from tests.browser.test_actions import act
from tests.browser.test_images import slow_down
from tests.browser.test_keys import generate
from tests.live.box import GUEST_IMAGE, wait_for

pytestmark = pytest.mark.live
REAL_GUESTS = True

NAME = "first"
PRINT = f"for i in $(seq 20); do echo '{'#' * 79}'; done >/dev/tty0\n"
PRINTED_PIXELS = 10_000
"""A cursor that blinks changes fewer, these lines change more."""


def test_from_the_first_login_to_the_deletion(visit: Callable[..., Person], world: World, tmp_path: Path) -> None:
    world.member(world.project("start"), "newcomer", "secret")
    person = visit("newcomer", "secret")
    person.log_in()
    expect(person.page.get_by_text("No servers yet")).to_be_visible()
    person.link("Key pairs").click()
    generate(person, "mine", tmp_path / "key").get_by_role("button", name="I have the file").click()
    upload(person)
    create(person)
    read_and_type(person)
    look(person)
    resize(person)
    act(person, NAME, "Create image", "Active", f"The image of {NAME} is ready")
    person.link("Images").click()
    expect(person.page.get_by_role("row").filter(has_text=f"{NAME}-")).to_contain_text("Active")
    person.link("Servers").click()
    person.do(NAME, "Delete")
    person.confirm("Delete")
    expect(person.page.get_by_text("No servers yet")).to_be_visible()


def upload(person: Person) -> None:
    """The image of a guest, slowly enough to see its progress."""
    person.link("Images").click()
    slow_down(person, 10 << 20)
    person.button("Upload image").first.click()
    dialog = person.page.get_by_role("dialog")
    dialog.get_by_label("File").set_input_files(GUEST_IMAGE)
    dialog.get_by_label("Name", exact=True).fill("tiny")
    dialog.get_by_role("button", name="Upload", exact=True).click()
    bar = person.page.get_by_role("progressbar", name="Upload of tiny")
    expect(bar).not_to_have_attribute("aria-valuenow", "0")
    slow_down(person, -1)
    expect(person.row("tiny")).to_contain_text("Active")


def create(person: Person) -> None:
    """A server from the image, with the key, that becomes active before one's eyes."""
    person.row("tiny").get_by_role("link").click()
    person.link("Create server").click()
    person.field("Name").fill(NAME)
    person.field("Flavor").select_option("1")
    person.field("Key pair").select_option("mine")
    person.button("Create").click()
    expect(person.heading(NAME)).to_be_visible()
    expect(person.page.get_by_text("Active", exact=True)).to_be_visible()


def read_and_type(person: Person) -> None:
    """What the guest prints, and a command in it: the key pair is there."""
    person.link("Console").click()

    def output() -> str:
        person.button("Read again").click()
        return person.page.get_by_role("log").inner_text()

    wait_for(lambda: f"hostname={NAME}" in (said := output()) and "ready" in said)
    person.button("Serial terminal").click()
    expect(person.page.get_by_text("Connected")).to_be_visible()
    person.page.keyboard.type("cut -c 1-11 /root/.ssh/authorized_keys\n")
    expect(person.page.get_by_text("ssh-ed25519").first).to_be_visible()


def look(person: Person) -> None:
    """The screen in a window of its own, while the terminal lets the guest print."""
    person.button("Screen").click()
    with person.context.expect_page() as opened:
        person.link("Own window").click()
    screen = opened.value
    person.button("Serial terminal").click()
    expect(person.page.get_by_text("Connected")).to_be_visible()
    expect(screen.get_by_text("Connected")).to_be_visible()
    before = wait_for(lambda: lit_pixels(screen))
    person.page.keyboard.type(PRINT)
    wait_for(lambda: lit_pixels(screen) > before + PRINTED_PIXELS)
    screen.close()


def lit_pixels(page: Page) -> int:
    """How many pixels of the canvas are not black."""
    return int(
        page.evaluate(
            """() => {
              const canvas = document.querySelector("canvas");
              if (!canvas?.width) return 0;
              const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
              return new Uint32Array(data.buffer).filter((pixel) => pixel & 0xffffff).length;
            }"""
        )
    )


def resize(person: Person) -> None:
    person.button(f"Actions of {NAME}").click()
    person.page.get_by_role("menuitem", name="Resize").click()
    person.page.get_by_role("dialog").get_by_label("Flavor").select_option("2")
    person.confirm("Resize")
    expect(person.page.get_by_text("Confirm the resize, or revert it.")).to_be_visible()
    person.button("Confirm resize").click()
    expect(person.message(f"{NAME} keeps its new size")).to_be_visible()
    person.link("Overview").click()
    expect(person.page.get_by_text("m1.tiny")).to_be_visible()
