# SPDX-License-Identifier: Apache-2.0
"""The list of 1,000 servers."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.people import Person, World
from tests.live.box import wait_for

COUNT = 1000
PAUSED = 3


def thousand(world: World, name: str) -> None:
    """Servers NAME-1 to NAME-1000, some of them paused."""
    quota = {"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
    project = world.box.http.get("/identity/v3/auth/projects").json()["projects"][0]["id"]
    assert world.box.http.put(f"/compute/v2.1/os-quota-sets/{project}", json=quota).status_code == 200
    flavor = {"flavor": {"name": "little", "ram": 1, "vcpus": 1, "disk": 0}}
    flavor_id = world.post("/compute/v2.1/flavors", flavor, 200)["flavor"]["id"]
    many = {"min_count": COUNT, "max_count": COUNT, "flavorRef": flavor_id, "networks": "none"}
    world.box.create(world.image_id, name, **many)
    servers = "/compute/v2.1/servers?limit=1000&status="
    wait_for(lambda: not world.box.http.get(f"{servers}BUILD").json()["servers"], why=world.box.last_words)
    active = world.box.http.get(f"{servers}ACTIVE").json()["servers"]
    assert len(active) == COUNT
    for server in active[:PAUSED]:
        world.box.act(server["id"], {"pause": None})
        world.box.wait_status(server["id"], "PAUSED")


def test_a_thousand_servers_are_scrolled_searched_sorted_and_chosen(visit: Callable[..., Person], world: World) -> None:
    thousand(world, name := "many")
    admin = visit()
    admin.log_in()
    page, keyboard = admin.page, admin.page.keyboard
    expect(page.get_by_text(f"{COUNT} of {COUNT}")).to_be_visible()
    expect(page.get_by_role("table", name="Servers")).to_have_attribute("aria-rowcount", str(COUNT + 1))
    expect(admin.link(f"{name}-1")).to_be_visible()
    expect(admin.link(f"{name}-{COUNT}")).to_have_count(0)
    keyboard.press("End")
    expect(admin.link(f"{name}-{COUNT}")).to_be_in_viewport()
    assert page.get_by_role("row").count() < COUNT / 5
    keyboard.press("Home")
    admin.link(f"{name}-1").focus()
    for number in range(2, 80):  # beyond the rows that are in the document at first
        keyboard.press("ArrowDown")
        expect(admin.link(f"{name}-{number}")).to_be_focused()
    admin.button("Name").click()
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "descending")
    keyboard.press("Home")
    expect(page.get_by_role("row").nth(1)).to_contain_text(f"{name}-{COUNT}")
    page.get_by_role("group", name="States").get_by_role("button", name="Paused").click()
    expect(page.get_by_text(f"{PAUSED} of {COUNT}")).to_be_visible()
    page.get_by_role("group", name="States").get_by_role("button", name="Paused").click()
    page.get_by_label("Choose all").check()
    chosen = page.get_by_role("group", name="Chosen servers")
    expect(chosen).to_contain_text(f"{COUNT} servers")
    chosen.get_by_role("button", name="Choose none").click()
    page.get_by_role("searchbox").fill(f"{name}-77")
    expect(page.get_by_text(f"11 of {COUNT}")).to_be_visible()  # 77, 770 to 779
    page.get_by_label("Choose all").check()
    chosen.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("11 servers")
    admin.confirm("Delete")
    expect(page.get_by_text(f"0 of {COUNT - 11}")).to_be_visible()
