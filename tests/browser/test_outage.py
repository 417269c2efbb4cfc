# SPDX-License-Identifier: Apache-2.0
"""A page whose service goes away and returns, and a page with many servers."""

import httpx
from playwright.sync_api import expect

from tests.browser.people import Person, World
from tests.live.box import wait_for


def test_the_service_is_killed_and_returns_under_an_open_page(admin: Person, world: World) -> None:
    server_id = world.server(name := world.name("outage"))
    expect(admin.row(name)).to_contain_text("Active")
    world.box.kill()
    expect(admin.page.get_by_text("Offline")).to_be_visible()
    expect(admin.row(name)).to_be_visible()
    admin.do(name, "Pause")
    expect(admin.message(f"Pause of {name} was refused")).to_be_visible()
    expect(admin.message("The service does not answer.")).to_be_visible()
    world.box.start().ready()
    expect(admin.page.get_by_text("Live", exact=True)).to_be_visible()
    world.box.delete(server_id)
    expect(admin.row(name)).to_have_count(0)
    admin.complaints[:] = [words for words in admin.complaints if "net::ERR_" not in words]


def test_of_many_servers_only_those_near_the_window_are_in_the_document(admin: Person, world: World) -> None:
    count = 200
    quota = {"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
    project = world.box.http.get("/identity/v3/auth/projects").json()["projects"][0]["id"]
    assert world.box.http.put(f"/compute/v2.1/os-quota-sets/{project}", json=quota).status_code == 200
    flavor = {"flavor": {"name": world.name("little"), "ram": 1, "vcpus": 1, "disk": 0}}
    flavor_id = world.post("/compute/v2.1/flavors", flavor, 200)["flavor"]["id"]
    many = {"min_count": count, "max_count": count, "flavorRef": flavor_id, "networks": "none"}
    world.box.create(world.image_id, name := world.name("many"), **many)
    building = "/compute/v2.1/servers?status=BUILD"
    wait_for(lambda: not world.box.http.get(building).json()["servers"])  # from here on no row changes
    table = admin.page.get_by_role("table", name="Servers")
    expect(admin.page.get_by_text(f"{count} of {count}")).to_be_visible()
    expect(table).to_have_attribute("aria-rowcount", str(count + 1))
    assert admin.page.get_by_role("row").count() < count
    expect(admin.link(f"{name}-1")).to_be_visible()
    expect(admin.link(f"{name}-{count}")).to_have_count(0)
    admin.page.keyboard.press("End")
    expect(admin.link(f"{name}-{count}")).to_be_in_viewport()
    admin.page.get_by_role("searchbox").fill(f"{name}-77")
    expect(admin.page.get_by_text(f"1 of {count}")).to_be_visible()


def test_another_version_of_the_page_is_told_to_reload(admin: Person, world: World) -> None:
    """A file of a version that the service does not have."""
    reply = httpx.get(f"{world.address}/ui/static/0123456789abcdef/app/main.js")
    assert reply.status_code == 404
    admin.page.route("**/views/create/create.js", lambda route: route.fulfill(status=404))
    admin.link("Create server").first.click()
    expect(admin.page.get_by_role("alert")).to_contain_text("Reload the page.")
    admin.page.unroute_all()
    admin.button("Try again").click()
    expect(admin.heading("Create server")).to_be_visible()
    admin.complaints.clear()
