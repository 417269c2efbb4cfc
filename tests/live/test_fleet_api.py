# SPDX-License-Identifier: Apache-2.0
"""kilonova-api as a process of its own, and several of them: what one does, the others serve."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from kilonova.api.http.token_revalidation import STANDING_S
from lab.cloud import Client, free_port
from lab.counting import cannot_run
from lab.postgres import PASSWORD, PrivatePostgres
from tests.live.box import PATIENCE_S, wait_for
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


def findings(api: ApiServer, path: str) -> dict[str, str]:
    """The level of each check."""
    found = api.http.get(path, timeout=PATIENCE_S).json()["examination"]["findings"]
    return {one["check"]: one["level"] for one in found}


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
    wait_for(lambda: findings(api, "/ui/api/doctor").get("database") == "ok")
    wait_for(
        lambda: (found := findings(api, "/ui/api/hosts/box1/doctor")).get("conductor") == found["heartbeats"] == "ok"
    )
    os.kill(fleet.compute.pid, signal.SIGSTOP)
    frozen = findings(api, "/ui/api/hosts/box1/doctor")
    assert (len(frozen), frozen["answer"]) == (4, "error")  # the record, and that nothing answers
    os.kill(fleet.compute.pid, signal.SIGCONT)
    assert "Traceback" not in api.service.said() + fleet.compute.said()


def test_a_process_without_a_database_waits_and_says_so(fleet: Fleet) -> None:
    api = fleet.api_server().start()
    wait_for(lambda: "not ready yet" in api.service.said(), why=api.last_words)
    assert api.http.get("/healthz").status_code == 200
    for path in ("/readyz", "/compute/v2.1/servers", "/identity/v3"):
        reply = api.http.get(path)
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "2")
        assert "The API waits for the database." in reply.json()["serviceUnavailable"]["message"]
    (fleet.state / "kilonova.db").touch()  # so it is while a conductor creates the tables
    second = fleet.api_server("b").start()
    wait_for(lambda: "no tables yet" in second.service.said(), why=second.last_words)
    fleet.conductor.start().ready()
    for server in (api, second):
        assert server.ready().http.get("/readyz").status_code == 200


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


def test_the_administrator_is_created_once_though_two_try_at_the_same_time(fleet: Fleet) -> None:
    fleet.conductor.start().ready()
    argv = [sys.executable, "-m", "kilonova", "bootstrap", "--config-file", str(fleet.config)]
    with ExitStack() as stack:
        tries = [
            stack.enter_context(subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
            for _ in range(3)
        ]
        said = [one.communicate(timeout=PATIENCE_S) for one in tries]
    assert sorted(one.returncode for one in tries) == [0, 1, 1]
    (clouds,) = [out for out, _ in said if out]
    fleet.clouds.write_text(clouds)
    api = fleet.api_server().start().ready()
    api.log_in(fleet.clouds)


def test_a_token_revoked_at_one_process_ends_at_the_other_soon(fleet: Fleet) -> None:
    a, b = start(fleet, "a", "b")
    doomed = a.http.headers["X-Auth-Token"]
    old = {"X-Auth-Token": doomed}
    assert b.http.get("/compute/v2.1/servers", headers=old).status_code == 200
    fresh = {"X-Auth-Token": b.http.headers["X-Auth-Token"], "X-Subject-Token": doomed}
    assert b.http.delete("/identity/v3/auth/tokens", headers=fresh).status_code == 204
    assert b.http.get("/compute/v2.1/servers", headers=old).status_code == 401
    wait_for(lambda: a.http.get("/compute/v2.1/servers", headers=old).status_code == 401, within_s=STANDING_S + 5)


def test_a_rotated_key_keeps_tokens_and_a_revoked_one_ends_them(fleet: Fleet) -> None:
    a, b = start(fleet, "a", "b")
    before = len(fleet.signing_keys())
    assert fleet.command("token", "rotate").returncode == 0
    assert len(fleet.signing_keys()) == before + 1
    for server in (a, b):
        assert server.http.get("/compute/v2.1/servers").status_code == 200
        server.log_in(fleet.clouds)
    assert fleet.command("token", "rotate", "--revoke").returncode == 0
    for server in (a, b):
        wait_for(lambda one=server: one.http.get("/compute/v2.1/servers").status_code == 401)
        server.log_in(fleet.clouds)
        assert server.http.get("/compute/v2.1/servers").status_code == 200
    (secret,) = fleet.signing_keys()
    for service in (a.service, b.service, fleet.conductor, fleet.compute):
        assert secret not in service.said()


def test_tokens_of_the_one_box_stay_valid_in_the_fleet(fleet: Fleet) -> None:
    fleet.state.mkdir()
    (fleet.state / "token.key").write_text("k" * 64)
    fleet.conductor.start().ready()
    assert fleet.signing_keys() == ["k" * 64]


def test_a_lost_password_is_replaced_while_the_fleet_runs(fleet: Fleet) -> None:
    (api,) = start(fleet, "a")
    done = subprocess.run(
        [sys.executable, "-m", "kilonova", "reset-password", "--config-file", str(fleet.config)],
        input="new-password\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    with pytest.raises(AssertionError):
        api.log_in(fleet.clouds)
    fleet.clouds.write_text("password: new-password\n")
    api.log_in(fleet.clouds)


def test_the_catalog_has_the_url_of_the_balancer(fleet: Fleet) -> None:
    fleet.conductor.start().ready()
    api = fleet.api_server(more="public_endpoint = https://cloud.example.org/\n").start().ready()
    done = fleet.command("bootstrap", "--clouds-file", str(fleet.clouds), config=api.config)
    assert done.returncode == 0, done.stderr
    assert "auth_url: https://cloud.example.org/identity/v3" in fleet.clouds.read_text()
    api.log_in(fleet.clouds)
    catalog = api.http.get("/identity/v3/auth/catalog").json()["catalog"]
    urls = {endpoint["url"] for service in catalog for endpoint in service["endpoints"]}
    assert urls
    assert all(url.startswith("https://cloud.example.org/") for url in urls)


def test_without_a_bus_reads_work_and_changes_are_refused_until_it_is_back(fleet: Fleet) -> None:
    (api,) = start(fleet, "a")
    image = raw_image(fleet, api)
    server = api.create(image)
    api.wait_status(server, "ACTIVE")
    fleet.nats.stop()
    wait_for(lambda: api.http.get("/readyz").status_code == 503, why=api.last_words)
    assert "bus" in api.http.get("/readyz").json()["reason"]
    assert api.server(server) is not None
    body = {"server": {"name": "s2", "imageRef": image, "flavorRef": "1", "networks": "auto"}}
    refused = api.http.post("/compute/v2.1/servers", json=body)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    assert refused.json()["serviceUnavailable"]["message"].startswith("The bus is not connected")
    fleet.nats.start()
    wait_for(lambda: api.http.get("/readyz").status_code == 200, why=api.last_words)
    api.wait_status(api.create(image, name="s3"), "ACTIVE")
    assert api.service.said().count("no connection to the bus") == 1


def test_without_a_conductor_reads_work_and_changes_are_refused_until_there_is_one(fleet: Fleet) -> None:
    (api,) = start(fleet, "a")
    image = raw_image(fleet, api)
    fleet.conductor.kill()
    reason = wait_for(lambda: api.http.get("/readyz").json().get("reason"), why=api.last_words)
    assert reason.startswith("No conductor answers, so nothing can be changed")
    assert api.http.get("/compute/v2.1/servers").status_code == 200
    body = {"server": {"name": "s2", "imageRef": image, "flavorRef": "1", "networks": "auto"}}
    refused = api.http.post("/compute/v2.1/servers", json=body)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    fleet.conductor.start().ready()
    wait_for(lambda: api.http.get("/readyz").status_code == 200, why=api.last_words)
    api.wait_status(api.create(image, name="s3"), "ACTIVE")


def test_what_a_killed_process_accepted_is_finished_and_the_other_goes_on(fleet: Fleet) -> None:
    a, b = start(fleet, "a", "b")
    image = raw_image(fleet, a)
    accepted = [a.create(image, name=f"a{number}") for number in range(3)]
    a.service.kill()
    accepted += [b.create(image, name=f"b{number}") for number in range(3)]
    for server in accepted:
        b.wait_status(server, "ACTIVE")
    a.start().ready()
    for server in accepted:
        a.delete(server)


def test_a_request_is_followed_by_its_id_through_the_logs_of_three_processes(fleet: Fleet) -> None:
    (api,) = start(fleet, "a")
    body = {"server": {"name": "s", "imageRef": raw_image(fleet, api), "flavorRef": "1", "networks": "auto"}}
    reply = api.http.post("/compute/v2.1/servers", json=body)
    api.wait_status(reply.json()["server"]["id"], "ACTIVE")
    name = f"[{reply.headers['X-OpenStack-Request-Id']}]"
    for service, words in ((api.service, "request"), (fleet.conductor, "a host was chosen")):
        lines = [line for line in service.said().splitlines() if name in line]
        assert any(words in line for line in lines), service.said()
    fleet.compute.wait_said("action ended")
    assert any(name in line and "action ended" in line for line in fleet.compute.said().splitlines())


def test_sighup_reads_the_policy_again_and_sigterm_ends(fleet: Fleet) -> None:
    (api,) = start(fleet, "a")
    os.kill(api.service.pid, signal.SIGHUP)
    api.service.wait_said("the configuration was read again")
    assert api.service.stop() == 0
    assert "kilonova-api stopped." in api.service.said()


def test_two_processes_need_two_ports(fleet: Fleet) -> None:
    api = fleet.api_server().start()
    api.service.wait_said("the API listens")
    second = fleet.service("api", api.config)
    second.log = fleet.directory / "second.log"
    assert second.start().wait_dead() == 1
    assert f"Cannot listen on 127.0.0.1:{api.port}: Address already in use" in second.said()


def test_the_unmodified_client_uses_two_processes_in_turn(fleet: Fleet) -> None:
    a, b = start(fleet, "a", "b")
    text = fleet.clouds.read_text()
    clients: list[Client] = []
    for server in (a, b):
        clouds = fleet.directory / f"{server.port}.yaml"
        url = f"auth_url: http://127.0.0.1:{server.port}/identity/v3"
        clouds.write_text(re.sub(r"auth_url: \S+", url, text))
        clients.append(Client(clouds, fleet.directory / "client.log"))
    at_a, at_b = clients
    try:
        version = at_a("--version", timeout=PATIENCE_S)
    except OSError:
        cannot_run("the OpenStack client is not installed (make setup)")
    assert version
    raw_image(fleet, a)
    words = ("--image", "image.raw", "--flavor", "m1.nano", "--nic", "auto", "--wait")
    at_a("--os-compute-api-version", "2.90", "server", "create", "s1", *words, timeout=PATIENCE_S)
    assert at_b.json("server", "show", "s1", timeout=PATIENCE_S)["status"] == "ACTIVE"
    token = at_a.json("token", "issue", timeout=PATIENCE_S)
    b.http.headers["X-Auth-Token"] = str(token["id"])
    assert [one["name"] for one in b.http.get("/compute/v2.1/servers").json()["servers"]] == ["s1"]
    at_b("server", "delete", "s1", "--wait", timeout=PATIENCE_S)
    assert a.http.get("/compute/v2.1/servers").json()["servers"] == []


def test_the_status_port_has_requests_bus_and_database(fleet: Fleet) -> None:
    fleet.conductor.start().ready()
    status = free_port()
    path = fleet.configure("a", ("[DEFAULT]", f"[DEFAULT]\nstatus_listen = 127.0.0.1:{status}"))
    fleet.config.write_text(path.read_text())
    api = fleet.api_server().start().ready()
    fleet.bootstrap(api)
    assert api.http.get("/compute/v2.1/servers").status_code == 200
    assert api.http.get("/compute/v2.1/nothing").status_code == 404
    figures = httpx.get(f"http://127.0.0.1:{status}/metrics").text
    assert re.search(
        r'http_request_seconds_count\{method="GET",route="/compute/v2.1/servers",status="200"\} 1', figures
    )
    assert 'kilonova_http_request_seconds_count{method="",route="",status="404"} 1' in figures
    assert "kilonova_bus_connected 1" in figures
    assert httpx.get(f"http://127.0.0.1:{status}/healthz").status_code == 200
    fleet.nats.stop()
    wait_for(lambda: "kilonova_bus_connected 0" in httpx.get(f"http://127.0.0.1:{status}/metrics").text)
    assert httpx.get(f"http://127.0.0.1:{status}/healthz").status_code == 503


@pytest.fixture
def postgres() -> Iterator[PrivatePostgres]:
    with tempfile.TemporaryDirectory(prefix="kn-pg-") as directory:
        Path(directory).chmod(0o711)  # the server has a user of its own
        with PrivatePostgres(Path(directory) / "pg") as server:
            yield server


def test_on_postgresql_processes_share_everything_and_outlive_an_outage_of_it(
    fleet: Fleet, postgres: PrivatePostgres
) -> None:
    fleet.use(postgres.url)
    a, b = start(fleet, "a", "b")
    image = raw_image(fleet, a)
    server = a.create(image)
    b.wait_status(server, "ACTIVE")
    b.http.headers["X-Auth-Token"] = a.http.headers["X-Auth-Token"]
    assert b.server(server) is not None
    postgres.stop()
    for api in (a, b):
        refused = api.http.get("/compute/v2.1/servers")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        assert PASSWORD not in refused.text
        assert api.http.get("/readyz").status_code == 503
    postgres.start()
    for api in (a, b):
        wait_for(lambda one=api: one.http.get("/readyz").status_code == 200, why=api.last_words)
    b.wait_status(b.create(image, name="s2"), "ACTIVE")
    b.delete(server)
    assert a.server(server) is None
    assert fleet.command("bootstrap").returncode == 1
    for service in (a.service, b.service, fleet.conductor):
        assert PASSWORD not in service.said()
        assert "Traceback" not in service.said()


def test_a_process_starts_while_postgresql_is_away(fleet: Fleet, postgres: PrivatePostgres) -> None:
    fleet.use(postgres.url)
    fleet.conductor.start().ready()
    postgres.stop()
    api = fleet.api_server().start()
    wait_for(lambda: "not ready yet" in api.service.said(), why=api.last_words)
    assert api.http.get("/compute/v2.1/servers").status_code == 503
    postgres.start()
    api.ready()
    fleet.bootstrap(api)
    assert api.http.get("/compute/v2.1/servers").status_code == 200
