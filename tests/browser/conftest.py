# SPDX-License-Identifier: Apache-2.0
"""One Chromium and one box on the fake driver in each file, and people with windows."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

from lab.counting import cannot_run
from tests.browser.people import Person, World, arguments, chromium
from tests.live.box import Box


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    """Not for the session: Playwright leaves an event loop running in this thread, and no other file's asyncio.run
    works before its end."""
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=chromium(), args=arguments())
        except Error as error:
            cannot_run(f"Chromium does not start: {error.message.splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Generator[Box]:
    made = Box(tmp_path_factory.mktemp("box"), "--compute-driver", "fake.FakeDriver")
    try:
        yield made.start().ready()
    finally:
        made.close()


@pytest.fixture(scope="module")
def world(box: Box, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The box with an image, for everybody."""
    return World(box, _image(box, tmp_path_factory.mktemp("image") / "small.raw"))


def _image(box: Box, path: Path) -> str:
    path.write_bytes(bytes(1 << 20))
    image_id = box.upload(path, "raw")
    changes = [{"op": "replace", "path": "/visibility", "value": "public"}]
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    assert box.http.patch(f"/image/v2/images/{image_id}", json=changes, headers=headers).status_code == 200
    return image_id


@pytest.fixture
def visit(browser: Browser, world: World) -> Generator[Callable[..., Person]]:
    """Somebody with a browser of their own: `visit()` is the administrator, not logged in yet."""
    people: list[Person] = []

    def come(name: str = "admin", password: str = "", width: int = 1280, height: int = 800) -> Person:
        context = browser.new_context(viewport={"width": width, "height": height}, base_url=world.address)
        context.set_default_timeout(30_000)
        people.append(Person(context, world, name, password or world.admin_password))
        return people[-1]

    yield come
    for person in people:
        person.context.close()
    for person in people:
        assert person.complaints == []


@pytest.fixture
def admin(visit: Callable[..., Person]) -> Person:
    """The administrator at the list of servers."""
    person = visit()
    person.log_in()
    return person
