# SPDX-License-Identifier: Apache-2.0
"""Cancelling on the page: builds that wait and run, and an action beyond its point of no return."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.people import Person, World
from tests.holding_driver import FILE
from tests.live.box import Box

CANCEL, CANCELLED = "Cancel: Create", "Cancelled: Create"
CLEANING = "Cancelled, and the host is still cleaning up: Create"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Generator[Box]:
    """One that builds one server at a time, on a hypervisor that keeps calls waiting."""
    directory = tmp_path_factory.mktemp("box")
    config = directory / "kilonova.conf"
    config.write_text("[DEFAULT]\nmax_concurrent_builds = 1\n")
    made = Box(directory, "--compute-driver", "tests.holding_driver.HoldingDriver", "--config-file", str(config))
    try:
        yield made.start().ready()
    finally:
        made.close()


@contextmanager
def held(box: Box, calls: str) -> Generator[None]:
    """The hypervisor does not answer these calls."""
    file: Path = box.state / FILE
    file.write_text(calls)
    try:
        yield
    finally:
        file.unlink()


def row(person: Person, name: str) -> Locator:
    return person.page.get_by_role("row").filter(has_text=name)


def test_a_build_that_waits_and_one_that_runs_are_cancelled_by_mouse_and_by_keyboard(
    admin: Person, world: World
) -> None:
    admin.open("/actions")
    with held(world.box, "ensure_disks"):
        ids = {name: world.box.create(world.image_id, name) for name in ("runs", "waits")}
        for name in ids:
            expect(row(admin, name)).to_contain_text("In progress")
        assert admin.violations() == []
        row(admin, "waits").get_by_role("button", name=CANCEL).click()
        expect(admin.message(CANCELLED)).to_be_visible()
        expect(row(admin, "waits").get_by_text("Cancelled", exact=True)).to_be_visible()
        expect(row(admin, "runs")).to_contain_text("In progress")
        row(admin, "runs").get_by_role("link", name="Create").focus()
        admin.page.keyboard.press("Tab")
        expect(row(admin, "runs").get_by_role("button", name=CANCEL)).to_be_focused()
        admin.page.keyboard.press("Enter")
        expect(admin.message(CLEANING)).to_be_visible()
        admin.open(f"/servers/{ids['runs']}")
        expect(admin.page.get_by_role("status").filter(has_text="Cancelled by admin")).to_be_visible()
        admin.page.go_back()
        expect(row(admin, "runs")).to_contain_text("In progress")
    expect(row(admin, "runs").get_by_text("Cancelled", exact=True)).to_be_visible()
    expect(admin.button(CANCEL)).to_have_count(0)
    assert world.box.node()["running_vms"] == 0


def test_beyond_its_point_of_no_return_an_action_is_not_cancelled_and_the_page_says_why(
    admin: Person, world: World
) -> None:
    server_id = world.server(world.name("late"))
    with held(world.box, "pause"):
        world.box.act(server_id, {"pause": None})
        admin.open(f"/servers/{server_id}/actions")
        admin.button("Cancel: Pause").click()
        expect(admin.message("It is too late to cancel: Pause")).to_be_visible()
        expect(admin.message("The guest is being paused: unpause it when the action has ended.")).to_be_visible()
        assert admin.violations() == []
        expect(admin.button("Cancel: Pause")).to_be_enabled()
    expect(admin.page.get_by_role("main").get_by_text("Paused", exact=True).first).to_be_visible()
    expect(admin.button("Cancel: Pause")).to_have_count(0)
    with held(world.box, "remove_disks"):
        assert world.box.http.delete(f"/compute/v2.1/servers/{server_id}").status_code == 204
        admin.open(f"/actions?server_id={server_id}&state=open")
        expect(admin.link("Delete")).to_be_visible()
        expect(admin.button("Cancel: Delete")).to_have_count(0)
