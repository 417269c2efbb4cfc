# SPDX-License-Identifier: Apache-2.0
"""A host is given up while its processes stand still, its server is evacuated, and the host returns: real processes,
real credentials, PostgreSQL.  With the fake driver, and with two libvirt daemons under host names of their own."""

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.common import LabError
from lab.counting import cannot_run
from lab.fleet.fleet import Fleet, Host, Plan
from lab.fleet.process import FleetProcess
from lab.guest_image import IMAGE
from tests.live.box import CloudClient, virsh, wait_for

pytestmark = pytest.mark.live

SEARCH = "running_deleted_instance_poll_interval = 2\n"


class _Fleet(Fleet):
    """Hosts search often for guests whose servers were deleted.  Each forwards another port: they are one machine, on
    which the lost guest still has its own."""

    def _process(self, kind: str, name: str, text: str) -> FleetProcess:
        if kind == "compute":
            text = text.replace("[DEFAULT]\n", f"[DEFAULT]\n{SEARCH}", 1)
            text += f"[network]\nssh_port = {2222 + len(self.hosts)}\n"
        return super()._process(kind, name, text)


@contextmanager
def running(*, real: bool) -> Generator[tuple[_Fleet, CloudClient]]:
    """One conductor, one API process, two hosts; and a client of them."""
    if real and os.geteuid() != 0:
        cannot_run("each libvirtd needs a host name of its own, which only root can give")
    if shutil.which("haproxy") is None:
        cannot_run("haproxy is not installed: make setup")
    with tempfile.TemporaryDirectory(prefix="kng") as directory:
        fleet = _Fleet(Path(directory), Plan(apis=1, conductors=1, hosts=2, real=real))
        try:
            try:
                fleet.start_engines(lambda: None)
                fleet.start_control(lambda: None)
                fleet.start_hosts(lambda: None)
            except LabError as error:
                cannot_run(error.sentence)
            client = CloudClient(fleet.port)
            with client.http:
                client.log_in(fleet.clouds)
                yield fleet, client
        finally:
            for host in fleet.hosts:
                if host.libvirtd is not None:
                    host.libvirtd.thaw()
            fleet.close()


def services(client: CloudClient, host: str) -> list[dict[str, str]]:
    path = f"/compute/v2.1/os-services?host={host}&binary=nova-compute"
    found: list[dict[str, str]] = client.http.get(path).json()["services"]
    return found


def enable(client: CloudClient, host: str) -> int:
    (service,) = services(client, host)
    return client.http.put(f"/compute/v2.1/os-services/{service['id']}", json={"status": "enabled"}).status_code


def story(fleet: _Fleet, client: CloudClient, image_id: str) -> tuple[str, Host, Host]:
    """A server on one host; that host stands still, is given up, and its server is evacuated to the other."""
    server = client.create(image_id)
    name = client.wait_status(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"]
    lost = next(host for host in fleet.hosts if host.name == name)
    other = next(host for host in fleet.hosts if host is not lost)
    forget = ("host", "forget", name, "--yes", "--config-file", str(fleet.directory / "conductor1.conf"))
    with pytest.raises(LabError, match="is alive"):
        fleet.kilonova(*forget)
    with pytest.raises(LabError, match="Aborted"):
        fleet.kilonova(*(word for word in forget if word != "--yes"))
    lost.process.freeze()
    if lost.libvirtd is not None:
        lost.libvirtd.freeze()
    wait_for(lambda: services(client, name)[0]["state"] == "down")
    assert f"kilonova host forget {name}" in str(client.act(server, {"evacuate": {}}, code=400))
    assert "1 servers lost their disks" in fleet.kilonova(*forget)
    assert client.wait_status(server, "ERROR")["OS-EXT-SRV-ATTR:host"] is None
    client.act(server, {"evacuate": {}}, code=200)
    assert client.wait_status(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"] == other.name
    return server, lost, other


def returned(fleet: _Fleet, client: CloudClient, lost: Host) -> None:
    """It is out of service until its copies are gone, and then an operator can enable it."""
    wait_for(lambda: bool(services(client, lost.name)))
    (service,) = services(client, lost.name)
    assert (service["status"], service["state"]) == ("disabled", "up")
    wait_for(lambda: enable(client, lost.name) == 200, why=lambda: lost.process.log.read_text()[-2000:])


def test_a_frozen_host_is_given_up_and_returns(tmp_path: Path) -> None:
    with running(real=False) as (fleet, client):
        file = tmp_path / "image.raw"
        file.write_bytes(b"\x55" * 65536)
        server, lost, other = story(fleet, client, client.upload(file, "raw"))
        lost.process.thaw()
        returned(fleet, client, lost)
        assert "the guest of a deleted instance was removed" in lost.process.log.read_text()
        assert client.wait_status(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"] == other.name
        again = client.create(client.upload(file, "raw"), availability_zone=f"nova:{lost.name}")
        assert client.wait_status(again, "ACTIVE")["OS-EXT-SRV-ATTR:host"] == lost.name


def test_its_domain_is_removed_and_that_of_the_other_host_is_left_alone() -> None:
    """The compute process is killed, and libvirt stands still; both are started again."""
    with running(real=True) as (fleet, client):
        server, lost, other = story(fleet, client, client.upload(IMAGE))
        assert lost.libvirtd is not None
        assert other.libvirtd is not None
        lost.process.kill()
        lost.libvirtd.thaw()
        assert virsh(lost.libvirtd, "list", "--uuid").split() == [server]
        before = virsh(other.libvirtd, "domid", server)
        fleet.restart(lost.process)
        returned(fleet, client, lost)
        assert virsh(lost.libvirtd, "list", "--all", "--uuid").split() == []
        assert not list((fleet.directory / lost.name / "instances").glob(f"*{server}*"))
        assert virsh(other.libvirtd, "domid", server) == before
        assert client.wait_status(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"] == other.name
