# SPDX-License-Identifier: Apache-2.0
"""One Chromium for the package, one box in each file, and people with windows.

The box is on the fake driver; in a file that says `REAL_GUESTS = True` it is on a private libvirtd.
"""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from lab.browser import chromium
from lab.common import LabError
from lab.counting import cannot_run
from tests.browser.people import Person, World
from tests.live.box import GUEST_IMAGE, Box, libvirt_box, private_libvirtd


@pytest.fixture(scope="package")
def browser() -> Generator[Browser]:
    """Not for the session: Playwright leaves an event loop running in this thread, and no `asyncio.run` of another
    package works before its end."""
    try:
        with chromium() as started:
            yield started
    except LabError as error:
        cannot_run(error.sentence)


def real_guests(request: pytest.FixtureRequest) -> bool:
    return bool(getattr(request.module, "REAL_GUESTS", False))


@pytest.fixture(scope="module")
def box(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Box]:
    with ExitStack() as stack:
        if real_guests(request):
            made = stack.enter_context(libvirt_box(stack.enter_context(private_libvirtd())))
        else:
            made = Box(tmp_path_factory.mktemp("box"), "--compute-driver", "fake.FakeDriver")
            stack.callback(made.close)
        yield made.start().ready()


@pytest.fixture(scope="module")
def world(box: Box, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The box with an image, for everybody."""
    if real_guests(request):
        return World(box, box.upload(GUEST_IMAGE))
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
        people.append(Person(context, name, password or world.admin_password))
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
