# SPDX-License-Identifier: Apache-2.0
"""What one project must not see of another, and what text must not do to the page."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.people import Person, World

Visit = Callable[..., Person]

HOSTILE = "<img src=x onerror=document.title=1>"
SCRIPT = "\"><script>alert(1)</script>'${7*7}{{7*7}}"


def test_two_projects_see_nothing_of_each_other(visit: Visit, world: World) -> None:
    people: list[Person] = []
    for number in range(2):
        project, user = world.name("project"), world.name("user")
        world.member(world.project(project), user, f"secret-{number}")
        people.append(visit(user, f"secret-{number}"))
        people[-1].log_in()
    first, second = people
    expect(first.page.get_by_text("No servers yet")).to_be_visible()
    expect(second.page.get_by_text("No servers yet")).to_be_visible()
    create(first, name := world.name("mine"), world)
    expect(first.page.get_by_text("Active", exact=True)).to_be_visible()
    address = first.page.url
    expect(second.page.get_by_text("No servers yet")).to_be_visible()
    second.page.goto(address)
    expect(second.page.get_by_text("There is no such server")).to_be_visible()
    assert name not in second.page.content()
    expect(second.page.get_by_role("button", name="Project ")).not_to_contain_text("All projects")


def create(person: Person, name: str, world: World) -> None:
    person.open("/servers/create")
    person.field("Name").fill(name)
    person.field("Image").select_option(world.image_id)
    person.field("Flavor").select_option("1")
    person.button("Create").click()
    expect(person.heading(name)).to_be_visible()


def test_hostile_text_in_every_field_is_only_text(admin: Person, world: World) -> None:
    group = {"server_group": {"name": HOSTILE, "policy": "affinity"}}
    world.post("/compute/v2.1/os-server-groups", group, 200)
    server_id = world.server(
        HOSTILE, description=SCRIPT, metadata={"role": HOSTILE}, tags=["<img src=x onerror=1>", "'\"><b>"]
    )
    world.box.act(server_id, {"lock": {"locked_reason": HOSTILE}})
    expect(admin.row(HOSTILE)).to_be_visible()
    for path in ("", "/actions", "/console"):
        admin.open(f"/servers/{server_id}{path}")
        expect(admin.heading(HOSTILE)).to_be_visible()
        expect(admin.page.get_by_text(f"Locked: {HOSTILE}")).to_be_visible()
        assert admin.page.locator("img, script:not([src]):not([type=importmap]), main b").count() == 0
    admin.open(f"/servers/{server_id}")
    expect(admin.page.get_by_text(SCRIPT).first).to_be_visible()
    admin.button("Edit metadata").click()
    expect(admin.page.get_by_role("textbox", name="Metadata")).to_have_value(f"role={HOSTILE}")
    admin.open("/servers?q=%3Cimg%20src%3Dx%20onerror%3D1%3E&status=%3Cb%3E&sort=%3Cb%3E")
    expect(admin.page.get_by_text("No server fits")).to_be_visible()
    admin.open("/%3Cimg%20src=x%20onerror=1%3E")
    expect(admin.page.get_by_text("There is no such page")).to_be_visible()
    admin.open("/servers/create")
    admin.field("Name").fill(HOSTILE)
    expect(admin.page.get_by_label("The same as a command")).to_contain_text(f"'{HOSTILE}'")
    assert admin.page.title() == "Create server · Kilonova"


def test_the_command_that_is_shown_is_safe_to_paste(admin: Person, world: World) -> None:
    admin.open("/servers/create")
    admin.field("Name").fill("it's; rm -rf / $(id)")
    expect(admin.page.get_by_label("The same as a command")).to_contain_text("""'it'\\''s; rm -rf / $(id)'""")
