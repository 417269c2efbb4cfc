# SPDX-License-Identifier: Apache-2.0
"""Servers on the page: created, changed, watched and deleted, without a reload."""

from playwright.sync_api import expect

from tests.browser.people import Person, World


def test_a_server_is_created_in_one_form_and_becomes_active_before_ones_eyes(admin: Person, world: World) -> None:
    name = world.name("new")
    admin.link("Create server").first.click()
    admin.button("Create").click()
    expect(admin.page.get_by_text("This field is necessary.")).to_have_count(3)
    admin.field("Name").fill(name)
    admin.field("Image").select_option(label="small.raw (1.0 MiB)")
    admin.field("Flavor").select_option("1")
    admin.field("User data").fill("#cloud-config\npackages: curl\n")
    expect(admin.page.get_by_text("packages must be a list.")).to_be_visible()
    admin.field("User data").fill("#cloud-config\npackages: [curl\n")
    expect(admin.page.get_by_text("is not YAML")).to_be_visible()
    admin.field("User data").fill("#cloud-config\npackages: [curl]\n")
    expect(admin.page.get_by_text("A cloud-config with packages.")).to_be_visible()
    admin.page.get_by_text("More: tags").click()
    admin.field("Tags").fill("blue, green")
    admin.field("Metadata").fill("role=front")
    expect(admin.page.get_by_label("The same as a command")).to_contain_text(
        "--image small.raw --flavor m1.nano --user-data"
    )
    admin.button("Create").click()
    expect(admin.heading(name)).to_be_visible()
    expect(admin.page.get_by_text("Active", exact=True)).to_be_visible()
    for text in ("blue", "green", "front"):
        expect(admin.page.get_by_role("main").get_by_text(text, exact=True)).to_be_visible()
    admin.link("Actions").click()
    expect(admin.page.get_by_label("Steps").get_by_text("Start the domain")).to_be_visible()


def test_a_refusal_is_shown_at_its_field_and_nothing_that_was_typed_is_lost(admin: Person, world: World) -> None:
    admin.open("/servers/create")
    admin.field("Name").fill(" blank at the beginning")
    admin.field("Image").select_option(world.image_id)
    admin.field("Flavor").select_option("1")
    admin.button("Create").click()
    expect(admin.page.get_by_role("alert")).to_contain_text("leading or trailing blanks are not allowed")
    expect(admin.field("Name")).to_be_focused()
    expect(admin.field("Name")).to_have_attribute("aria-invalid", "true")
    expect(admin.field("Flavor")).to_have_value("1")


def test_an_action_shows_its_dialog_its_progress_and_its_end(admin: Person, world: World) -> None:
    world.server(name := world.name("act"))
    expect(admin.row(name)).to_contain_text("Active")
    admin.do(name, "Stop")
    expect(admin.page.get_by_role("dialog")).to_contain_text(f"openstack server stop {name}")
    admin.confirm("Stop")
    expect(admin.row(name)).to_contain_text("Shut off")
    expect(admin.message(f"{name} has stopped")).to_be_visible()
    admin.do(name, "Start")
    expect(admin.row(name)).to_contain_text("Active")
    expect(admin.message(f"{name} has started")).to_be_visible()


def test_what_others_do_appears_by_itself(admin: Person, world: World) -> None:
    server_id = world.server(name := world.name("other"))
    expect(admin.row(name)).to_contain_text("Active")
    world.box.act(server_id, {"pause": None})
    expect(admin.row(name)).to_contain_text("Paused")
    world.box.delete(server_id)
    expect(admin.row(name)).to_have_count(0)


def test_servers_are_searched_and_several_are_deleted_at_once(admin: Person, world: World) -> None:
    names = [world.name("many") for _ in range(3)]
    for name in names:
        world.server(name)
    world.server(other := world.name("stays"))
    search = admin.page.get_by_role("searchbox")
    search.fill("many")
    for name in names:
        expect(admin.row(name)).to_be_visible()
    expect(admin.row(other)).to_have_count(0)
    admin.page.get_by_label("Choose all").check()
    admin.page.get_by_label("Chosen servers").get_by_role("button", name="Delete").click()
    expect(admin.page.get_by_role("dialog")).to_contain_text("3 servers")
    admin.confirm("Delete")
    expect(admin.page.get_by_text("No server fits")).to_be_visible()
    admin.button("Show all servers").click()
    expect(admin.row(other)).to_be_visible()
    assert "q=" not in admin.page.url


def test_a_resize_is_reverted_or_confirmed(admin: Person, world: World) -> None:
    server_id = world.server(name := world.name("size"))
    admin.open(f"/servers/{server_id}")

    def resize() -> None:
        admin.button(f"Actions of {name}").click()
        admin.page.get_by_role("menuitem", name="Resize").click()
        admin.page.get_by_role("dialog").get_by_label("Flavor").select_option("2")
        admin.confirm("Resize")
        expect(admin.page.get_by_text("Confirm the resize, or revert it.")).to_be_visible()

    resize()
    admin.button("Revert resize").click()
    admin.confirm("Revert resize")
    expect(admin.message(f"{name} has its earlier size")).to_be_visible()
    resize()
    admin.button("Confirm resize").click()
    expect(admin.page.get_by_text("m1.tiny")).to_be_visible()
    expect(admin.page.get_by_text("Active", exact=True)).to_be_visible()


def test_a_deleted_server_leaves_a_sentence_and_a_way_on(admin: Person, world: World) -> None:
    server_id = world.server(name := world.name("gone"))
    admin.open(f"/servers/{server_id}")
    admin.button(f"Actions of {name}").click()
    admin.page.get_by_role("menuitem", name="Delete").click()
    admin.confirm("Delete")
    expect(admin.page.get_by_text("This server is deleted")).to_be_visible()
    admin.page.get_by_role("main").get_by_role("link", name="Servers").last.click()
    expect(admin.heading("Servers")).to_be_visible()


def test_the_output_of_the_console_is_shown(admin: Person, world: World) -> None:
    server_id = world.server(world.name("speaks"))
    admin.open(f"/servers/{server_id}/console")
    expect(admin.page.get_by_role("log")).to_be_visible()
