# SPDX-License-Identifier: Apache-2.0
"""Images on the page: uploaded, cancelled, uploaded again, changed, shared and deleted."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Locator, Route, expect

from tests.browser.people import Person, World
from tests.live.box import Box

Visit = Callable[..., Person]

MIB = 1 << 20
HOSTILE = "<img src=x onerror=document.title=1>"
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


@pytest.fixture
def at_images(admin: Person) -> Person:
    admin.open("/images")
    expect(admin.heading("Images")).to_be_visible()
    return admin


def uploads(person: Person) -> Locator:
    return person.page.get_by_role("region", name="Uploads")


def choose(person: Person, path: Path, name: str) -> None:
    """Fill the form of a new image and send it."""
    person.button("Upload image").first.click()
    dialog = person.page.get_by_role("dialog")
    dialog.get_by_label("File").set_input_files(path)
    expect(dialog.get_by_text("taken as the bytes of a disk")).to_be_visible()
    dialog.get_by_label("Name", exact=True).fill(name)
    dialog.get_by_role("button", name="Upload", exact=True).click()


def slow_down(person: Person, bytes_per_second: int) -> None:
    """Limit what the browser sends and receives; -1 ends the limit.

    Chromium loses requests that are under way when a limit begins (seen 1 in 20: a module that never arrives)."""
    if bytes_per_second > 0:
        person.wait_quiet()
    session = person.context.new_cdp_session(person.page)
    both = {"downloadThroughput": bytes_per_second, "uploadThroughput": bytes_per_second}
    limits = {"offline": False, "latency": 0, **both}
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", limits)


@contextmanager
def killed(box: Box) -> Generator[None]:
    """The service is away for this time."""
    box.kill()
    try:
        yield
    finally:
        box.start().ready()


def image(world: World, name: str, *operations: dict[str, Any]) -> str:
    """An image of the administrator's project with 1 KiB."""
    record = {"name": name, "disk_format": "raw", "container_format": "bare"}
    image_id = str(world.post("/image/v2/images", record)["id"])
    octets = {"Content-Type": "application/octet-stream"}
    path = f"/image/v2/images/{image_id}"
    assert world.box.http.put(f"{path}/file", content=bytes(1024), headers=octets).status_code == 204
    if operations:
        assert world.box.http.patch(path, json=list(operations), headers=PATCH).status_code == 200
    return image_id


def status(world: World, name: str) -> str:
    (found,) = world.box.http.get("/image/v2/images", params={"name": name}).json()["images"]
    return str(found["status"])


def test_an_upload_shows_its_progress_is_cancelled_and_begins_again(
    at_images: Person, world: World, tmp_path: Path
) -> None:
    person, name = at_images, world.name("disk")
    (tmp_path / "disk.img").write_bytes(bytes(8 * MIB))
    slow_down(person, 2 * MIB)
    choose(person, tmp_path / "disk.img", name)
    bar = person.page.get_by_role("progressbar", name=f"Upload of {name}")
    expect(bar).not_to_have_attribute("aria-valuenow", "0")
    person.link("Flavors").click()
    expect(person.heading("Flavors")).to_be_visible()
    person.page.go_back()
    expect(bar).to_be_visible()
    uploads(person).get_by_role("button", name="Cancel").click()
    expect(uploads(person)).to_contain_text("keeps nothing of a part")
    expect(person.row(name).filter(has_text="No data")).to_be_visible()
    assert person.violations() == []
    slow_down(person, -1)
    uploads(person).get_by_role("button", name="Upload again").click()
    expect(person.row(name)).to_contain_text("Active")
    expect(uploads(person)).to_have_count(0)
    person.row(name).get_by_role("link").click()
    person.link("Create server").click()
    expect(person.field("Image")).to_have_value(person.page.url.partition("image=")[2])


def test_an_upload_continues_after_the_service_was_killed(at_images: Person, world: World, tmp_path: Path) -> None:
    person, name = at_images, world.name("broken")
    (tmp_path / "disk.img").write_bytes(bytes(4 * MIB))
    slow_down(person, MIB // 4)
    choose(person, tmp_path / "disk.img", name)
    bar = person.page.get_by_role("progressbar", name=f"Upload of {name}")
    expect(bar).not_to_have_attribute("aria-valuenow", "0")
    with killed(world.box):
        expect(uploads(person)).to_contain_text("The upload broke off. The service does not answer.")
    slow_down(person, -1)
    uploads(person).get_by_role("button", name="Upload again").click()
    expect(person.row(name)).to_contain_text("Active")
    person.complaints[:] = [each for each in person.complaints if "net::ERR_" not in each]


CHOOSES = """window.showSaveFilePicker = async ({ suggestedName }) =>
  (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true });"""
"""In the place of the dialog, which a browser without a screen has not: a real file of the page's origin."""
SAVED = """async (name) => {
  const handle = await (await navigator.storage.getDirectory()).getFileHandle(name);
  const hash = await crypto.subtle.digest("SHA-256", await (await handle.getFile()).arrayBuffer());
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}"""


def test_a_download_is_written_as_it_comes_and_an_early_end_leaves_no_part(
    admin: Person, world: World, tmp_path: Path
) -> None:
    (tmp_path / "disk").write_bytes(content := os.urandom(1024) * 4096)
    admin.page.add_init_script(CHOOSES)
    admin.open(f"/images/{world.box.upload(tmp_path / 'disk', 'raw')}")
    running = admin.page.get_by_role("region", name="Downloads")
    bar = admin.page.get_by_role("progressbar", name="Download of disk")
    slow_down(admin, MIB // 4)
    admin.do("disk", "Download")
    expect(bar).not_to_have_attribute("aria-valuenow", "0")
    assert admin.violations() == []
    running.get_by_role("button", name="Cancel").click()
    expect(running).to_have_count(0)
    admin.do("disk", "Download")
    expect(bar).not_to_have_attribute("aria-valuenow", "0")
    with killed(world.box):
        broke_off = "The download broke off. The service does not answer."
        expect(running.get_by_role("alert")).to_contain_text(broke_off)
    assert admin.page.evaluate(SAVED, "disk.img") == sha256(b"").hexdigest()
    slow_down(admin, -1)
    admin.do("disk", "Download")
    expect(admin.message("disk.img is saved")).to_be_visible()
    assert admin.page.evaluate(SAVED, "disk.img") == sha256(content).hexdigest()
    admin.complaints[:] = [each for each in admin.complaints if "net::ERR_" not in each]


def test_a_browser_that_writes_no_files_keeps_a_download_until_its_end(
    admin: Person, world: World, tmp_path: Path
) -> None:
    (tmp_path / "a.qcow2").write_bytes(content := os.urandom(4096))
    admin.page.add_init_script("delete window.showSaveFilePicker")
    admin.open(f"/images/{world.box.upload(tmp_path / 'a.qcow2', 'raw')}")
    with admin.page.expect_download() as download:
        admin.do("a.qcow2", "Download")
    assert download.value.suggested_filename == "a.qcow2"
    assert download.value.path().read_bytes() == content
    assert "token" not in download.value.url.lower()


def test_an_image_without_data_takes_a_file_later(admin: Person, world: World, tmp_path: Path) -> None:
    record = {"name": (name := world.name("late")), "disk_format": "raw", "container_format": "bare"}
    image_id = world.post("/image/v2/images", record)["id"]
    (tmp_path / "disk.img").write_bytes(bytes(4096))
    admin.open(f"/images/{image_id}")
    expect(admin.page.get_by_text("This image has no data")).to_be_visible()
    assert admin.violations() == []
    admin.field("Choose the file").set_input_files(tmp_path / "disk.img")
    expect(admin.page.get_by_role("main").get_by_text("Active", exact=True)).to_be_visible()
    assert status(world, name) == "active"


def test_a_file_that_is_no_disk_is_not_sent(at_images: Person, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    for content, sentence in (
        (b"", "The file is empty."),
        (b"\xfd7zXZ\0rest", "compressed (xz)"),
        (b"KDMV\1\0\0\0", "qemu-img convert"),
    ):
        path.write_bytes(content)
        at_images.button("Upload image").first.click()
        dialog = at_images.page.get_by_role("dialog")
        dialog.get_by_label("File").set_input_files(path)
        expect(dialog.get_by_text(sentence)).to_be_visible()
        dialog.get_by_role("button", name="Upload", exact=True).click()
        expect(dialog.get_by_role("alert")).to_contain_text(sentence)
        expect(dialog.get_by_label("Name", exact=True)).to_have_value("disk")
        at_images.page.keyboard.press("Escape")


def test_an_image_is_changed_protected_deactivated_and_deleted(admin: Person, world: World) -> None:
    change = {"op": "add", "path": "/os_distro", "value": "debian"}
    image_id = image(world, name := world.name("life"), change)
    admin.open(f"/images/{image_id}")

    def act(action: str) -> None:
        admin.button(f"Actions of {name}").click()
        admin.page.get_by_role("menuitem", name=action, exact=True).click()

    act("Edit")
    dialog = admin.page.get_by_role("dialog")
    dialog.get_by_label("Properties").fill("hw_disk_bus=scsi")
    dialog.get_by_label("Tags").fill("lts, cloud")
    dialog.get_by_label("Least memory (MiB)").fill("64")
    assert admin.violations() == []
    words = "--min-ram 64 --tag cloud --tag lts --property hw_disk_bus=scsi"
    expect(dialog.get_by_label("The same as a command")).to_contain_text(words)
    admin.confirm("Save")
    for text in ("scsi", "lts", "0 GiB of disk, 64 MiB of memory"):
        expect(admin.page.get_by_role("main").get_by_text(text, exact=True)).to_be_visible()
    expect(admin.page.get_by_text("debian")).to_have_count(0)
    act("Protect")
    expect(admin.page.get_by_role("main").get_by_text("Protected", exact=True)).to_be_visible()
    admin.button(f"Actions of {name}").click()
    expect(admin.page.get_by_role("menuitem", name="Delete")).to_have_count(0)
    admin.page.get_by_role("menuitem", name="Unprotect").click()
    act("Deactivate")
    admin.confirm("Deactivate")
    expect(admin.page.get_by_text("no server can be created from it")).to_be_visible()
    act("Reactivate")
    expect(admin.page.get_by_role("main").get_by_text("Active", exact=True)).to_be_visible()
    act("Delete")
    expect(admin.page.get_by_role("dialog")).to_contain_text(f"openstack image delete {name}")
    admin.confirm("Delete")
    expect(admin.page.get_by_text("There is no such image")).to_be_visible()


def test_what_the_api_refuses_is_shown_in_its_words(admin: Person, world: World) -> None:
    image_id = image(world, world.name("refused"))
    admin.open(f"/images/{image_id}")
    admin.page.get_by_role("button", name="Actions of").click()
    admin.page.get_by_role("menuitem", name="Edit").click()
    admin.page.get_by_role("dialog").get_by_label("Properties").fill("os_glance_secret=1")
    admin.confirm("Save")
    expect(admin.page.get_by_role("dialog").get_by_role("alert")).to_contain_text("os_glance_secret")
    expect(admin.page.get_by_role("dialog").get_by_label("Properties")).to_have_value("os_glance_secret=1")


def test_an_image_is_shared_and_the_other_project_accepts(visit: Visit, admin: Person, world: World) -> None:
    project, user = world.name("ann"), world.name("user")
    world.member(world.project(project), user, "secret")
    evil = [{"op": "add", "path": "/note", "value": HOSTILE}, {"op": "replace", "path": "/tags", "value": [HOSTILE]}]
    image_id = image(world, HOSTILE, *evil)
    admin.open(f"/images/{image_id}")
    admin.button("Share").click()
    admin.page.get_by_role("dialog").get_by_label("Project").fill(project)
    admin.confirm("Share")
    members = admin.page.get_by_role("table", name="Shared with")
    expect(members).to_contain_text(f"{project}Waits")
    assert admin.violations() == []
    ann = visit(user, "secret")
    ann.log_in()
    ann.open("/images")
    expect(ann.row("small.raw")).to_be_visible()
    expect(ann.row(HOSTILE)).to_have_count(0)
    ann.page.get_by_label("Which images").select_option("offered")
    expect(ann.row(HOSTILE)).to_be_visible()
    ann.button("Accept").click()
    expect(ann.page.get_by_text("No image waits for a reply")).to_be_visible()
    ann.button("Images to use").click()
    ann.row(HOSTILE).get_by_role("link").click()
    expect(ann.heading(HOSTILE)).to_be_visible()
    expect(ann.page.get_by_text(HOSTILE)).to_have_count(4)
    assert ann.page.locator("main img").count() == 0
    ann.button(f"Actions of {HOSTILE}").click()
    expect(ann.page.get_by_role("menuitem", name="Delete")).to_have_count(0)
    admin.page.reload()
    expect(members).to_contain_text("Accepted")
    members.get_by_role("button", name="Withdraw").click()
    admin.confirm("Withdraw")
    expect(admin.page.get_by_text("shared with no other project")).to_be_visible()


def test_images_are_searched_and_several_are_deleted_at_once(at_images: Person, world: World) -> None:
    person, names = at_images, [world.name("many") for _ in range(3)]
    for name in names:
        image(world, name)
    person.open("/images?q=many&visibility=shared")
    for name in names:
        expect(person.row(name)).to_be_visible()
    expect(person.row("small.raw")).to_have_count(0)
    person.page.get_by_label("Choose all").check()
    person.page.get_by_role("group", name="Chosen images").get_by_role("button", name="Delete").click()
    person.confirm("Delete")
    expect(person.page.get_by_text("Nothing fits")).to_be_visible()
    person.button("Show all").click()
    expect(person.row("small.raw")).to_be_visible()


def test_a_change_is_not_lost_behind_an_older_look_at_the_list(at_images: Person, world: World) -> None:
    person = at_images
    image(world, name := world.name("stale"))
    person.open("/images")
    expect(person.row(name)).to_be_visible()
    held: list[tuple[Route, APIResponse]] = []
    person.page.route("**/image/v2/images", lambda route: held.append((route, route.fetch())), times=1)
    person.link("Flavors").click()
    expect(person.heading("Flavors")).to_be_visible()
    person.link("Images").click()
    person.do(name, "Delete")
    person.confirm("Delete")
    expect(person.message(f"{name} deleted")).to_be_visible()
    ((route, reply),) = held
    assert name in reply.text()
    route.fulfill(response=reply)
    expect(person.row(name)).to_have_count(0)
