# SPDX-License-Identifier: Apache-2.0
"""kilonova-api as a process of its own, and several of them: what one does, the others serve."""

from collections.abc import Iterator

import pytest

from tests.live.box import wait_for
from tests.live.fleet import ApiServer, Fleet
from tests.live.fleet import fleet as running_fleet

pytestmark = pytest.mark.live


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running_fleet() as made:
        yield made


def start(fleet: Fleet, *names: str) -> list[ApiServer]:
    """A conductor, a host and these API processes, with an administrator who is logged in at each."""
    fleet.conductor.start().ready()
    servers = [fleet.api_server(name).start() for name in names]
    fleet.compute.start().ready()
    for server in servers:
        server.ready()
    fleet.bootstrap(*servers)
    return servers


def raw_image(fleet: Fleet, server: ApiServer) -> str:
    file = fleet.directory / "image.raw"
    file.write_bytes(b"\x55" * 65536)
    return server.upload(file, "raw")


def test_what_one_process_creates_another_reads_and_deletes(fleet: Fleet) -> None:
    a, b = start(fleet, "a", "b")
    server = a.create(raw_image(fleet, a))
    assert b.wait_status(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"] == "box1"
    b.http.headers["X-Auth-Token"] = a.http.headers["X-Auth-Token"]  # a token of one is a token of all
    assert b.server(server) is not None
    b.delete(server)
    assert a.server(server) is None
    assert a.service.stop() == 0
    assert b.service.stop() == 0
    assert "Traceback" not in a.service.said() + b.service.said()


def test_reads_of_a_host_go_over_the_bus(fleet: Fleet) -> None:
    (api,) = start(fleet, "a")
    server = api.create(raw_image(fleet, api))
    api.wait_status(server, "ACTIVE")
    assert "output" in api.act(server, {"os-getConsoleOutput": {"length": 5}}, code=200)
    assert api.http.get(f"/compute/v2.1/servers/{server}/diagnostics").json()["state"] == "running"
    (hypervisor,) = api.http.get("/compute/v2.1/os-hypervisors/detail").json()["hypervisors"]
    assert hypervisor["state"] == "up"
    assert "uptime" in hypervisor


def test_a_console_that_no_process_can_open_is_refused_in_words(fleet: Fleet) -> None:
    (api,) = start(fleet, "a")
    server = api.create(raw_image(fleet, api))
    api.wait_status(server, "ACTIVE")
    body = {"remote_console": {"protocol": "serial", "type": "serial"}}
    reply = api.http.post(f"/compute/v2.1/servers/{server}/remote-consoles", json=body)
    assert reply.status_code == 501
    assert "console log show" in reply.json()["notImplemented"]["message"]


def test_a_process_without_a_database_waits_and_says_so(fleet: Fleet) -> None:
    api = fleet.api_server().start()
    wait_for(lambda: "not ready yet" in api.service.said(), why=api.last_words)
    assert api.http.get("/healthz").status_code == 200
    for path in ("/readyz", "/compute/v2.1/servers", "/identity/v3"):
        reply = api.http.get(path)
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "2")
        assert "which a conductor creates" in reply.json()["serviceUnavailable"]["message"]
    fleet.conductor.start().ready()
    api.ready()
    assert api.http.get("/readyz").status_code == 200


def test_the_administrator_is_created_once(fleet: Fleet) -> None:
    refused = fleet.command("bootstrap")
    assert refused.returncode == 1
    assert "unable to open database file" in refused.stderr
    fleet.conductor.start().ready()
    api = fleet.api_server().start().ready()
    fleet.bootstrap(api)
    again = fleet.command("bootstrap")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith("kilonova: There are users already, so nothing was created")
    password = next(line.split()[1] for line in fleet.clouds.read_text().splitlines() if "password:" in line)
    for service in (fleet.conductor, api.service):
        assert password not in service.said()
