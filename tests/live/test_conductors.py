# SPDX-License-Identifier: Apache-2.0
"""Several conductors as real processes, and two live processes of one host, over a real NATS server."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.cmd.common import HOST_LOST
from kilonova.objects.instance import Instance
from kilonova.rpcapi.api_to_conductor import CREATE_SERVERS, CreateServers
from lab.postgres import PASSWORD, PrivatePostgres
from tests.live.box import wait_for
from tests.live.fleet import Fleet, Service, context
from tests.live.fleet import fleet as running_fleet
from tests.live.test_processes import create, second_host

pytestmark = pytest.mark.live


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running_fleet() as made:
        yield made


def test_two_live_processes_of_one_host_both_end_and_an_operator_decides(fleet: Fleet) -> None:
    """One stands still for longer than the down time, and a clone of its disk starts elsewhere meanwhile."""
    fleet.config.write_text(fleet.config.read_text().replace("[conductor]", "service_down_time = 4\n[conductor]"))
    fleet.conductor.start().ready()
    fleet.compute.start().ready()
    instance = create(fleet)
    fleet.wait_state(instance.id, "active")
    clone = second_host(fleet, "box1")
    (fleet.directory / "second").mkdir()
    (fleet.directory / "second/compute_id").write_text((fleet.state / "compute_id").read_text())
    os.kill(fleet.compute.pid, signal.SIGSTOP)
    try:
        clone.start().ready()
    finally:
        os.kill(fleet.compute.pid, signal.SIGCONT)
    for service in (fleet.compute, clone):
        assert service.wait_dead() == HOST_LOST, service.said()
        last = service.said().splitlines()[-1]
        assert last.startswith("kilonova: Host 'box1' has two live processes: process "), last
    assert clone.start().wait_dead() == HOST_LOST  # nobody has decided yet
    words = [sys.executable, "-m", "kilonova", "host", "adopt", "box1", "--config-file", str(fleet.config)]
    adopted = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    assert adopted.startswith("released by both of two live processes")
    fleet.compute.start().ready()
    fleet.wait_state(create(fleet).id, "active")


@pytest.fixture
def postgres() -> Iterator[PrivatePostgres]:
    with tempfile.TemporaryDirectory(prefix="kn-pg-") as directory:
        Path(directory).chmod(0o711)  # the server has a user of its own
        with PrivatePostgres(Path(directory) / "pg") as server:
            yield server


def conductor(fleet: Fleet, name: str) -> Service:
    """A conductor with a host name and a state directory of its own."""
    config = fleet.directory / f"{name}.conf"
    text = fleet.config.read_text().replace("host = box1", f"host = {name}")
    config.write_text(text.replace(str(fleet.state), str(fleet.directory / name)))
    service = fleet.service("conductor", config)
    service.log = fleet.directory / f"{name}.log"
    return service


def create_many(fleet: Fleet, count: int) -> list[Instance]:
    async def ask() -> list[Instance]:
        async with fleet.api() as api:
            image = await fleet.image()
            instances = [fleet.instance(image) for _ in range(count)]
            for instance in instances:
                await api.call(CREATE_SERVERS, CreateServers(context(), (instance,)))
            return instances

    return asyncio.run(ask())


def test_a_conductor_that_dies_while_it_places_is_replaced_by_the_other(
    fleet: Fleet, postgres: PrivatePostgres
) -> None:
    fleet.use(postgres.url)
    first, second = conductor(fleet, "c1"), conductor(fleet, "c2")
    try:
        first.start(env={"KILONOVA_FAILPOINTS": "write.place.begin=kill"}).ready()
        second.start().ready()
        fleet.compute.start().ready()
        instances = create_many(fleet, 6)
        assert first.wait_dead() == -signal.SIGKILL

        def all_run() -> bool:
            said = fleet.compute.said()
            return all(f"instance={one.id}" in said and "succeeded=True" in said for one in instances)

        wait_for(all_run, why=lambda: second.said() + fleet.compute.said())
        assert fleet.compute.said().count("succeeded=True") == len(instances)
        assert "Traceback" not in second.said() + fleet.compute.said()
        assert PASSWORD not in second.said()
    finally:
        for service in (first, second):
            service.kill()
