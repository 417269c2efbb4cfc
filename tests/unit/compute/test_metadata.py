# SPDX-License-Identifier: Apache-2.0
"""What a guest is told about itself."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from kilonova.base.clock import SystemClock
from kilonova.compute.metadata import EC2_VERSIONS, VERSIONS, config_drive_files, network_data
from kilonova.compute.seeds import read_seed_key, seed_of
from kilonova.networks.ids import network_id
from kilonova.objects.ids import ActionId
from kilonova.objects.instance import ROOT_TAG, Address, InjectedFile, Instance, nic_tag
from kilonova.objects.states import Verb
from tests import make
from tests.unit.compute.bench import ADDRESS, Bench
from tests.unit.compute.test_operations import on

SCRIPT = b"#!/bin/sh\necho nonce\n"
FULL = make.instance(
    key_name="k",
    key_data="ssh-ed25519 AAAA me",
    user_data=base64.b64encode(SCRIPT).decode(),
    addresses=(ADDRESS,),
    metadata={"role": "web"},
    reservation_id="r-1",
    flavor=replace(make.flavor(), ephemeral_gib=1, swap_mib=64),
    device_tags={ROOT_TAG: "boot", nic_tag(ADDRESS.network): "lan"},
)
SEED = bytes(range(256)) * 2


def meta(instance: Instance, version: str = "latest") -> dict[str, Any]:
    return json.loads(config_drive_files(instance, SEED)[f"openstack/{version}/meta_data.json"])


def test_the_config_drive_tells_name_key_user_data_and_network() -> None:
    files, told = config_drive_files(FULL, SEED), meta(FULL)
    assert (told["hostname"], told["name"], told["meta"]) == ("server-one", "server one", {"role": "web"})
    assert told["public_keys"] == {"k": "ssh-ed25519 AAAA me"}
    assert files["openstack/latest/user_data"] == SCRIPT
    network = json.loads(files["openstack/latest/network_data.json"])
    assert network["links"][0]["ethernet_mac_address"] == ADDRESS.mac


def test_every_version_has_what_nova_gives_it() -> None:
    files = config_drive_files(FULL, SEED)
    of = {v: {name.split("/")[2] for name in files if name.startswith(f"openstack/{v}/")} for v in VERSIONS}
    oldest = {"meta_data.json", "user_data"}
    assert of["2012-08-10"] == of["2013-04-04"] == oldest
    assert of["2013-10-17"] == oldest | {"vendor_data.json"}
    assert of["2015-10-15"] == of["2016-06-30"] == oldest | {"vendor_data.json", "network_data.json"}
    whole = oldest | {"vendor_data.json", "vendor_data2.json", "network_data.json"}
    assert all(of[version] == whole for version in VERSIONS[5:])
    since = {"random_seed": "2013-04-04", "project_id": "2015-10-15", "devices": "2016-06-30"}
    since["dedicated_cpus"] = "2020-10-14"
    for member, first in since.items():
        assert next(version for version in VERSIONS if member in meta(FULL, version)) == first
        assert all(member in meta(FULL, version) for version in VERSIONS if version >= first)
    assert base64.b64decode(meta(FULL)["random_seed"]) == SEED


def test_the_tree_of_ec2() -> None:
    files = config_drive_files(FULL, SEED)
    for version in EC2_VERSIONS:
        assert files[f"ec2/{version}/user-data"] == SCRIPT
        told = json.loads(files[f"ec2/{version}/meta-data.json"])
        assert told["instance-id"] == f"i-{FULL.id[:8]}"
        assert (told["local-ipv4"], told["reservation-id"]) == (ADDRESS.address, "r-1")
        assert told["public-keys"] == {"0": {"_name": "0=k", "openssh-key": "ssh-ed25519 AAAA me"}}
        assert told["block-device-mapping"] == {
            "ami": "vda", "root": "/dev/vda", "ephemeral0": "/dev/vdb", "swap": "/dev/vdc"
        }  # fmt: skip


def test_devices_that_bear_tags_are_told() -> None:
    nic, disk = meta(FULL)["devices"]
    assert (nic["type"], nic["mac"], nic["tags"]) == ("nic", ADDRESS.mac, ["lan"])
    assert (disk["type"], disk["path"], disk["tags"]) == ("disk", "/dev/vda", ["boot"])
    assert meta(replace(FULL, device_tags={}))["devices"] == []


def test_on_a_lan_the_guest_is_told_its_address() -> None:
    lan = Address("lan", "192.0.2.10", "fa:16:3e:00:00:01", 25, "192.0.2.1", ("192.0.2.53",), 1400, dhcp=False)
    data = network_data(make.instance(addresses=(ADDRESS, lan, replace(lan, gateway=""))))
    by_dhcp, static, without_route = data["networks"]
    assert by_dhcp["type"] == "ipv4_dhcp"
    assert (static["type"], static["ip_address"], static["netmask"]) == ("ipv4", "192.0.2.10", "255.255.255.128")
    assert static["routes"] == [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "192.0.2.1"}]
    assert without_route["routes"] == []
    assert data["links"][1] == {
        "id": "tap1", "type": "phy", "ethernet_mac_address": "fa:16:3e:00:00:01", "mtu": 1400
    }  # fmt: skip
    assert static["network_id"] == network_id("lan")


def test_files_are_on_the_config_drive_under_numbers() -> None:
    given = (InjectedFile("/etc/motd", "aGVs\nbG8="), InjectedFile("/etc/empty", ""))
    files = config_drive_files(make.instance(files=given), SEED)
    told = json.loads(files["openstack/latest/meta_data.json"])["files"]
    assert [one["path"] for one in told] == ["/etc/motd", "/etc/empty"]
    assert [files[f"openstack{one['content_path']}"] for one in told] == [b"hello", b""]


def test_the_kind_of_a_key_is_told() -> None:
    for text, kind in (("ssh-ed25519 AAAA\n", "ssh"), ("-----BEGIN CERTIFICATE-----\n", "x509")):
        files = config_drive_files(make.instance(key_name="k", key_data=text), SEED)
        (key,) = json.loads(files["openstack/latest/meta_data.json"])["keys"]
        assert key == {"name": "k", "type": kind, "data": text}


def test_without_user_data_there_is_no_such_file() -> None:
    files = config_drive_files(make.instance(), SEED)
    assert not [name for name in files if name.endswith(("user_data", "user-data"))]


def test_the_same_instance_gives_the_same_bytes() -> None:
    assert config_drive_files(FULL, SEED) == config_drive_files(FULL, SEED)


def test_a_replay_writes_the_same_seed_and_another_action_another(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        found: list[str] = []
        for action in ("a", "a", "b"):
            bench.machine.guests.clear()
            await bench.run(bench.job(Verb.CREATE, action))
            drive = bench.machine.guests[bench.instance.id].config_drive
            assert drive is not None
            found.append(json.loads(drive["openstack/latest/meta_data.json"])["random_seed"])
        assert found[0] == found[1] != found[2]

    on(Bench(tmp_path), body)


def test_a_hosts_key_is_its_own_and_stays(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "a", tmp_path / "b"
    key = read_seed_key(ours, SystemClock())
    assert read_seed_key(ours, SystemClock()) == key != read_seed_key(theirs, SystemClock())
    assert (ours / "seed.key").stat().st_mode & 0o777 == 0o600
    assert len(seed_of(key, ActionId("a"))) == 512
    assert seed_of(key, ActionId("a")) != seed_of(read_seed_key(theirs, SystemClock()), ActionId("a"))
