# SPDX-License-Identifier: Apache-2.0
"""The page without a mouse, on a narrow screen, and for a screen reader."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.people import Person, World

Visit = Callable[..., Person]


def violations(person: Person) -> list[str]:
    """In the light scheme, and of the colours of the dark one."""
    person.page.emulate_media(color_scheme="light")
    found = person.violations()
    person.page.emulate_media(color_scheme="dark")
    return found + person.violations("color-contrast")


def test_axe_finds_nothing(visit: Visit, world: World) -> None:
    server_id = world.server(name := world.name("axe"), tags=["blue"], metadata={"role": "front"})
    person = visit()
    person.open("/")
    expect(person.field("User")).to_be_visible()
    assert violations(person) == []
    person.log_in()
    expect(person.row(name)).to_contain_text("Active")
    assert violations(person) == []
    person.do(name, "Stop")
    assert violations(person) == []
    for path, ready in (
        (f"/servers/{server_id}", "Addresses"),
        (f"/servers/{server_id}/actions", "Start the domain"),
        (f"/servers/{server_id}/console", "Read again"),
        ("/servers/create", "User data"),
        ("/nothing", "There is no such page"),
    ):
        person.open(path)
        expect(person.page.get_by_text(ready).first).to_be_visible()
        assert [path, violations(person)] == [path, []]
    open_palette(person)
    assert violations(person) == []


def test_colours_follow_the_system_until_a_person_chooses(admin: Person) -> None:
    body, light, dark = admin.page.locator("body"), "rgb(245, 245, 248)", "rgb(18, 17, 26)"
    admin.page.emulate_media(color_scheme="dark")
    expect(body).to_have_css("background-color", dark)
    admin.button("User admin").click()  # the menu stays open
    admin.page.get_by_role("menuitemcheckbox", name="Light").click()
    expect(body).to_have_css("background-color", light)
    admin.page.emulate_media(color_scheme="light")
    admin.page.get_by_role("menuitemcheckbox", name="Dark").click()
    expect(body).to_have_css("background-color", dark)


def open_palette(person: Person) -> None:
    person.page.keyboard.press("Control+k")
    expect(person.page.get_by_role("combobox", name="Find")).to_be_focused()


def test_a_server_is_found_and_stopped_by_keys_only(admin: Person, world: World) -> None:
    world.server(name := world.name("keys"))
    expect(admin.row(name)).to_be_visible()
    keyboard = admin.page.keyboard
    keyboard.press("/")
    keyboard.type(name)
    expect(admin.page.get_by_role("row")).to_have_count(2)
    open_palette(admin)
    keyboard.type(name)
    expect(admin.page.get_by_role("option")).to_have_count(1)
    keyboard.press("Enter")
    expect(admin.heading(name)).to_be_visible()
    open_palette(admin)
    keyboard.type("stop")
    expect(admin.page.get_by_role("option").first).to_have_text("Stop")
    keyboard.press("Enter")
    expect(admin.page.get_by_role("dialog")).to_contain_text("The guest is asked to shut down")
    keyboard.press("Escape")
    expect(admin.page.get_by_role("dialog")).to_have_count(0)
    admin.button("Stop").focus()
    keyboard.press("Enter")
    keyboard.press("Tab")
    expect(admin.page.get_by_role("dialog")).to_be_visible()
    admin.page.get_by_role("dialog").get_by_role("button", name="Stop").focus()
    keyboard.press("Enter")
    expect(admin.page.get_by_text("Shut off", exact=True)).to_be_visible()
    admin.page.go_back()
    expect(admin.heading("Servers")).to_be_visible()


def test_arrow_keys_move_between_rows_and_enter_opens_one(admin: Person, world: World) -> None:
    names = [world.name("row-a"), world.name("row-b")]
    for name in names:
        world.server(name)
    admin.page.get_by_role("searchbox").fill("row-")
    expect(admin.row(names[1])).to_be_visible()
    admin.link(names[0]).focus()
    admin.page.keyboard.press("ArrowDown")
    expect(admin.link(names[1])).to_be_focused()
    admin.page.keyboard.press("ArrowUp")
    expect(admin.link(names[0])).to_be_focused()
    admin.page.keyboard.press("Enter")
    expect(admin.heading(names[0])).to_be_visible()


def test_a_narrow_screen_shows_everything_without_a_sideways_scroll(visit: Visit, world: World) -> None:
    server_id = world.server(name := world.name("narrow"))
    person = visit(width=320, height=640)
    person.log_in()
    expect(person.row(name)).to_contain_text("Active")
    for path in ("/servers", f"/servers/{server_id}", f"/servers/{server_id}/actions", "/servers/create"):
        person.open(path)
        expect(person.page.get_by_role("heading", level=1)).to_be_visible()
        expect(person.page.get_by_text("Loading")).to_have_count(0)
        assert person.page.evaluate("document.documentElement.scrollWidth") <= 320, path
    person.button("Pages").click()
    person.page.get_by_role("navigation", name="Pages").get_by_role("link", name="Servers").click()
    expect(person.heading("Servers")).to_be_visible()
