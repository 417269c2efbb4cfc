# SPDX-License-Identifier: Apache-2.0
"""Instances as the API shows servers, at every microversion.

No member may appear before its microversion: clients check that.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from kilonova.api.http.call import Links
from kilonova.api.http.microversion import Microversion, v2
from kilonova.api.http.times import micros, seconds_z
from kilonova.db.readers.servers import HostStatus
from kilonova.objects.flavor import Flavor
from kilonova.objects.hardware import root_device
from kilonova.objects.ids import HostName
from kilonova.objects.instance import Instance
from kilonova.objects.messages import member_message
from kilonova.objects.states import api_status

_WITH_PROGRESS = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "REVERT_RESIZE", "MIGRATING"})
_WITH_FAULT = frozenset({"ERROR", "DELETED"})


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks, at which microversion, from which address.  `hosts` is what administrators see of hosts."""

    links: Links
    version: Microversion
    admin: bool
    hosts: Mapping[HostName, HostStatus] = field(default_factory=dict[HostName, HostStatus])


def brief(instance: Instance, viewer: Viewer) -> dict[str, Any]:
    """The entry of a plain list."""
    return {"id": instance.id, "name": instance.name, "links": viewer.links.pair(f"/servers/{instance.id}")}


def detail(instance: Instance, viewer: Viewer) -> dict[str, Any]:
    """The entry of a detailed list: everything but the groups, which only a single server shows."""
    server = _core(instance, viewer)
    server["addresses"] = addresses(instance, full=True)
    server.update(_extended(instance))
    if viewer.admin:
        server.update(_for_admins(instance, viewer))
    server.update(_newer(instance, viewer.version))
    return server


def single(instance: Instance, viewer: Viewer) -> dict[str, Any]:
    """The answer of GET, and from 2.75 of PUT."""
    server = detail(instance, viewer)
    if viewer.version >= v2(71):
        server["server_groups"] = _groups(instance)
    return server


def short(instance: Instance, viewer: Viewer) -> dict[str, Any]:
    """The answer of PUT below 2.75: without what Nova once kept in extensions."""
    server = _core(instance, viewer)
    server["addresses"] = addresses(instance, full=False)
    version = viewer.version
    if version >= v2(9):
        server["locked"] = instance.locked_by is not None
    if version >= v2(19):
        server["description"] = instance.description
    if version >= v2(26):
        server["tags"] = list(instance.tags)
    if version >= v2(63):
        server["trusted_image_certificates"] = None
    if version >= v2(71):
        server["server_groups"] = _groups(instance)
    if version >= v2(73):
        server["locked_reason"] = instance.locked_reason
    return server


def _groups(instance: Instance) -> list[str]:
    return [] if instance.server_group_id is None else [instance.server_group_id]


@lru_cache(maxsize=4096)
def host_id(project_id: str, host: str) -> str:
    """A host's name as the users of one project see it: the same for all their servers there, and nothing else."""
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest()


def _core(instance: Instance, viewer: Viewer) -> dict[str, Any]:
    status = api_status(instance.vm_state, instance.task_state, instance.power_state)
    image = instance.image.id
    server: dict[str, Any] = {
        "id": instance.id,
        "name": instance.name,
        "status": status,
        "tenant_id": instance.project_id,
        "user_id": instance.user_id,
        "metadata": instance.metadata,
        "hostId": host_id(instance.project_id, instance.host) if instance.host is not None else "",
        "image": {"id": image, "links": [{"rel": "bookmark", "href": viewer.links.bookmark(f"/images/{image}")}]},
        "flavor": _flavor(instance.flavor, viewer),
        "created": seconds_z(instance.created_at),
        "updated": seconds_z(instance.updated_at),
        "links": viewer.links.pair(f"/servers/{instance.id}"),
        "accessIPv4": instance.access_ip_v4 or "",
        "accessIPv6": instance.access_ip_v6 or "",
        "OS-DCF:diskConfig": instance.disk_config,
    }
    if status in _WITH_PROGRESS:
        server["progress"] = 0
    if status in _WITH_FAULT and instance.fault is not None:
        fault = instance.fault
        message = fault.message if viewer.admin else member_message(fault.message, (instance.host, instance.node))
        server["fault"] = {"code": fault.code, "created": seconds_z(fault.created), "message": message}
    return server


def _flavor(flavor: Flavor, viewer: Viewer) -> dict[str, Any]:
    if viewer.version < v2(47):
        return {
            "id": flavor.id,
            "links": [{"rel": "bookmark", "href": viewer.links.bookmark(f"/flavors/{flavor.id}")}],
        }
    return {
        "vcpus": flavor.vcpus,
        "ram": flavor.memory_mib,
        "disk": flavor.disk_gib,
        "ephemeral": flavor.ephemeral_gib,
        "swap": flavor.swap_mib,
        "original_name": flavor.name,
        "extra_specs": flavor.extra_specs,
    }


def addresses(instance: Instance, *, full: bool) -> dict[str, list[dict[str, Any]]]:
    """Addresses by network; `full` with kind and MAC."""
    networks: dict[str, list[dict[str, Any]]] = {}
    for address in instance.addresses:
        for kind, text in (("fixed", address.address), ("floating", address.floating)):
            if not text:
                continue
            shown: dict[str, Any] = {"version": 4, "addr": text}
            if full:
                shown["OS-EXT-IPS:type"] = kind
                shown["OS-EXT-IPS-MAC:mac_addr"] = address.mac
            networks.setdefault(address.network, []).append(shown)
    return networks


def _extended(instance: Instance) -> dict[str, Any]:
    extended: dict[str, Any] = {
        "key_name": instance.key_name,
        "config_drive": "True" if instance.config_drive else "",
        "OS-EXT-AZ:availability_zone": instance.availability_zone or "",
        "OS-EXT-STS:task_state": instance.task_state,
        "OS-EXT-STS:vm_state": instance.vm_state,
        "OS-EXT-STS:power_state": int(instance.power_state),
        "OS-SRV-USG:launched_at": micros(instance.launched_at),
        "OS-SRV-USG:terminated_at": micros(instance.terminated_at),
        "os-extended-volumes:volumes_attached": [],
    }
    if instance.wants_network:
        extended["security_groups"] = [{"name": "default"}]
    return extended


def _for_admins(instance: Instance, viewer: Viewer) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "OS-EXT-SRV-ATTR:host": instance.host,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": instance.node,
        "OS-EXT-SRV-ATTR:instance_name": f"kilonova-{instance.id}",
    }
    if viewer.version >= v2(3):
        shown.update(
            {
                "OS-EXT-SRV-ATTR:reservation_id": instance.reservation_id,
                "OS-EXT-SRV-ATTR:launch_index": instance.launch_index,
                "OS-EXT-SRV-ATTR:hostname": instance.hostname,
                "OS-EXT-SRV-ATTR:kernel_id": "",
                "OS-EXT-SRV-ATTR:ramdisk_id": "",
                "OS-EXT-SRV-ATTR:root_device_name": f"/dev/{root_device(instance.image.properties)}",
                "OS-EXT-SRV-ATTR:user_data": instance.user_data,
            }
        )
    if viewer.version >= v2(16):
        shown["host_status"] = _host_status(instance, viewer)
    return shown


def _host_status(instance: Instance, viewer: Viewer) -> str:
    if instance.host is None:
        return ""
    host = viewer.hosts.get(instance.host)
    if host is None:
        return "UNKNOWN"
    if host.forced_down:
        return "DOWN"
    if not host.up:
        return "UNKNOWN"
    return "MAINTENANCE" if host.disabled else "UP"


def _newer(instance: Instance, version: Microversion) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if version >= v2(9):
        shown["locked"] = instance.locked_by is not None
    if version >= v2(19):
        shown["description"] = instance.description
    if version >= v2(26):
        shown["tags"] = list(instance.tags)
    if version >= v2(63):
        shown["trusted_image_certificates"] = None
    if version >= v2(73):
        shown["locked_reason"] = instance.locked_reason
    if version >= v2(90):
        shown["OS-EXT-SRV-ATTR:hostname"] = instance.hostname
    return shown
