# SPDX-License-Identifier: Apache-2.0
"""A fleet of two versions: the code of the previous release beside today's, and today's beside a newer one.

Conductor and host are real processes over a real NATS server without credentials, with SQLite and the fake driver.  Of
release 0.1 there is one conductor at a time: two conductors on one database exist since 0.2.
"""

import asyncio
import os
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from kilonova import CODE_VERSION
from kilonova.base.errors import IncompatibleVersion
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import ACCEPT_ACTION, CREATE_SERVERS, AcceptAction, CreateServers
from kilonova.rpcapi.to_host import CONSOLE_OUTPUT, ConsoleOutput
from lab.common import TOP
from lab.counting import cannot_run
from tests.live.box import PATIENCE_S, wait_for
from tests.live.fleet import Fleet, Service, context
from tests.live.fleet import fleet as running_fleet
from tests.params import requested

pytestmark = pytest.mark.live

PREVIOUS = TOP / "tests/rolling/PREVIOUS"
DOWN_TIME_S = 2.0


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source of the previous release."""
    commit = PREVIOUS.read_text().strip()
    made = subprocess.run(["git", "archive", commit, "src"], cwd=TOP, capture_output=True, timeout=60, check=False)
    if made.returncode != 0:
        cannot_run(f"the history has no commit {commit} (tests/rolling/PREVIOUS): fetch it whole")
    target = tmp_path_factory.mktemp("previous")
    with tarfile.open(fileobj=BytesIO(made.stdout)) as archive:
        archive.extractall(target, filter="data")
    return target / "src"


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running_fleet() as made:
        made.config.write_text(
            made.config.read_text().replace("report_interval", f"service_down_time = {DOWN_TIME_S}\nreport_interval")
        )
        yield made


def start_previous(service: Service, source: Path) -> Service:
    """The process with the code of the previous release."""
    env = {"PYTHONPATH": str(source)}
    words = [sys.executable, "-c", "import kilonova; print(kilonova.CODE_VERSION)"]
    found = subprocess.run(words, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=True)
    assert int(found.stdout) == CODE_VERSION - 1
    return service.start(env=env).ready()


def start_version(service: Service, version: int) -> Service:
    """The process with today's code, as if it had that code version."""
    body = f"import kilonova; kilonova.CODE_VERSION = {version}; from {service.module} import main; main()"
    with service.log.open("wb") as log:
        service.process = subprocess.Popen(
            [sys.executable, "-c", body, *service.words], stdout=log, stderr=log, env=dict(os.environ)
        )
    return service


def query(fleet: Fleet, text: str, *arguments: Any) -> Any:
    """The first column of the first row, of a schema of any version."""
    with closing(sqlite3.connect(fleet.state / "kilonova.db", timeout=10)) as connection:
        row = connection.execute(text, arguments).fetchone()
    return None if row is None else row[0]


def wait_state(fleet: Fleet, instance_id: InstanceId, vm_state: str) -> None:
    """Until no task is left; then it must be that state."""
    wait_for(
        lambda: query(fleet, "SELECT task_state IS NULL FROM instances WHERE id = ?", instance_id),
        within_s=PATIENCE_S,
        why=lambda: fleet.conductor.said() + fleet.compute.said(),
    )
    assert query(fleet, "SELECT vm_state FROM instances WHERE id = ?", instance_id) == vm_state


def create(fleet: Fleet) -> Instance:
    async def ask() -> Instance:
        async with fleet.api() as api:
            instance = fleet.instance(await fleet.image())
            await api.call(CREATE_SERVERS, CreateServers(context(), (instance,)))
            return instance

    instance = asyncio.run(ask())
    wait_state(fleet, instance.id, "active")
    return instance


def act(fleet: Fleet, instance: Instance, verb: Verb, vm_state: str, **fields: str) -> None:
    async def ask() -> None:
        async with fleet.api() as api:
            params = requested(verb, **fields)
            await api.call(ACCEPT_ACTION, AcceptAction(context(verb), instance.id, verb, params))

    asyncio.run(ask())
    wait_state(fleet, instance.id, vm_state)


def read_console(fleet: Fleet, instance: Instance) -> str:
    async def ask() -> str:
        async with fleet.api() as api:
            return (await api.call(CONSOLE_OUTPUT, ConsoleOutput(instance.id), "box1")).text

    return asyncio.run(ask())


def stays_up(fleet: Fleet, down_times: float = 3) -> None:
    """The host is up in each look, for several times the silence after which it would be down."""
    before, until = len(fleet.conductor.said()), time.monotonic() + down_times * DOWN_TIME_S
    while time.monotonic() < until:
        assert query(fleet, "SELECT up FROM services WHERE host = 'box1' AND binary = 'kilonova-compute'") == 1
        time.sleep(0.1)
    assert "host is down" not in fleet.conductor.said()[before:]


def live(fleet: Fleet) -> None:
    """All that the two processes say to each other."""
    instance = create(fleet)
    act(fleet, instance, Verb.STOP, "stopped")
    act(fleet, instance, Verb.START, "active")
    act(fleet, instance, Verb.REBOOT, "active", type="HARD")
    assert read_console(fleet, instance) != ""
    stays_up(fleet)
    act(fleet, instance, Verb.DELETE, "deleted")
    for service in (fleet.conductor, fleet.compute):
        assert "Traceback" not in service.said()


def test_a_host_of_the_previous_release_works_under_todays_conductor(fleet: Fleet, previous: Path) -> None:
    fleet.conductor.start().ready()
    start_previous(fleet.compute, previous)
    live(fleet)
    assert query(fleet, "SELECT version FROM services WHERE host = 'box1'") == CODE_VERSION - 1


def test_todays_host_works_under_a_conductor_of_the_previous_release(fleet: Fleet, previous: Path) -> None:
    start_previous(fleet.conductor, previous)
    fleet.compute.start().ready()
    live(fleet)
    assert query(fleet, "SELECT version FROM services WHERE host = 'box1'") == CODE_VERSION


def test_a_fleet_is_upgraded_process_by_process_while_it_works(fleet: Fleet, previous: Path) -> None:
    """First the conductor, which upgrades the database, then the host; no request is lost on the way."""
    start_previous(fleet.conductor, previous)
    start_previous(fleet.compute, previous)
    before = create(fleet)
    assert fleet.conductor.stop() == 0
    fleet.conductor.start().ready()
    act(fleet, before, Verb.STOP, "stopped")
    stays_up(fleet)
    between = create(fleet)
    assert fleet.compute.stop() == 0
    fleet.compute.start().ready()
    act(fleet, between, Verb.DELETE, "deleted")
    after = create(fleet)
    act(fleet, after, Verb.DELETE, "deleted")
    stays_up(fleet)


@pytest.mark.parametrize("newer", ["compute", "conductor"])
def test_a_process_of_the_next_version_works_beside_todays(fleet: Fleet, newer: str) -> None:
    for service in (fleet.conductor, fleet.compute):
        next_one = service.module.endswith(newer)
        (start_version(service, CODE_VERSION + 1) if next_one else service.start()).ready()
    live(fleet)


@pytest.mark.parametrize(
    ("newer", "older"), [("compute", "kilonova-conductor"), ("conductor", "kilonova-compute on host box1")]
)
def test_a_process_two_versions_away_is_refused_and_waits(fleet: Fleet, newer: str, older: str) -> None:
    """One sentence names both versions and what to upgrade; nobody crashes, and the upgrade ends the wait."""
    start_version(fleet.conductor, CODE_VERSION + 2 * (newer == "conductor")).ready()
    start_version(fleet.compute, CODE_VERSION + 2 * (newer == "compute"))
    sentence = f"versions that differ by more than one do not work together: upgrade {older} first"
    fleet.compute.wait_said(sentence)
    fleet.conductor.wait_said(sentence)
    for service in (fleet.conductor, fleet.compute):
        assert service.process is not None
        assert service.process.poll() is None
        assert "Traceback" not in service.said()
    assert query(fleet, "SELECT count(*) FROM services WHERE binary = 'kilonova-compute'") == 0
    late = fleet.conductor if newer == "compute" else fleet.compute
    assert late.stop() == 0
    start_version(late, CODE_VERSION + 1).ready()
    fleet.compute.ready()


def test_an_api_process_two_versions_behind_the_conductor_is_refused(fleet: Fleet) -> None:
    start_version(fleet.conductor, CODE_VERSION + 2).ready()

    async def ask() -> None:
        async with fleet.api() as api:
            instance = fleet.instance(await fleet.image())
            with pytest.raises(IncompatibleVersion, match="upgrade the API process first"):
                await api.call(CREATE_SERVERS, CreateServers(context(), (instance,)))

    asyncio.run(ask())
