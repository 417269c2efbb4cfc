# SPDX-License-Identifier: Apache-2.0
"""What a guest is told about itself."""

import base64
import json
from dataclasses import replace

from kilonova.compute.metadata import config_drive_files, network_data
from kilonova.networks.ids import network_id
from kilonova.objects.instance import Address, InjectedFile
from tests import make
from tests.unit.compute.bench import ADDRESS


def test_the_config_drive_tells_name_key_user_data_and_network() -> None:
    script = b"#!/bin/sh\necho nonce\n"
    files = config_drive_files(
        make.instance(
            key_name="k",
            key_data="ssh-ed25519 AAAA me",
            user_data=base64.b64encode(script).decode(),
            addresses=(ADDRESS,),
            metadata={"role": "web"},
        )
    )
    meta = json.loads(files["openstack/latest/meta_data.json"])
    assert (meta["hostname"], meta["name"], meta["meta"]) == ("server-one", "server one", {"role": "web"})
    assert meta["public_keys"] == {"k": "ssh-ed25519 AAAA me"}
    assert files["openstack/latest/user_data"] == script
    network = json.loads(files["openstack/latest/network_data.json"])
    assert network["links"][0]["ethernet_mac_address"] == ADDRESS.mac


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
    files = config_drive_files(make.instance(files=given))
    meta = json.loads(files["openstack/latest/meta_data.json"])
    assert [one["path"] for one in meta["files"]] == ["/etc/motd", "/etc/empty"]
    assert [files[f"openstack{one['content_path']}"] for one in meta["files"]] == [b"hello", b""]


def test_the_kind_of_a_key_is_told() -> None:
    for text, kind in (("ssh-ed25519 AAAA\n", "ssh"), ("-----BEGIN CERTIFICATE-----\n", "x509")):
        files = config_drive_files(make.instance(key_name="k", key_data=text))
        (key,) = json.loads(files["openstack/latest/meta_data.json"])["keys"]
        assert key == {"name": "k", "type": kind, "data": text}


def test_without_user_data_there_is_no_such_file() -> None:
    assert not [name for name in config_drive_files(make.instance()) if name.endswith("user_data")]


def test_the_same_instance_gives_the_same_bytes() -> None:
    assert config_drive_files(make.instance()) == config_drive_files(make.instance())
