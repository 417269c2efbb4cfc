# SPDX-License-Identifier: Apache-2.0
"""What a guest is told about itself: the files of its config drive (OpenStack's layout, as cloud-init reads it)."""

import base64
import json
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from kilonova.networks.ids import cidr_of, network_id
from kilonova.objects.instance import Address, Instance


def config_drive_files(instance: Instance) -> Mapping[str, bytes]:
    """Path inside the drive to contents; the same instance always gives the same bytes."""
    meta = _json(meta_data(instance))
    network = _json(network_data(instance))
    files = {
        "openstack/latest/meta_data.json": meta,
        "openstack/latest/network_data.json": network,
        "openstack/latest/vendor_data.json": b"{}",
        "openstack/2018-08-27/meta_data.json": meta,
        "openstack/2018-08-27/network_data.json": network,
    }
    if instance.user_data is not None:
        data = base64.b64decode(instance.user_data)
        files["openstack/latest/user_data"] = data
        files["openstack/2018-08-27/user_data"] = data
    return {**files, **_injected(instance)}


def _injected(instance: Instance) -> Mapping[str, bytes]:
    """The files that were given with the create, under the numbers by which meta_data.json names them."""
    return {f"openstack{_content(n)}": base64.b64decode(file.contents) for n, file in enumerate(instance.files)}


def _content(number: int) -> str:
    return f"/content/{number:04}"


def meta_data(instance: Instance) -> dict[str, Any]:
    """meta_data.json."""
    data: dict[str, Any] = {
        "uuid": instance.id,
        "name": instance.name,
        "hostname": instance.hostname,
        "project_id": instance.project_id,
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
    return data


def _type_of(key: str) -> str:
    """Of a key pair, by its text: a key is one line that begins with the name of its kind."""
    return "x509" if key.lstrip().startswith("-----BEGIN") else "ssh"


def network_data(instance: Instance) -> dict[str, Any]:
    """network_data.json: on our own networks the guest gets its addresses by DHCP, whose server gives it just the ones
    that we show; on a bridge it is told them here."""
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
