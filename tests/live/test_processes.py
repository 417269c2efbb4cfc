# SPDX-License-Identifier: Apache-2.0
"""kilonova-compute and kilonova-conductor as real processes, over a real NATS server."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kilonova.base.context import serving
from kilonova.cmd.common import HOST_LOST
from kilonova.objects.instance import Instance
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import ACCEPT_ACTION, CREATE_SERVERS, AcceptAction, CreateServers
from lab.counting import cannot_run
from lab.pieces import TOOLS
from tests.live.fleet import Fleet, Service, context
from tests.live.fleet import fleet as running_fleet

pytestmark = pytest.mark.live

DATABASE = re.compile(
    r"\| +(kilonova\.(?:db|conductor)|sqlalchemy|alembic|psycopg|sqlite3|_sqlite3)(?:\.|$)", re.MULTILINE
)


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running_fleet() as made:
        yield made


def create(fleet: Fleet) -> Instance:
    """A create that the conductor has accepted."""

    async def ask() -> Instance:
        async with fleet.api() as api:
            instance = fleet.instance(await fleet.image())
            await api.call(CREATE_SERVERS, CreateServers(context(), (instance,)))
            return instance

    return asyncio.run(ask())


def act(fleet: Fleet, instance: Instance, verb: Verb) -> None:
    async def ask() -> None:
        async with fleet.api() as api:
            await api.call(ACCEPT_ACTION, AcceptAction(context(verb), instance.id, verb))

    asyncio.run(ask())


def test_a_create_goes_through_three_processes(fleet: Fleet) -> None:
    fleet.conductor.start().ready()
    fleet.compute.start().ready()
    instance = create(fleet)
    active = fleet.wait_state(instance.id, "active")
    assert (active.host, active.power_state) == ("box1", 1)
    act(fleet, instance, Verb.STOP)
    fleet.wait_state(instance.id, "stopped")
    assert fleet.compute.stop() == 0, fleet.compute.said()
    assert fleet.conductor.stop() == 0, fleet.conductor.said()


def test_a_host_holds_no_module_of_a_database(fleet: Fleet) -> None:
    """All that the running process has imported, after it has done some work; the conductor is the control."""
    fleet.conductor.start("-X", "importtime").ready()
    fleet.compute.start("-X", "importtime").ready()
    fleet.wait_state(create(fleet).id, "active")
    assert {"kilonova.db", "sqlalchemy", "sqlite3"} <= set(DATABASE.findall(fleet.conductor.said()))
    imported = fleet.compute.said()
    assert re.search(r"\| +kilonova\.compute\.manager$", imported, re.MULTILINE)
    assert DATABASE.findall(imported) == []
    maps = Path(f"/proc/{fleet.compute.pid}/maps").read_text()
    assert "sqlalchemy" not in maps
    assert "sqlite" not in maps


def with_driver(fleet: Fleet, name: str) -> Service:
    """The host under another driver, with the test's directory among the places that Python looks at."""
    fleet.config.write_text(fleet.config.read_text().replace("fake.FakeDriver", name))
    path = os.pathsep.join((str(fleet.directory), os.environ.get("PYTHONPATH", "")))
    return fleet.compute.start(env={"PYTHONPATH": path})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import sqlalchemy", "sqlalchemy must not be imported in kilonova-compute"),
        ("import no_such_dependency", "No module named 'no_such_dependency'"),
        ("import kilonova.virt.no_such_part", "No module named 'kilonova.virt.no_such_part'"),
        ("raise RuntimeError('not on a Sunday')", "not on a Sunday"),
    ],
)
def test_a_driver_whose_import_fails_is_refused(fleet: Fleet, body: str, words: str) -> None:
    """Its own words are the sentence; the cause is in the log above it."""
    (fleet.directory / "greedy.py").write_text(body)
    assert with_driver(fleet, "greedy.Driver").wait_dead() == 1
    *log, last = fleet.compute.said().splitlines()
    assert last.startswith(f"kilonova: compute_driver 'greedy.Driver' cannot be imported: {words}")
    assert any("greedy.py" in line for line in log)


@pytest.mark.parametrize("installer", ["uv", "by hand"])
def test_a_third_partys_package_is_found_by_its_entry_point(fleet: Fleet, installer: str) -> None:
    """Installed as any package is, named by its entry point alone, and a server runs on it."""
    package = {
        "their_driver.py": "from kilonova.virt.fake import FakeDriver\nclass Theirs(FakeDriver):\n    pass\n",
        "their_driver-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: their-driver\nVersion: 1.0\n",
        "their_driver-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "their_driver-1.0.dist-info/entry_points.txt": "[kilonova.compute_drivers]\ntheirs = their_driver:Theirs\n",
        "their_driver-1.0.dist-info/RECORD": "",
    }
    if installer == "uv":
        install(fleet.directory, package)
    else:
        for name, text in package.items():
            (fleet.directory / name).parent.mkdir(exist_ok=True)
            (fleet.directory / name).write_text(text)
    fleet.conductor.start().ready()
    with_driver(fleet, "theirs").ready()
    assert fleet.wait_state(create(fleet).id, "active").host == "box1"


def install(directory: Path, package: Mapping[str, str]) -> None:
    """As a wheel, by the installer that set-up brings along."""
    uv = TOOLS / "bin/uv"
    if not uv.exists():
        cannot_run("there is no installer in .build/tools")
    wheel = directory / "their_driver-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for name, text in package.items():
            file.writestr(name, text)
    words = [uv, "pip", "install", "--quiet", "--no-deps", "--no-index", "--python", sys.executable]
    subprocess.run([*words, "--target", directory, wheel], check=True, timeout=60)


def test_a_conductor_that_comes_later_is_waited_for(fleet: Fleet) -> None:
    fleet.compute.start()
    fleet.compute.wait_said("not ready yet")
    time.sleep(1)
    assert "ready\n" not in fleet.compute.said()
    fleet.conductor.start().ready()
    fleet.compute.ready()
    fleet.wait_state(create(fleet).id, "active")


def test_a_bus_that_comes_later_is_waited_for(fleet: Fleet) -> None:
    fleet.nats.stop()
    fleet.conductor.start()
    fleet.compute.start()
    fleet.compute.wait_said("no connection to the bus")
    fleet.nats.start()
    fleet.conductor.ready()
    fleet.compute.ready()
    fleet.wait_state(create(fleet).id, "active")


def test_sigterm_while_waiting_ends_at_once(fleet: Fleet) -> None:
    fleet.compute.start()
    fleet.compute.wait_said("not ready yet")
    assert fleet.compute.stop() == 0, fleet.compute.said()


def test_sigterm_has_a_bound_when_the_bus_is_frozen(fleet: Fleet) -> None:
    fleet.conductor.start().ready()
    fleet.compute.start().ready()
    fleet.nats.signal(signal.SIGSTOP)
    try:
        for service in (fleet.compute, fleet.conductor):
            assert service.stop() == 0, service.said()
    finally:
        fleet.nats.signal(signal.SIGCONT)


@pytest.mark.parametrize("place", ["write.create.done", "write.place.begin", "write.place.done", "write.finish.done"])
def test_an_accepted_create_ends_though_the_conductor_died(fleet: Fleet, place: str) -> None:
    fleet.conductor.start(env={"KILONOVA_FAILPOINTS": f"{place}=kill"}).ready()
    fleet.compute.start().ready()

    async def ask() -> Instance:
        """Restarts it while the caller still waits for the answer: the caller sends again by itself."""
        async with fleet.api() as api, asyncio.TaskGroup() as group:
            instance = fleet.instance(await fleet.image())
            asked = group.create_task(api.call(CREATE_SERVERS, CreateServers(context(), (instance,))))
            while fleet.conductor.process and fleet.conductor.process.poll() is None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            fleet.conductor.start()
            await asked
            return instance

    instance = asyncio.run(ask())
    fleet.conductor.ready()
    assert fleet.wait_state(instance.id, "active").host == "box1"
    assert "Traceback" not in fleet.conductor.said() + fleet.compute.said()


@pytest.mark.parametrize(
    "place", ["compute.create.image.done", "compute.create.define.done", "compute.create.start.done"]
)
def test_an_accepted_create_ends_though_the_host_s_process_died(fleet: Fleet, place: str) -> None:
    fleet.conductor.start().ready()
    fleet.compute.start(env={"KILONOVA_FAILPOINTS": f"{place}=kill"}).ready()
    instance = create(fleet)
    assert fleet.compute.wait_dead() == -signal.SIGKILL
    fleet.compute.start().ready()
    fleet.wait_state(instance.id, "active")


def test_a_restarted_bus_loses_nothing(fleet: Fleet) -> None:
    fleet.conductor.start().ready()
    fleet.compute.start().ready()
    fleet.nats.stop()
    time.sleep(0.5)
    fleet.nats.start()
    fleet.wait_state(create(fleet).id, "active")
    for service in (fleet.conductor, fleet.compute):
        assert service.said().count("no connection to the bus") == 1
        assert service.said().count("the bus is back") == 1


def test_a_local_conductor_needs_no_bus(fleet: Fleet) -> None:
    fleet.nats.stop()
    fleet.config.write_text(fleet.config.read_text().replace("[conductor]", "[conductor]\nuse_local = true"))
    fleet.compute.start().ready()
    assert (fleet.state / "kilonova.db").exists()
    assert fleet.compute.stop() == 0


def test_two_at_a_time_are_refused(fleet: Fleet) -> None:
    fleet.conductor.start().ready()
    fleet.compute.start().ready()
    second = fleet.service("compute")
    second.log = fleet.directory / "second.log"
    assert second.start().wait_dead() == 1
    assert "Another kilonova runs on" in second.said()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("fake.FakeDriver", "xen.XenDriver"), "compute_driver 'xen.XenDriver' was not found"),
        (("fake.FakeDriver", ""), "compute_driver is required"),
        (("fake.FakeDriver", "FakeDriver"), "neither module.Class nor a known entry point"),
        (("fake.FakeDriver", "fake.NoDriver"), "module kilonova.virt.fake has no class NoDriver"),
        (("fake.FakeDriver", "fake.FakeHypervisor"), "'fake.FakeHypervisor' is not a ComputeDriver"),
        (("nats://", "rabbit://nova:hunter2@"), "Kilonova uses NATS"),
        (("transport_url =", "some_url ="), "transport_url is not set"),
        (("report_interval = 0.5", "report_interval = often"), "report_interval"),
    ],
)
def test_what_cannot_be_is_one_sentence(fleet: Fleet, change: tuple[str, str], words: str) -> None:
    fleet.config.write_text(fleet.config.read_text().replace(*change))
    assert fleet.compute.start().wait_dead() == 1
    said = fleet.compute.said()
    assert words in said.splitlines()[-1]
    assert "hunter2" not in said
    assert "Traceback" not in said


def test_options_of_a_nova_conf_that_are_not_ours_are_named_once(fleet: Fleet) -> None:
    fleet.conductor.start().ready()  # which refuses a database that it would not use
    with fleet.config.open("a") as file:
        file.write(
            "[vnc]\nserver_listen = ::1\n[libvirt]\ninject_key = 1\n[database]\nconnection = mysql://n:hunter2@db/n\n"
        )
    fleet.compute.start().ready()
    said = fleet.compute.said()
    assert said.count("ignoring options that Kilonova does not have") == 1
    assert "libvirt.inject_key, vnc.server_listen" in said
    assert "a host needs no database" in said
    assert "hunter2" not in said


def second_host(fleet: Fleet, host: str) -> Service:
    """Another kilonova-compute with a state directory of its own, under that name."""
    config, state = fleet.directory / "second.conf", fleet.directory / "second"
    config.write_text(
        fleet.config.read_text().replace("host = box1", f"host = {host}").replace(str(fleet.state), str(state))
    )
    service = fleet.service("compute", config)
    service.log = fleet.directory / "second.log"
    return service


def test_a_renamed_host_is_refused_by_its_own_state_directory(fleet: Fleet) -> None:
    fleet.conductor.start().ready()
    fleet.compute.start().ready()
    fleet.compute.stop()
    fleet.config.write_text(fleet.config.read_text().replace("host = box1", "host = box2"))
    assert fleet.compute.start().wait_dead() == 1
    assert "belongs to host 'box1' and this is host 'box2'" in fleet.compute.said().splitlines()[-1]


def test_a_copied_host_is_refused_by_the_conductor_and_the_first_serves_on(fleet: Fleet) -> None:
    fleet.conductor.start().ready()
    fleet.compute.start().ready()
    second = second_host(fleet, "box1")
    assert second.start().wait_dead() == 1
    assert second.said().splitlines()[-1].startswith("kilonova: Host 'box1' is known under another node id")
    copied = second_host(fleet, "box2")
    (fleet.directory / "second/compute_id").write_text(json.loads((fleet.state / "compute_id").read_text())["node_id"])
    assert copied.start().wait_dead() == 1
    assert "is known as host 'box1' and registers as 'box2'" in copied.said().splitlines()[-1]
    fleet.wait_state(create(fleet).id, "active")


def test_of_two_copies_one_serves_until_an_operator_says_which(fleet: Fleet) -> None:
    """A cloned disk: the same name, the same node id, the same configuration."""
    fleet.conductor.start().ready()
    fleet.compute.start().ready()
    copy = second_host(fleet, "box1")
    (fleet.directory / "second").mkdir()
    (fleet.directory / "second/compute_id").write_text((fleet.state / "compute_id").read_text())
    assert copy.start().wait_dead() == HOST_LOST
    assert copy.said().splitlines()[-1].startswith("kilonova: Host 'box1' has another process: process ")
    fleet.wait_state(create(fleet).id, "active")
    words = [sys.executable, "-m", "kilonova", "host", "adopt", "box1", "--config-file", str(fleet.config)]
    adopted = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    assert adopted.startswith("released by process ")
    assert fleet.compute.wait_dead() == HOST_LOST
    assert fleet.compute.said().splitlines()[-1].startswith("kilonova: Host 'box1' has a newer process than this one")
    assert copy.start().ready().stop() == 0


def test_a_bus_beyond_this_machine_is_not_spoken_to_without_credentials(fleet: Fleet) -> None:
    fleet.config.write_text(fleet.config.read_text().replace("127.0.0.1", "192.0.2.1"))
    for service in (fleet.compute, fleet.conductor):
        assert service.start().wait_dead() == 1
        assert "leads beyond this machine (nats://192.0.2.1:" in service.said().splitlines()[-1]


def test_a_create_and_a_failed_one_are_followed_through_the_logs_of_three_processes(fleet: Fleet) -> None:
    """As an operator does: `grep req-...` in the log of each service."""
    fleet.conductor.start().ready()
    fleet.compute.start(env={"KILONOVA_FAILPOINTS": "compute.create.disks.begin=fail"}).ready()
    requests = [context(), context()]

    async def ask() -> list[Instance]:
        async with fleet.api() as api:
            image = await fleet.image()
            instances = [fleet.instance(image) for _ in requests]
            for one, instance in zip(requests, instances, strict=True):
                with serving(one.request_id):
                    await api.call(CREATE_SERVERS, CreateServers(one, (instance,)))
            return instances

    instances = asyncio.run(ask())
    fleet.compute.wait_said("succeeded=True")
    fleet.compute.wait_said("succeeded=False")
    for one, instance in zip(requests, instances, strict=True):
        (chosen,) = (line for line in fleet.conductor.said().splitlines() if f"[{one.request_id}]" in line)
        assert "a host was chosen" in chosen
        lines = [line for line in fleet.compute.said().splitlines() if f"[{one.request_id}]" in line]
        assert "action ended" in lines[-1]
        assert ("succeeded=False" in lines[-1]) == any("action failed" in line for line in lines)
        assert all(instance.id in line for line in lines)
