# SPDX-License-Identifier: Apache-2.0
"""A page whose service goes away and returns, and a page of another version."""

import httpx
from playwright.sync_api import expect

from tests.browser.people import Person, World


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
