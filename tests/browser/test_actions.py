# SPDX-License-Identifier: Apache-2.0
"""Every action of the API by the menu of the page: with its dialog, its command and its end."""

from playwright.sync_api import expect

from tests.browser.people import Person, World

AT_ONCE = ("Pause", "Unpause", "Suspend", "Resume", "Start", "End rescue", "Unshelve", "Unlock")
"""Actions that lose nothing, and so have no dialog."""


def act(admin: Person, name: str, action: str, state: str, message: str) -> None:
    """Do the action from the page of the server; `state` is what the page then shows."""
    admin.button(f"Actions of {name}").click()
    admin.page.get_by_role("menuitem", name=action, exact=True).click()
    if action not in AT_ONCE:
        expect(admin.page.get_by_role("dialog")).to_contain_text("openstack server")
        admin.confirm(action)
    expect(admin.message(message).last).to_be_visible()
    expect(admin.page.get_by_role("main").get_by_text(state, exact=True).first).to_be_visible()


def test_power_and_memory(admin: Person, world: World) -> None:
    admin.open(f"/servers/{world.server(name := world.name('power'))}")
    for action, state, message in (
        ("Pause", "Paused", "is paused"),
        ("Unpause", "Active", "continues"),
        ("Suspend", "Suspended", "is suspended"),
        ("Resume", "Active", "continues"),
        ("Reboot", "Active", "has rebooted"),
        ("Hard reboot", "Active", "has rebooted"),
        ("Stop", "Shut off", "has stopped"),
        ("Start", "Active", "has started"),
    ):
        act(admin, name, action, state, f"{name} {message}")


def test_images_and_backups(admin: Person, world: World) -> None:
    admin.open(f"/servers/{world.server(name := world.name('image'))}")
    act(admin, name, "Create image", "Active", f"The image of {name} is ready")
    act(admin, name, "Create backup", "Active", f"The backup of {name} is ready")
    made = {image["name"] for image in world.box.http.get("/image/v2/images").json()["images"]}
    assert f"{name}-backup" in made


def test_repair_and_shelf(admin: Person, world: World) -> None:
    admin.open(f"/servers/{world.server(name := world.name('shelf'))}")
    for action, state, message in (
        ("Rescue", "Rescue", f"{name} is in rescue"),
        ("End rescue", "Active", f"{name} runs from its own disk"),
        ("Rebuild", "Active", f"{name} is rebuilt"),
        ("Shelve", "Shelved, offloaded", f"{name} is shelved"),
        ("Unshelve", "Active", f"{name} is back"),
    ):
        act(admin, name, action, state, message)


def test_a_lock_with_a_reason_and_a_state_that_is_set(admin: Person, world: World) -> None:
    admin.open(f"/servers/{world.server(name := world.name('lock'))}")
    admin.button(f"Actions of {name}").click()
    admin.page.get_by_role("menuitem", name="Lock").click()
    admin.page.get_by_role("dialog").get_by_label("Reason").fill("in audit")
    admin.confirm("Lock")
    expect(admin.page.get_by_text("Locked: in audit")).to_be_visible()
    act(admin, name, "Unlock", "Active", f"{name} is unlocked")
    admin.button(f"Actions of {name}").click()
    admin.page.get_by_role("menuitem", name="Reset state").click()
    admin.page.get_by_role("dialog").get_by_label("State").select_option("error")
    admin.confirm("Reset state")
    expect(admin.page.get_by_text("The last action failed.")).to_be_visible()


def test_a_move_that_has_nowhere_to_go_is_refused_in_the_words_of_the_api(admin: Person, world: World) -> None:
    admin.open(f"/servers/{world.server(name := world.name('move'))}")
    for action in ("Migrate", "Live migrate"):
        admin.button(f"Actions of {name}").click()
        admin.page.get_by_role("menuitem", name=action, exact=True).click()
        admin.confirm(action)
        expect(admin.page.get_by_role("dialog").get_by_role("alert")).to_contain_text("No valid host was found")
        admin.page.keyboard.press("Escape")
    admin.button(f"Actions of {name}").click()
    admin.page.get_by_role("menuitem", name="Evacuate").click()
    admin.confirm("Evacuate")
    expect(admin.page.get_by_role("dialog").get_by_role("alert")).to_contain_text("still in use")


def test_a_server_is_renamed_described_tagged_and_given_metadata(admin: Person, world: World) -> None:
    admin.open(f"/servers/{world.server(world.name('edit'))}")
    admin.button("Edit").click()
    admin.page.get_by_role("dialog").get_by_label("Name").fill(new := world.name("renamed"))
    admin.page.get_by_role("dialog").get_by_label("Description").fill("a description")
    admin.confirm("Save")
    expect(admin.heading(new)).to_be_visible()
    expect(admin.page.get_by_text("a description")).to_be_visible()
    admin.button("Edit tags").click()
    admin.page.get_by_role("dialog").get_by_label("Tags").fill("one, two")
    admin.confirm("Save")
    expect(admin.page.get_by_text("two", exact=True)).to_be_visible()
    admin.button("Edit metadata").click()
    metadata = admin.page.get_by_role("dialog").get_by_role("textbox", name="Metadata")
    metadata.fill("nothing")
    admin.confirm("Save")
    expect(admin.page.get_by_role("dialog")).to_contain_text("A line has no key=value: nothing")
    metadata.fill("role=back=end")
    admin.confirm("Save")
    expect(admin.page.get_by_text("back=end")).to_be_visible()
