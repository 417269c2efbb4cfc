# SPDX-License-Identifier: Apache-2.0
"""The metadata of a guest: the files of its config drive, in OpenStack's layout and in EC2's.

Source: Nova's user guide, "Metadata", and its api/metadata/base.py for the contents of each version.
"""

import base64
import json
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from kilonova.networks.ids import cidr_of, network_id
from kilonova.objects.hardware import disk_prefix
from kilonova.objects.image_properties import present
from kilonova.objects.instance import ROOT_TAG, Address, Instance, nic_tag
from kilonova.virt.local_disks import EPHEMERAL, local_disks_of

FOLSOM, GRIZZLY, HAVANA, LIBERTY, NEWTON, NEWTON_TWO, OCATA, ROCKY, VICTORIA, LATEST = VERSIONS = (
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
    "latest",
)
"""Oldest first, which is also the order of their names."""
EC2_VERSIONS = ("2009-04-04", "latest")
"""The versions that Nova puts on config drives by default."""
NO_BUS = "none"
"""The bus of a device whose address is not known when the drive is written."""


def config_drive_files(instance: Instance, seed: bytes) -> Mapping[str, bytes]:
    """Returns path inside the drive to contents; the same instance and seed always give the same bytes.  `seed` is for
    the guest's random numbers; it must be unpredictable to others."""
    user_data = None if instance.user_data is None else base64.b64decode(instance.user_data)
    # Each document is rendered once: an indented one takes Python's slow encoder, on the event loop.
    network, ec2 = _json(network_data(instance)), _json(ec2_meta_data(instance))
    files: dict[str, bytes] = {}
    for version, meta in _meta_data_documents(instance, seed).items():
        named = {"meta_data.json": meta, **_files_beside(version, network, user_data)}
        files |= {f"openstack/{version}/{name}": contents for name, contents in named.items()}
    for version in EC2_VERSIONS:
        files[f"ec2/{version}/meta-data.json"] = ec2
        if user_data is not None:
            files[f"ec2/{version}/user-data"] = user_data
    return {**files, **_injected(instance)}


def _meta_data_documents(instance: Instance, seed: bytes) -> dict[str, bytes]:
    """meta_data.json of each version; versions in a row with the same contents share one document."""
    documents: dict[str, bytes] = {}
    rendered: tuple[dict[str, Any], bytes] | None = None
    for version in VERSIONS:
        data = meta_data(instance, version, seed)
        if rendered is None or rendered[0] != data:
            rendered = data, _json(data)
        documents[version] = rendered[1]
    return documents


def _injected(instance: Instance) -> Mapping[str, bytes]:
    """The files of the create request, under the numbers by which meta_data.json names them."""
    return {f"openstack{_content(n)}": base64.b64decode(file.contents) for n, file in enumerate(instance.files)}


def _content(number: int) -> str:
    return f"/content/{number:04}"


def _files_beside(version: str, network: bytes, user_data: bytes | None) -> dict[str, bytes]:
    """A version's files besides meta_data.json."""
    files: dict[str, bytes] = {}
    if user_data is not None:
        files["user_data"] = user_data
    if version >= HAVANA:
        files["vendor_data.json"] = b"{}"
    if version >= LIBERTY:
        files["network_data.json"] = network
    if version >= NEWTON_TWO:
        files["vendor_data2.json"] = b"{}"
    return files


def meta_data(instance: Instance, version: str, seed: bytes) -> dict[str, Any]:
    """meta_data.json of a version."""
    data: dict[str, Any] = {
        "uuid": instance.id,
        "name": instance.name,
        "hostname": instance.hostname,
        "availability_zone": instance.availability_zone,
        "launch_index": instance.launch_index,
        "meta": dict(instance.metadata),
    }
    if instance.key_name is not None and instance.key_data is not None:
        data["public_keys"] = {instance.key_name: instance.key_data}
        data["keys"] = [{"name": instance.key_name, "type": _type_of(instance.key_data), "data": instance.key_data}]
    if instance.files:
        places = enumerate(file.path for file in instance.files)
        data["files"] = [{"path": path, "content_path": _content(number)} for number, path in places]
    if version >= GRIZZLY:
        data["random_seed"] = base64.b64encode(seed).decode()
    if version >= LIBERTY:
        data["project_id"] = instance.project_id
    if version >= NEWTON:
        data["devices"] = devices(instance)
    if version >= VICTORIA:
        data["dedicated_cpus"] = []
    return data


def devices(instance: Instance) -> list[dict[str, Any]]:
    """The devices that have tags."""
    where = {"bus": NO_BUS, "address": NO_BUS}
    found: list[dict[str, Any]] = [
        {"type": "nic", **where, "mac": address.mac, "tags": [tag]}
        for address in instance.addresses
        if (tag := instance.device_tags.get(nic_tag(address.network)))
    ]
    if tag := instance.device_tags.get(ROOT_TAG):
        found.append({"type": "disk", **where, "path": block_devices(instance)["root"], "tags": [tag]})
    return found


def block_devices(instance: Instance) -> dict[str, str]:
    """EC2's block device mapping: the names that guests are likely to give their disks."""
    prefix = disk_prefix(present(instance.image.properties).get("hw_disk_bus", "virtio"))
    found = {"ami": f"{prefix}a", "root": f"/dev/{prefix}a"}
    for disk, letter in zip(local_disks_of(instance.flavor), "bc", strict=False):
        found["ephemeral0" if disk.kind == EPHEMERAL else "swap"] = f"/dev/{prefix}{letter}"
    return found


def ec2_meta_data(instance: Instance) -> dict[str, Any]:
    """meta-data.json of EC2's layout; its ids are the first eight digits of this service's ids."""
    address = instance.addresses[0] if instance.addresses else None
    data: dict[str, Any] = {
        "ami-id": f"ami-{instance.image.id[:8]}",
        "ami-launch-index": instance.launch_index,
        "ami-manifest-path": "FIXME",  # the same word as Nova's
        "block-device-mapping": block_devices(instance),
        "hostname": instance.hostname,
        "instance-action": "none",
        "instance-id": f"i-{instance.id[:8]}",
        "instance-type": instance.flavor.name,
        "local-hostname": instance.hostname,
        "local-ipv4": "" if address is None else address.address,
        "placement": {"availability-zone": instance.availability_zone},
        "public-hostname": instance.hostname,
        "public-ipv4": "" if address is None else address.floating,
        "reservation-id": instance.reservation_id,
        "security-groups": ["default"] if instance.addresses else [],
    }
    if instance.key_name is not None and instance.key_data is not None:
        data["public-keys"] = {"0": {"_name": f"0={instance.key_name}", "openssh-key": instance.key_data}}
    return data


def _type_of(key: str) -> str:
    """The type of a key pair, found by its text: an SSH key is one line that begins with the name of its algorithm."""
    return "x509" if key.lstrip().startswith("-----BEGIN") else "ssh"


def network_data(instance: Instance) -> dict[str, Any]:
    """network_data.json: on NAT and user-mode networks the guest gets its addresses by DHCP, whose server gives it
    exactly the addresses that the API shows; on a bridge without DHCP this document holds them."""
    links = [
        {"id": f"tap{n}", "type": "phy", "ethernet_mac_address": a.mac, "mtu": a.mtu}
        for n, a in enumerate(instance.addresses)
    ]
    networks = [
        {"id": f"network{n}", "link": f"tap{n}", "network_id": network_id(a.network), **_addressing(a)}
        for n, a in enumerate(instance.addresses)
    ]
    dns = sorted({server for a in instance.addresses for server in a.dns})
    services = [{"type": "dns", "address": server} for server in dns]
    return {"links": links, "networks": networks, "services": services}


def _addressing(address: Address) -> dict[str, Any]:
    if address.dhcp:
        return {"type": "ipv4_dhcp"}
    mask = str(ip_network(cidr_of(address)).netmask)
    routes = [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": address.gateway}] if address.gateway else []
    return {"type": "ipv4", "ip_address": address.address, "netmask": mask, "routes": routes}


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, indent=1).encode()
