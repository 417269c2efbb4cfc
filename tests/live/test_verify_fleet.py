# SPDX-License-Identifier: Apache-2.0
"""`kilonova verify` in a fleet of real processes, with the fake driver, PostgreSQL and NATS."""

import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
import sqlalchemy as sa

from kilonova.db.postgres import schema
from kilonova.db.postgres.url import parameters
from kilonova.db.schema import compute_nodes, quota_usages
from lab.common import LabError
from lab.counting import cannot_run
from lab.fleet.fleet import Fleet, Plan
from tests.live.box import CloudClient, wait_for
from tests.live.test_verify import keys, spoil, verify

pytestmark = pytest.mark.live


@pytest.fixture
def fleet() -> Generator[Fleet]:
    with tempfile.TemporaryDirectory(prefix="knv") as directory:
        made = Fleet(Path(directory), Plan(apis=1, conductors=1, hosts=3, real=False))
        try:
            try:
                made.start_engines(lambda: None)
                made.start_control(lambda: None)
                made.start_hosts(lambda: None)
            except LabError as error:
                cannot_run(error.sentence)
            yield made
        finally:
            made.close()


@pytest.fixture
def client(fleet: Fleet) -> Generator[CloudClient]:
    made = CloudClient(fleet.port)
    with made.http:
        made.log_in(fleet.clouds)
        yield made


def test_a_fleet_is_compared_and_repaired(fleet: Fleet, client: CloudClient, tmp_path: Path) -> None:
    file = tmp_path / "image.raw"
    file.write_bytes(b"\x55" * 65536)
    image_id = client.upload(file, "raw")
    one, two = (client.create(image_id, availability_zone=f"nova:host{number}") for number in (1, 2))
    for server_id in (one, two):
        client.wait_status(server_id, "ACTIVE")
    assert verify(fleet.clouds, "--checksums")[1] == {"parts": 5, "differences": [], "unseen": [], "count": 0}

    (base,) = (fleet.directory / "host2/instances/_base").iterdir()
    spoil(base)
    part = base.with_name(f".{base.name}.{one}")
    part.touch()
    with schema.connected(parameters(fleet.postgres.url)) as connection, schema.whole(connection):
        connection.execute(sa.update(quota_usages).values(instances=9))
        connection.execute(sa.update(compute_nodes).where(compute_nodes.c.host == "host1").values(vcpus_used=9))
    fleet.hosts[0].process.kill()  # the guests of the fake driver end with it
    fleet.restart(fleet.hosts[0].process)
    fleet.hosts[2].process.freeze()
    project = client.server(one)
    assert project is not None
    repaired = {
        ("quota-usage", str(project["tenant_id"])),
        ("claim", "host1"),
        ("base-damaged", base.name),
        ("cache-unfinished", part.name),
    }
    by_hand = {("guest-missing", one), ("disk-missing", one)}
    status, report = verify(fleet.clouds, "--checksums")
    assert (status, keys(report)) == (2, repaired | by_hand)
    (why,) = report["unseen"]
    assert why.startswith("Host host3 could not be compared: ")

    fleet.hosts[2].process.thaw()
    assert verify(fleet.clouds, "--checksums", "--repair", "--pause", "0.5")[0] == 1
    wait_for(lambda: keys(verify(fleet.clouds, "--checksums")[1]) == by_hand)
    assert base.read_bytes() == file.read_bytes()
    assert not part.exists()
    assert verify(fleet.clouds, "--host", "host3") == (0, {"parts": 1, "differences": [], "unseen": [], "count": 0})
