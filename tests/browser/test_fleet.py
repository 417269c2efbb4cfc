# SPDX-License-Identifier: Apache-2.0
"""The page of a fleet: two API processes behind a balancer, two hosts."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from lab.cloud import free_port
from lab.common import LabError
from lab.counting import cannot_run
from lab.fleet.balancer import balancer
from tests.browser.people import Person, admin_password
from tests.browser.test_actions import act
from tests.live.box import wait_for
from tests.live.fleet import ApiServer, Fleet, Service
from tests.live.fleet import fleet as running_fleet
from tests.live.test_fleet_api import raw_image, start

pytestmark = pytest.mark.live

CONFIG = "service_down_time = 4\nshelved_offload_time = -1\n"


@dataclass(frozen=True)
class Site:
    """A running fleet.  `address` is that of the balancer."""

    fleet: Fleet
    apis: tuple[ApiServer, ApiServer]
    hosts: dict[str, Service]
    image: str
    address: str


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running_fleet() as fleet:
        fleet.config.write_text(fleet.config.read_text().replace("[DEFAULT]\n", f"[DEFAULT]\n{CONFIG}", 1))
        a, b = start(fleet, "a", "b")
        hosts = {"box1": fleet.compute, "box2": fleet.host("box2").start().ready()}
        port = free_port()
        try:
            entrance = balancer(fleet.directory, port, {"a": a.port, "b": b.port})
        except LabError as error:
            cannot_run(error.sentence)
        entrance.start()
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(lambda: answers(address), why=lambda: log(entrance.log))
            yield Site(fleet, (a, b), hosts, raw_image(fleet, a), address)
        finally:
            entrance.kill()


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def log(path: Path) -> str:
    return path.read_text(errors="replace")


@pytest.fixture
def person(site: Site, browser: Browser) -> Generator[Person]:
    """The administrator, at the list of servers."""
    context = browser.new_context(base_url=site.address)
    somebody = Person(context, "admin", admin_password(site.fleet.clouds))
    somebody.log_in()
    yield somebody
    context.close()
    assert [each for each in somebody.complaints if "net::ERR_" not in each] == []


def test_a_page_continues_when_either_process_is_killed(site: Site, person: Person) -> None:
    """One of the two has the page's stream of events."""
    server = site.apis[0].create(site.image, "steady")
    expect(person.row("steady")).to_contain_text("Active")
    for dead, action, state in ((0, "Pause", "Paused"), (1, "Unpause", "Active")):
        killed, left = site.apis[dead], site.apis[1 - dead]
        killed.service.kill()
        expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
        person.do("steady", action)
        expect(person.row("steady")).to_contain_text(state)
        left.act(server, {"lock": None} if dead == 0 else {"unlock": None})
        expect(person.row("steady").get_by_text("Locked")).to_have_count(1 - dead)
        person.page.reload()
        expect(person.row("steady")).to_contain_text(state)
        killed.start().ready()


def service_state(api: ApiServer, host: str) -> str:
    (service,) = api.http.get(f"/compute/v2.1/os-services?host={host}&binary=nova-compute").json()["services"]
    return str(service["state"])


def test_a_server_leaves_its_host_on_request_and_is_evacuated_from_a_lost_host(site: Site, person: Person) -> None:
    api = site.apis[0]
    server = api.create(site.image, name := "moved")
    person.open(f"/servers/{server}")
    for action, state, message in (
        ("Shelve", "Shelved", f"{name} is shelved"),
        ("Offload", "Shelved, offloaded", f"{name} is offloaded"),
        ("Unshelve", "Active", f"{name} is back"),
    ):
        act(person, name, action, state, message)
    host = str(api.wait_status(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"])
    site.hosts[host].kill()
    wait_for(lambda: service_state(api, host) == "down")
    wait_for(lambda: site.fleet.command("host", "forget", host, "--yes").returncode == 0)
    person.page.reload()
    expect(person.page.get_by_text("The last action failed.")).to_be_visible()
    act(person, name, "Evacuate", "Active", f"{name} has another host")
