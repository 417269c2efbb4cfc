# SPDX-License-Identifier: Apache-2.0
"""Guests that one can reach: by ssh with the key they were made with, over each kind of network."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from lab.common import LabError
from lab.counting import cannot_run
from lab.system_libvirtd import PrivateSystemLibvirtd
from tests.live.box import GUEST_IMAGE, Box, libvirt_box, virsh, wait_for
from tests.live.relay import relay
from tests.live.test_host_boot import booted_before

pytestmark = pytest.mark.live

Run = Callable[..., subprocess.CompletedProcess[bytes]]

LAN = """\
[network]
backend = bridge
bridges = lan, nowhere
[network:lan]
bridge = br-lan
cidr = 192.0.2.0/24
range = 192.0.2.100-192.0.2.109
gateway = 192.0.2.1
mtu = 1400
[network:nowhere]
bridge = br9
cidr = 198.51.100.0/24
range = 198.51.100.9-198.51.100.10
"""


class Keys:
    """Two key pairs; the API knows the first as `me`."""

    def __init__(self, directory: Path) -> None:
        if shutil.which("ssh-keygen") is None:
            cannot_run("the ssh client is not installed")
        self.mine, self.other = directory / "mine", directory / "other"
        for path in (self.mine, self.other):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=30)

    def upload(self, box: Box) -> None:
        public = self.mine.with_suffix(".pub").read_text()
        reply = box.http.post("/compute/v2.1/os-keypairs", json={"keypair": {"name": "me", "public_key": public}})
        assert reply.status_code == 201, reply.text


def ssh(run: Run, key: Path, address: str, command: str, port: int = 22) -> subprocess.CompletedProcess[bytes]:
    options = ["IdentitiesOnly=yes", "BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
    words = [word for option in (*options, "ConnectTimeout=5", "LogLevel=ERROR") for word in ("-o", option)]
    return run("ssh", "-F", "none", *words, "-i", str(key), "-p", str(port), f"root@{address}", command)


def here(*argv: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, capture_output=True, timeout=60, stdin=subprocess.DEVNULL, check=False)


def inside(daemon: PrivateSystemLibvirtd) -> Run:
    """Runs commands where the daemon's networks are."""
    return partial(daemon.network_command, timeout=60)


def let_in(run: Run, key: Path, address: str, port: int = 22) -> None:
    """Wait until the guest lets that key in."""
    said: list[bytes] = [b""]

    def look() -> bool:
        done = ssh(run, key, address, "true", port)
        said[0] = done.stderr
        return done.returncode == 0

    wait_for(look, within_s=120, why=lambda: said[0].decode())


def refuses(run: Run, key: Path, address: str, port: int = 22) -> None:
    done = ssh(run, key, address, "true", port)
    assert done.returncode == 255
    assert b"Permission denied" in done.stderr


def addresses(server: Mapping[str, Any], network: str) -> dict[str, str]:
    """Address by kind."""
    assert list(server["addresses"]) == [network]
    return {entry["OS-EXT-IPS:type"]: entry["addr"] for entry in server["addresses"][network]}


@contextmanager
def system_box(*words: str) -> Generator[tuple[PrivateSystemLibvirtd, Box]]:
    """A box, not started yet, on a system daemon of its own, and in its network as a service is in the machine's."""
    if (reason := PrivateSystemLibvirtd.unavailable()) is not None:
        cannot_run(f"a system libvirtd of its own: {reason}")
    with tempfile.TemporaryDirectory(prefix="kn") as directory:
        Path(directory).chmod(0o711)
        daemon = PrivateSystemLibvirtd(Path(directory) / "l")
        try:
            daemon.start()
        except LabError as error:
            cannot_run(error.sentence)
        try:
            with libvirt_box(daemon, *words) as box, relay(daemon, box.port):
                box.wrapper = daemon.network_wrapper()
                yield daemon, box
        finally:
            daemon.stop()


def interface_of(daemon: PrivateSystemLibvirtd, server_id: str) -> Any:
    """The guest's NIC as libvirt has it now."""
    done = here("virsh", "-q", "-c", daemon.uri, "dumpxml", server_id)
    assert done.returncode == 0, done.stderr
    nic = etree.fromstring(done.stdout).find("devices/interface")
    assert nic is not None
    return nic


def filter_of(daemon: PrivateSystemLibvirtd, server_id: str) -> str:
    found: str = interface_of(daemon, server_id).find("filterref").get("filter")
    return found


def cannot_pretend(daemon: PrivateSystemLibvirtd, key: Path, server_id: str, mine: str, false: str, peer: str) -> None:
    """The guest reaches its gateway as itself, and neither under another address nor under another MAC."""
    nic = interface_of(daemon, server_id)
    assert nic.find("filterref/parameter[@name='IP']").get("value") == mine
    rules = daemon.network_command("ebtables", "-t", "nat", "-L").stdout.decode()
    assert f"libvirt-I-{nic.find('target').get('dev')}" in rules
    run = inside(daemon)
    assert ssh(run, key, mine, f"ping -c 1 -W 5 {peer}").returncode == 0
    as_other = f"ip addr add {false}/24 dev eth0; ping -c 1 -W 2 -I {false} {peer}"
    assert ssh(run, key, mine, as_other).returncode == 1
    # The change of MAC takes the session with it, so the guest writes down what came of it.
    script = f"ip link set eth0 address 02:00:00:00:00:99; arping -c 3 -w 4 -I eth0 {peer}"
    back = f"ip link set eth0 address {nic.find('mac').get('address')}"
    ssh(run, key, mine, f"(sleep 1; {script}; echo $? >/tmp/status; {back}) >/dev/null 2>&1 &")
    wait_for(lambda: ssh(run, key, mine, "cat /tmp/status").stdout.strip() == b"1")


def test_behind_user_mode_by_a_loopback_address_of_its_own(box: Box, image_id: str, tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    keys.upload(box)
    ids = [box.create(image_id, f"user-{n}", key_name="me") for n in range(2)]
    reached = [addresses(box.wait_status(server_id, "ACTIVE"), "kilonova") for server_id in ids]
    for found in reached:
        let_in(here, keys.mine, found["floating"], 2222)
        assert found["fixed"].encode() in ssh(here, keys.mine, found["floating"], "ip addr", 2222).stdout
        refuses(here, keys.other, found["floating"], 2222)
    names = [ssh(here, keys.mine, found["floating"], "hostname", 2222).stdout for found in reached]
    assert names == [b"user-0\n", b"user-1\n"]
    box.act(ids[0], {"reboot": {"type": "HARD"}})
    assert addresses(box.wait_status(ids[0], "ACTIVE"), "kilonova") == reached[0]
    let_in(here, keys.mine, reached[0]["floating"], 2222)
    for server_id in ids:
        box.delete(server_id)


def test_behind_nat_by_the_address_that_is_shown_and_the_next_server_by_the_same(tmp_path: Path) -> None:
    """Also after a delete that dies on its way, a boot of the host, a rebuild and a shelving."""
    keys = Keys(tmp_path)
    with system_box() as (daemon, box):
        box.start().ready()
        keys.upload(box)
        image_id = box.upload(GUEST_IMAGE)
        (network,) = box.http.get("/network/v2.0/networks").json()["networks"]
        server_id = box.create(image_id, "first", key_name="me")
        address = addresses(box.wait_status(server_id, "ACTIVE"), "kilonova")["fixed"]
        let_in(inside(daemon), keys.mine, address)
        refuses(inside(daemon), keys.other, address)
        net, _, _ = address.rpartition(".")
        assert filter_of(daemon, server_id) == "kilonova-project"
        cannot_pretend(daemon, keys.mine, server_id, address, f"{net}.200", f"{net}.1")
        box.stop()
        box.start(failpoints="compute.delete.remove-network.begin=kill").ready()
        assert box.http.delete(f"/compute/v2.1/servers/{server_id}").status_code == 204
        box.wait_dead()
        box.start().ready()
        wait_for(lambda: box.server(server_id) is None)

        wanted = [{"uuid": network["id"], "fixed_ip": address}]
        server_id = box.create(image_id, "second", key_name="me", networks=wanted)
        assert addresses(box.wait_status(server_id, "ACTIVE"), "kilonova")["fixed"] == address
        let_in(inside(daemon), keys.mine, address)

        box.kill()
        for pid in daemon.guests().values():
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: virsh(daemon, "list", "--name").strip() == "")
        virsh(daemon, "net-destroy", "kilonova")
        booted_before(box)
        box.start().ready()
        box.wait_status(server_id, "ACTIVE")
        box.act(server_id, {"rebuild": {"imageRef": image_id}})
        box.wait_status(server_id, "ACTIVE")
        let_in(inside(daemon), keys.mine, address)
        box.act(server_id, {"shelve": None})
        box.wait_status(server_id, "SHELVED_OFFLOADED")
        box.act(server_id, {"unshelve": None})
        assert addresses(box.wait_status(server_id, "ACTIVE"), "kilonova")["fixed"] == address
        let_in(inside(daemon), keys.mine, address)
        box.delete(server_id)
        assert virsh(daemon, "net-dhcp-leases", "kilonova").split("---")[-1].strip("- \n") == ""


def test_on_a_bridge_by_the_address_that_is_shown(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    config = tmp_path / "kilonova.conf"
    config.write_text(LAN)
    with system_box("--config-file", str(config)) as (daemon, box):
        for words in (
            "link add br-lan type bridge forward_delay 0",
            "addr add 192.0.2.1/24 dev br-lan",
            "link set br-lan up",
        ):
            assert daemon.network_command("ip", *words.split()).returncode == 0
        box.start().ready()
        keys.upload(box)
        image_id = box.upload(GUEST_IMAGE)
        server_id = box.create(image_id, "lan", key_name="me")
        assert addresses(box.wait_status(server_id, "ACTIVE"), "lan") == {"fixed": "192.0.2.100"}
        let_in(inside(daemon), keys.mine, "192.0.2.100")
        assert interface_of(daemon, server_id).find("source").get("bridge") == "br-lan"
        link = ssh(inside(daemon), keys.mine, "192.0.2.100", "ip link show eth0; ip route").stdout
        assert b"mtu 1400" in link
        assert b"default via 192.0.2.1" in link
        assert filter_of(daemon, server_id) == "kilonova-guest"
        cannot_pretend(daemon, keys.mine, server_id, "192.0.2.100", "192.0.2.101", "192.0.2.1")
        networks = box.http.get("/network/v2.0/networks", params={"name": "nowhere"}).json()["networks"]
        lost = box.create(image_id, "lost", networks=[{"uuid": networks[0]["id"]}])
        assert (
            "The bridge br9 of the network nowhere is not there" in box.wait_status(lost, "ERROR")["fault"]["message"]
        )
        for one in (server_id, lost):
            box.delete(one)
