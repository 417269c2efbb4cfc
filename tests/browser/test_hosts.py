# SPDX-License-Identifier: Apache-2.0
"""An administrator's day with hosts, services and aggregates."""

from collections.abc import Callable
from urllib.parse import quote

from playwright.sync_api import expect

from tests.browser.people import Person, World

Visit = Callable[..., Person]

HOSTILE = "<img src=x onerror=document.title=1>"


def host_of(world: World) -> str:
    return str(world.box.node()["service"]["host"])


def aggregate(world: World, name: str, zone: str | None = None) -> int:
    body = {"aggregate": {"name": name, "availability_zone": zone}}
    return int(world.post("/compute/v2.1/os-aggregates", body, 200)["aggregate"]["id"])


def choose(person: Person, name: str, action: str) -> None:
    """An action of the row's menu, up to its dialog."""
    person.button(f"Actions of {name}").click()
    person.page.get_by_role("menuitem", name=action, exact=True).click()


def test_a_host_is_disabled_with_a_reason_refuses_servers_and_is_enabled(admin: Person, world: World) -> None:
    host, dialog = host_of(world), admin.page.get_by_role("dialog")
    admin.link("Hosts").click()
    row = admin.row(host)
    expect(row).to_contain_text("UpEnabled")
    expect(row.get_by_role("meter", name=f"vCPUs of {host}")).to_be_visible()
    choose(admin, host, "Disable")
    dialog.get_by_label("Reason").fill("x" * 256)
    admin.confirm("Disable")
    expect(dialog.get_by_label("Reason")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Reason").fill(HOSTILE)
    words = f"openstack compute service set --disable --disable-reason '{HOSTILE}' {host} nova-compute"
    expect(dialog.get_by_label("The same as a command")).to_contain_text(words)
    admin.confirm("Disable")
    expect(row).to_contain_text(f"Disabled {HOSTILE}")
    server_id = world.box.create(world.image_id, "homeless")
    admin.open(f"/servers/{server_id}")
    expect(admin.page.get_by_text("No valid host was found").first).to_be_visible()
    admin.open(f"/hosts/{quote(host)}")
    expect(admin.page.get_by_text(f"This host receives no new servers. Reason: {HOSTILE}")).to_be_visible()
    doctor = admin.page.get_by_role("region", name="What the doctor finds")
    expect(doctor.get_by_text(f"An operator has disabled the host: {HOSTILE}")).to_be_visible()
    admin.button("Enable").click()
    admin.confirm("Enable")
    expect(admin.button("Disable")).to_be_visible()
    doctor.get_by_role("button", name="Check again").click()
    expect(doctor.get_by_text("An operator has disabled")).to_have_count(0)
    assert admin.page.locator("main img").count() == 0
    world.server(name := world.name("housed"))
    admin.page.get_by_role("table", name="Servers").get_by_role("link", name=name).click()
    expect(admin.heading(name)).to_be_visible()


def test_a_host_is_forced_down_its_delete_is_refused_and_it_is_taken_back(admin: Person, world: World) -> None:
    host, dialog = host_of(world), admin.page.get_by_role("dialog")
    world.server(world.name("kept"))
    admin.open(f"/hosts/{quote(host)}")
    expect(admin.button("Delete service")).to_have_count(0)
    admin.button("Force down").click()
    expect(dialog).to_contain_text("Do this only when the machine is off")
    expect(dialog).to_contain_text(f"kilonova host forget {host}")
    admin.confirm("Force down")
    expect(admin.page.get_by_text("This host is forced down")).to_be_visible()
    admin.button("Delete service").click()
    admin.confirm("Delete service")
    expect(dialog.get_by_role("alert")).to_contain_text("Unable to delete compute service that is hosting instances")
    dialog.get_by_role("button", name="Cancel").click()
    admin.button("End forced down").click()
    admin.confirm("End forced down")
    expect(admin.button("Force down")).to_be_visible()
    expect(admin.page.get_by_text("This host is forced down")).to_have_count(0)


def test_an_aggregate_makes_a_zone_of_a_host_and_keeps_metadata(admin: Person, world: World) -> None:
    host, name, zone = host_of(world), world.name("racks"), world.name("zone")
    world.server(world.name("there"))
    admin.link("Aggregates").click()
    admin.button("Create aggregate").first.click()
    dialog = admin.page.get_by_role("dialog")
    dialog.get_by_label("Zone").fill("a:b")
    admin.confirm("Create")
    expect(dialog.get_by_text("This field is necessary.")).to_be_visible()
    dialog.get_by_label("Name", exact=True).fill(name)
    admin.confirm("Create")
    expect(dialog.get_by_label("Zone")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Zone").fill(zone)
    words = f"openstack aggregate create --zone {zone} {name}"
    expect(dialog.get_by_label("The same as a command")).to_contain_text(words)
    admin.confirm("Create")
    admin.row(name).get_by_role("link", name=name).click()
    admin.button("Edit metadata").click()
    dialog.get_by_label("Metadata").fill("ssd=true\nrack=7")
    admin.confirm("Save")
    expect(admin.page.get_by_role("region", name="Metadata")).to_contain_text("ssdtruerack7")
    admin.button("Edit metadata").click()
    dialog.get_by_label("Metadata").fill("rack=7")
    expect(dialog.get_by_label("The same as a command")).to_contain_text(f"aggregate unset --property ssd {name}")
    admin.confirm("Save")
    expect(admin.page.get_by_text("ssd")).to_have_count(0)
    admin.button("Add host").click()
    dialog.get_by_label("Host").select_option(host)
    admin.confirm("Add host")
    expect(admin.row(host)).to_contain_text("Up")
    admin.button("Edit").click()
    dialog.get_by_label("Zone").fill("elsewhere")
    admin.confirm("Save")
    expect(dialog.get_by_text("One or more hosts contain instances in this zone")).to_be_visible()
    expect(dialog.get_by_label("Zone")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_role("button", name="Cancel").click()
    admin.link("Aggregates").first.click()
    zones = admin.page.get_by_role("table", name="Availability zones")
    expect(zones.get_by_role("row").filter(has_text=zone)).to_contain_text(f"Available{host}")
    choose(admin, name, "Delete")
    admin.confirm("Delete")
    expect(dialog.get_by_role("alert")).to_contain_text("Host aggregate is not empty")
    dialog.get_by_role("button", name="Cancel").click()
    admin.row(name).get_by_role("link", name=name).click()
    admin.button("Remove").click()
    admin.confirm("Remove")
    expect(admin.page.get_by_text("No hosts yet.")).to_be_visible()
    admin.button("Delete").click()
    admin.confirm("Delete")
    expect(admin.heading("Aggregates")).to_be_visible()
    expect(admin.row(name)).to_have_count(0)


def test_services_are_listed_and_the_service_is_checked(admin: Person, world: World) -> None:
    host = host_of(world)
    admin.link("Services").click()
    for binary in ("nova-compute", "nova-conductor", "nova-scheduler"):
        row = admin.page.get_by_role("row").filter(has_text=binary)
        expect(row).to_contain_text(host)
        expect(row).to_contain_text("Up")
        expect(row.get_by_role("button")).to_have_count(1 if binary == "nova-compute" else 0)
    admin.button("Check the service").click()
    doctor = admin.page.get_by_role("region", name="What the doctor finds")
    doctor.get_by_text("checks without a problem").click()
    expect(doctor.get_by_text("The database is intact")).to_be_visible()
    choose(admin, host, "Disable")
    admin.confirm("Disable")
    row = admin.row(host)
    expect(row).to_contain_text("Disabled")
    choose(admin, host, "Enable")
    admin.confirm("Enable")
    expect(row).to_contain_text("Enabled")


def test_a_member_has_no_link_to_these_pages_and_an_address_says_why(visit: Visit, world: World) -> None:
    project, user = world.name("project"), world.name("user")
    world.member(world.project(project), user, "secret")
    person = visit(user, "secret")
    person.log_in()
    for name in ("Hosts", "Services", "Aggregates"):
        expect(person.link(name)).to_have_count(0)
    for path in ("/hosts", f"/hosts/{quote(host_of(world))}", "/services", "/aggregates", "/aggregates/1"):
        person.open(path)
        expect(person.heading("This page is for administrators")).to_be_visible()
        expect(person.page.get_by_text("You are logged in without the role admin.")).to_be_visible()


def test_pages_are_right_for_screen_readers_and_narrow_windows(visit: Visit, world: World) -> None:
    person = visit()
    person.log_in()
    name, host = world.name(HOSTILE), host_of(world)
    aggregate_id = aggregate(world, name)
    pages = {
        "/hosts": "Hosts",
        f"/hosts/{quote(host)}": host,
        "/services": "Services",
        "/aggregates": "Aggregates",
        f"/aggregates/{aggregate_id}": name,
    }
    person.look_at(pages)
