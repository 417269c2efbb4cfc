# SPDX-License-Identifier: Apache-2.0
"""Changes as they happen: one stream for the tabs of a browser, images, all actions, a service that is replaced."""

import json
from collections.abc import Callable, Generator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from lab.cloud import free_port
from tests.browser.people import Person, World
from tests.live.box import Box, wait_for

Visit = Callable[..., Person]
OTHER_VERSION = {"Content-Type": "text/event-stream", "X-Kilonova-UI-Version": "0123456789abcdef"}
LISTENS_TO_TABS = """
    window.heard = [];
    const Plain = BroadcastChannel;
    window.BroadcastChannel = class extends Plain {
      constructor(name) {
        super(name);
        this.addEventListener("message", (event) => window.heard.push(event.data));
      }
    };"""


@pytest.fixture(scope="module")
def status() -> int:
    return free_port()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, status: int) -> Generator[Box]:
    """One that counts its streams."""
    directory = tmp_path_factory.mktemp("box")
    config = directory / "kilonova.conf"
    config.write_text(f"[DEFAULT]\nstatus_listen = 127.0.0.1:{status}\n[quota]\nram = -1\n")
    made = Box(directory, "--compute-driver", "fake.FakeDriver", "--config-file", str(config))
    try:
        yield made.start().ready()
    finally:
        made.close()


def streams(status: int) -> int:
    lines = httpx.get(f"http://127.0.0.1:{status}/metrics").text.splitlines()
    return next(int(float(line.split()[1])) for line in lines if line.startswith("kilonova_event_streams "))


def tab(context: BrowserContext, path: str = "/servers") -> Page:
    opened = context.new_page()
    opened.add_init_script(LISTENS_TO_TABS)
    opened.goto(f"/ui{path}")
    return opened


def is_live(page: Page) -> None:
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def test_tabs_share_a_stream_and_the_next_one_continues_it(admin: Person, world: World, status: int) -> None:
    is_live(admin.page)
    second, third = tab(admin.context), tab(admin.context)
    for each in (second, third):
        is_live(each)
    wait_for(lambda: streams(status) == 1)
    world.server(name := world.name("shared"))
    for each in (admin.page, second, third):
        expect(each.get_by_role("link", name=name, exact=True)).to_be_visible()
    requests: list[Request] = []
    for each in (second, third):
        each.on("request", lambda request: requests.append(request) if "/ui/events" in request.url else None)
    admin.page.close()
    world.server(after := world.name("after"))  # also what happens between the two streams
    for each in (second, third):
        expect(each.get_by_role("link", name=after, exact=True)).to_be_visible()
    wait_for(lambda: streams(status) == 1)
    (continued,) = requests
    assert continued.headers["last-event-id"].isdigit()


def test_another_login_in_another_tab_shares_nothing(admin: Person, world: World, status: int) -> None:
    world.member(world.project(project := world.name("ann")), user := world.name("user"), "secret")
    is_live(admin.page)
    wait_for(lambda: streams(status) == 1)
    admin.context.clear_cookies()
    ann = tab(admin.context)
    ann.get_by_label("User").fill(user)
    ann.get_by_label("Password").fill("secret")
    ann.get_by_label("Project").fill(project)
    ann.get_by_role("button", name="Log in", exact=True).click()
    is_live(ann)
    wait_for(lambda: streams(status) == 2)
    server_id = world.server(name := world.name("mine"))
    expect(admin.row(name)).to_contain_text("Active")
    assert server_id not in json.dumps(ann.evaluate("window.heard"))
    expect(ann.get_by_text("No servers yet")).to_be_visible()


def test_a_tab_that_was_hidden_reads_everything_again(admin: Person, world: World, status: int) -> None:
    is_live(admin.page)
    second = admin.context.new_page()
    second.clock.install()
    second.goto("/ui/servers")
    is_live(second)
    hide = "(hidden) => (Object.defineProperty(document, 'hidden', { value: hidden, configurable: true }), "
    hide += "document.dispatchEvent(new Event('visibilitychange')))"
    second.evaluate(hide, True)
    second.clock.fast_forward(21_000)
    world.server(name := world.name("unseen"))
    expect(admin.row(name)).to_contain_text("Active")
    row = second.get_by_role("row").filter(has=second.get_by_role("link", name=name, exact=True))
    expect(row).to_have_count(0)
    second.evaluate(hide, False)
    expect(row).to_contain_text("Active")
    wait_for(lambda: streams(status) == 1)


def test_a_page_without_a_stream_shows_its_own_changes(visit: Visit, world: World) -> None:
    server_id = world.server(world.name("alone"))
    person = visit()
    person.context.route("**/ui/events", lambda _: None)  # no answer, for longer than this test lasts
    person.log_in()
    person.open(f"/servers/{server_id}")
    person.button("Edit tags").click()
    person.page.get_by_role("dialog").get_by_label("Tags").fill("blue")
    person.confirm("Save")
    expect(person.page.get_by_text("blue", exact=True)).to_be_visible()


def test_images_and_names_change_by_themselves(admin: Person, world: World) -> None:
    server_id = world.server(name := world.name("old"))
    expect(admin.row(name)).to_contain_text("Active")
    new = world.name("new")
    reply = world.box.http.put(f"/compute/v2.1/servers/{server_id}", json={"server": {"name": new}})
    assert reply.status_code == 200
    expect(admin.row(new)).to_be_visible()
    admin.open("/images")
    is_live(admin.page)
    record = {"name": (disk := world.name("disk")), "disk_format": "raw", "container_format": "bare"}
    path = f"/image/v2/images/{world.post('/image/v2/images', record)['id']}"
    expect(admin.row(disk)).to_contain_text("No data")
    octets = {"Content-Type": "application/octet-stream"}
    assert world.box.http.put(f"{path}/file", content=bytes(1024), headers=octets).status_code == 204
    expect(admin.row(disk)).to_contain_text("Active")
    assert world.box.http.delete(path).status_code == 204
    expect(admin.row(disk)).to_have_count(0)


def huge(world: World) -> str:
    """A flavor for which no host has the memory."""
    flavor = {"flavor": {"name": world.name("huge"), "ram": 1 << 27, "vcpus": 1, "disk": 1}}
    return str(world.post("/compute/v2.1/flavors", flavor, 200)["flavor"]["id"])


def test_all_actions_appear_as_they_happen_and_say_why_there_was_no_host(admin: Person, world: World) -> None:
    admin.open("/actions")
    is_live(admin.page)
    name, bad = world.name("works"), world.name("fails")
    server_id = world.server(name)
    row = admin.page.get_by_role("row")
    expect(row.filter(has_text=name)).to_contain_text("Done")
    assert admin.violations() == []
    failed_id = world.box.create(world.image_id, bad, flavorRef=huge(world))
    expect(row.filter(has_text=bad)).to_contain_text("Failed")
    admin.button("Failed").click()
    expect(row.filter(has_text=name)).to_have_count(0)
    row.filter(has_text=bad).get_by_role("link", name="Create").click()
    expect(admin.heading(f"Create of {bad}")).to_be_visible()
    placement = admin.page.get_by_role("group", name="Placement")
    expect(placement).to_contain_text("Hosts do not have enough free memory.")
    expect(placement).to_contain_text("RamFilter refused 1")
    assert admin.violations() == []
    admin.page.go_back()
    expect(row.filter(has_text=bad)).to_be_visible()
    world.box.delete(server_id)
    admin.button("All").click()
    deleted = row.filter(has_text=name).first
    expect(deleted).to_contain_text("(deleted)")
    deleted.get_by_role("link", name=name).click()
    expect(admin.button(f"Of {name}")).to_be_visible()
    expect(row).to_have_count(3)
    admin.open(f"/servers/{failed_id}")
    expect(admin.page.get_by_role("status").filter(has_text="The last action failed")).to_contain_text("free memory")
    admin.link("Show why").click()
    expect(placement).to_contain_text("RamFilter refused 1")


def test_a_request_leads_to_the_actions_of_all_its_servers(admin: Person, world: World) -> None:
    server_id = world.server(name := world.name("twin"), min_count=2)
    world.server(other := world.name("other"))
    admin.open(f"/servers/{server_id}/actions")
    request = admin.page.get_by_role("link", name="req-")
    request.click()
    row = admin.page.get_by_role("row").filter(has_text="Create")
    expect(row.filter(has_text=name)).to_have_count(2)
    expect(row.filter(has_text=other)).to_have_count(0)
    assert admin.violations() == []
    request_id = admin.page.url.partition("request_id=")[2]
    admin.button(f"Of the request {request_id}").click()
    expect(row.filter(has_text=other)).to_be_visible()
    admin.open(f"/notifications?server={server_id}")
    admin.link("instance.create.end").click()
    admin.link(request_id).click()
    expect(row.filter(has_text=name)).to_have_count(2)
    expect(row.filter(has_text=other)).to_have_count(0)


def test_a_member_reads_why_there_was_no_host_without_hosts(visit: Visit, world: World) -> None:
    world.member(world.project(world.name("project")), user := world.name("user"), "secret")
    flavor = huge(world)
    ann = visit(user, "secret", width=320)
    ann.log_in()
    ann.open("/servers/create")
    ann.field("Name").fill(name := world.name("fails"))
    ann.field("Image").select_option(world.image_id)
    ann.field("Flavor").select_option(flavor)
    ann.button("Create").click()
    reasons = ann.page.get_by_role("list", name="Why there was no host")
    expect(reasons).to_have_text("Hosts do not have enough free memory.")
    ann.link("Show why").click()
    expect(reasons).to_have_text("Hosts do not have enough free memory.")
    expect(ann.page.get_by_role("main")).not_to_contain_text("RamFilter")
    ann.open("/actions")
    expect(ann.page.get_by_role("row").filter(has_text=name)).to_contain_text("Failed")
    assert ann.page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_page_that_is_older_than_the_service_says_so_and_loses_nothing(visit: Visit) -> None:
    person = visit()
    person.context.route(
        "**/ui/events", lambda route: route.fulfill(headers=OTHER_VERSION, body="id: 1\nevent: ready\ndata: {}\n\n")
    )
    person.log_in()
    notice = person.page.get_by_role("status").filter(has_text="newer version of this page")
    expect(notice).to_be_visible()
    person.link("Create server").first.click()
    person.field("Name").fill("kept-name")
    expect(notice).to_be_visible()
    expect(person.field("Name")).to_have_value("kept-name")
    assert person.violations() == []
    person.button("Load the new page").click()
    expect(person.field("Name")).to_have_value("")
    person.context.unroute_all()  # from here on the streams have the version that was loaded
    is_live(person.page)
    expect(notice).to_have_count(0)


def test_a_service_that_is_too_busy_for_a_stream_is_polled(visit: Visit, world: World) -> None:
    busy = {"serviceUnavailable": {"code": 503, "message": "There are too many event streams."}}
    person = visit()
    person.context.route("**/ui/events", lambda route: route.fulfill(status=503, json=busy))
    person.log_in()
    expect(person.page.get_by_text("Every 4 s")).to_be_visible()
    world.server(name := world.name("polled"))
    expect(person.row(name)).to_contain_text("Active")
    refused = {"serviceUnavailable": {"code": 503, "message": "No conductor answers."}}
    person.page.route(
        "**/compute/v2.1/servers", lambda route: route.fulfill(status=503, json=refused, headers={"Retry-After": "7"})
    )
    person.link("Create server").first.click()
    person.field("Name").fill("kept-name")
    person.field("Image").select_option(world.image_id)
    person.field("Flavor").select_option("1")
    person.button("Create").click()
    sentence = "No conductor answers. Nothing was done. Try again in 7 seconds."
    expect(person.page.get_by_role("alert")).to_contain_text(sentence)
    expect(person.field("Name")).to_have_value("kept-name")
