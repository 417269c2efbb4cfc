# SPDX-License-Identifier: Apache-2.0
"""Flavors, networks, server groups and quotas on the page."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.people import Person, World

Visit = Callable[..., Person]

HOSTILE = "<img src=x onerror=document.title=1>"


@pytest.fixture
def member(visit: Visit, world: World) -> Person:
    """Somebody with the role "member" in a new project, logged in."""
    project, user = world.name("project"), world.name("user")
    world.member(world.project(project), user, "secret")
    person = visit(user, "secret")
    person.log_in()
    return person


def flavor(world: World, name: str, **fields: Any) -> str:
    body = {"flavor": {"name": name, "vcpus": 1, "ram": 64, "disk": 1, **fields}}
    return str(world.post("/compute/v2.1/flavors", body, 200)["flavor"]["id"])


def group(world: World, name: str, policy: str = "soft-affinity") -> str:
    body = {"server_group": {"name": name, "policy": policy}}
    return str(world.post("/compute/v2.1/os-server-groups", body, 200)["server_group"]["id"])


def network(world: World) -> str:
    (found,) = world.box.http.get("/network/v2.0/networks").json()["networks"]
    return str(found["id"])


def test_an_administrator_creates_a_flavor_gives_it_to_a_project_and_deletes_it(admin: Person, world: World) -> None:
    name, project = world.name("gpu"), world.name("team")
    world.project(project)
    admin.open("/flavors")
    admin.button("Create flavor").click()
    dialog = admin.page.get_by_role("dialog")
    admin.confirm("Create")
    expect(dialog.get_by_text("This field is necessary.")).to_be_visible()
    dialog.get_by_label("Name", exact=True).fill(name)
    dialog.get_by_label("vCPUs").fill("0")
    admin.confirm("Create")
    expect(dialog.get_by_label("vCPUs")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("vCPUs").fill("4")
    dialog.get_by_label("Extra specs").fill("hw:cpu_policy=shared")
    dialog.get_by_label("All projects").uncheck()
    words = f"--vcpus 4 --ram 1024 --disk 10 --private --property hw:cpu_policy=shared {name}"
    expect(dialog.get_by_label("The same as a command")).to_contain_text(words)
    admin.confirm("Create")
    admin.row(name).get_by_role("link").click()
    expect(admin.page.get_by_text("Only administrators can use it now.")).to_be_visible()
    admin.button("Add project").click()
    dialog.get_by_label("Project").select_option(label=project)
    admin.confirm("Add project")
    expect(admin.page.get_by_role("table", name="Projects that may use it")).to_contain_text(project)
    admin.button("Edit extra specs").click()
    dialog.get_by_label("Extra specs").fill("hw:cpu_threads=1")
    admin.confirm("Save")
    expect(admin.page.get_by_text("hw:cpu_threads")).to_be_visible()
    expect(admin.page.get_by_text("hw:cpu_policy")).to_have_count(0)
    admin.button("Delete").click()
    admin.confirm("Delete")
    expect(admin.heading("Flavors")).to_be_visible()
    expect(admin.row("m1.tiny")).to_be_visible()
    expect(admin.row(name)).to_have_count(0)


def test_a_member_sees_flavors_and_no_button_that_would_be_refused(member: Person, world: World) -> None:
    flavor(world, secret := world.name("secret"), **{"os-flavor-access:is_public": False})
    member.open("/flavors")
    expect(member.row("m1.tiny")).to_be_visible()
    expect(member.row(secret)).to_have_count(0)
    expect(member.button("Create flavor")).to_have_count(0)
    member.button("Actions of m1.tiny").click()
    expect(member.page.get_by_role("menuitem")).to_have_text("Create server")
    member.page.get_by_role("menuitem").click()
    expect(member.field("Flavor")).to_have_value("2")
    member.open("/quotas")
    expect(member.page.get_by_text("Server groups").last).to_be_visible()
    expect(member.button("Edit quotas")).to_have_count(0)


def test_a_network_shows_its_subnet_its_addresses_and_its_servers(admin: Person, world: World) -> None:
    world.server(name := world.name("wired"))
    admin.open("/networks")
    row = admin.row("kilonova")
    expect(row).to_contain_text("10.64.0.0/16")
    expect(row).to_contain_text("behind NAT")
    row.get_by_role("link").click()
    expect(admin.heading("kilonova")).to_be_visible()
    expect(admin.page.get_by_role("meter", name="Used")).not_to_have_attribute("aria-valuenow", "0")
    admin.page.get_by_role("table").get_by_role("link", name=name).click()
    expect(admin.heading(name)).to_be_visible()
    admin.page.go_back()
    admin.link("Create server").click()
    expect(admin.field("Network")).to_have_value(network(world))


def test_a_server_group_is_created_filled_and_deleted(member: Person, world: World) -> None:
    member.open("/groups")
    expect(member.page.get_by_text("No server groups yet")).to_be_visible()
    member.button("Create server group").first.click()
    dialog = member.page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(HOSTILE)
    dialog.get_by_label("Servers per host").fill("2")
    words = f"--policy anti-affinity --rule max_server_per_host=2 '{HOSTILE}'"
    expect(dialog.get_by_label("The same as a command")).to_contain_text(words)
    member.confirm("Create")
    member.row(HOSTILE).get_by_role("link").click()
    expect(member.page.get_by_text("A server joins a group when it is created.")).to_be_visible()
    member.link("Create a server in it").click()
    member.field("Name").fill("one")
    member.field("Image").select_option(world.image_id)
    member.field("Flavor").select_option("1")
    member.button("Create").click()
    expect(member.page.get_by_text("Active", exact=True)).to_be_visible()
    member.open("/groups")
    expect(member.row(HOSTILE)).to_contain_text("Different hosts1")
    member.row(HOSTILE).get_by_role("link").click()
    expect(member.page.get_by_role("table").get_by_role("link", name="one")).to_be_visible()
    member.button("Delete").click()
    member.confirm("Delete")
    expect(member.page.get_by_text("No server groups yet")).to_be_visible()


def test_quotas_are_shown_changed_and_reset(admin: Person, world: World) -> None:
    project_id = world.project(project := world.name("limited"))
    admin.open("/quotas")
    expect(admin.page.get_by_role("heading", name="The last 30 days")).to_be_visible()
    admin.page.get_by_label("Project", exact=True).select_option(label=project)
    expect(admin.page).to_have_url(f"{world.address}/ui/quotas?project={project_id}")
    expect(admin.page.get_by_role("meter", name="Servers")).to_have_attribute("aria-valuetext", "0 of 10")
    expect(admin.page.get_by_text("No server ran.")).to_be_visible()
    admin.button("Edit quotas").click()
    dialog = admin.page.get_by_role("dialog")
    dialog.get_by_label("Servers", exact=True).fill("-2")
    admin.confirm("Save")
    expect(dialog.get_by_label("Servers", exact=True)).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Servers", exact=True).fill("3")
    dialog.get_by_label("Memory (MiB)").fill("-1")
    words = f"openstack quota set --instances 3 --ram -1 {project}"
    expect(dialog.get_by_label("The same as a command")).to_contain_text(words)
    admin.confirm("Save")
    expect(admin.page.get_by_role("meter", name="Servers")).to_have_attribute("aria-valuetext", "0 of 3")
    expect(admin.page.get_by_text("0 MiB, no limit")).to_be_visible()
    admin.button("Edit image limits").click()
    dialog.get_by_label("Number of images").fill("7")
    words = f"openstack limit create --project {project} --service glance --resource-limit 7 image_count_total"
    expect(dialog.get_by_label("The same as a command")).to_contain_text(words)
    admin.confirm("Save")
    expect(admin.page.get_by_text("at most 7")).to_be_visible()
    admin.button("Reset to defaults").click()
    expect(admin.page.get_by_role("dialog")).to_contain_text(f"openstack quota delete {project}")
    admin.confirm("Reset to defaults")
    expect(admin.page.get_by_role("meter", name="Servers")).to_have_attribute("aria-valuetext", "0 of 10")


def test_pages_are_right_for_screen_readers_and_narrow_windows(visit: Visit, world: World) -> None:
    person = visit()
    person.log_in()
    specs = {"description": HOSTILE, "os-flavor-access:is_public": False}
    group_id, flavor_id = group(world, HOSTILE), flavor(world, world.name("axe"), **specs)
    pages = {
        "/images": "Images",
        f"/images/{world.image_id}": "small.raw",
        "/images?show=community": "Images",
        "/keypairs": "Key pairs",
        "/flavors": "Flavors",
        f"/flavors/{flavor_id}": "",
        "/networks": "Networks",
        f"/networks/{network(world)}": "kilonova",
        "/groups": "Server groups",
        f"/groups/{group_id}": HOSTILE,
        "/quotas": "Quotas and usage",
    }
    person.look_at(pages)
