# SPDX-License-Identifier: Apache-2.0
"""Servers as the Compute API shows them, at every microversion.

No member may appear before its microversion: clients check that.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from kilonova.api.compute.fields import DiskConfig
from kilonova.api.http.call import Link, Links
from kilonova.api.http.microversion import Microversion, v2
from kilonova.api.http.times import micros, seconds_z
from kilonova.api.http.views import OMIT, EmptyList, ListOf, MapOf, Member, View, one
from kilonova.db.readers.servers import HostStatus
from kilonova.objects.flavor import Flavor
from kilonova.objects.hardware import root_device
from kilonova.objects.ids import HostName
from kilonova.objects.instance import Address, Instance
from kilonova.objects.messages import member_message
from kilonova.objects.statuses import api_power, api_status

_WITH_PROGRESS = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "REVERT_RESIZE", "MIGRATING"})
_WITH_FAULT = frozenset({"ERROR", "DELETED"})


@dataclass(frozen=True, slots=True)
class Viewer:
    """The caller who sees a server, the microversion, and the address that the client used."""

    links: Links
    version: Microversion
    is_admin: bool
    hosts: Mapping[HostName, HostStatus] = field(default_factory=dict[HostName, HostStatus])
    """The states of hosts, for administrators."""
    admin_pass: str = ""
    """The password in the answer of a create or a rebuild."""


class SecurityGroupOfServer(TypedDict):
    """A security group of a server."""

    name: str


class ServerImage(TypedDict):
    """The image of a server."""

    id: str
    links: list[Link]


class ServerFault(TypedDict):
    """Why a server is in ERROR."""

    code: int
    created: str
    message: str


class _Shown(NamedTuple):
    """One address of a server."""

    kind: Literal["fixed", "floating"]
    text: str
    nic: Address


@lru_cache(maxsize=4096)
def host_id(project_id: str, host: str) -> str:
    """An opaque name of a host for the users of one project: the same for all their servers on it."""
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest()


def _host_id(server: Instance, _viewer: Viewer) -> str:
    return host_id(server.project_id, server.host) if server.host is not None else ""


_status_of = lru_cache(maxsize=4096)(api_status)


def _status(server: Instance, _viewer: Viewer) -> str:
    return _status_of(server.vm_state, server.task_state, server.power_state)


def _progress(server: Instance, viewer: Viewer) -> object:
    return 0 if _status(server, viewer) in _WITH_PROGRESS else OMIT


def _fault(server: Instance, viewer: Viewer) -> object:
    fault = server.fault
    if fault is None or _status(server, viewer) not in _WITH_FAULT:
        return OMIT
    message = fault.message if viewer.is_admin else member_message(fault.message, (server.host, server.node))
    return ServerFault(code=fault.code, created=seconds_z(fault.created), message=message)


def _image(server: Instance, viewer: Viewer) -> ServerImage:
    image = server.image.id
    return {"id": image, "links": [{"rel": "bookmark", "href": viewer.links.bookmark(f"/images/{image}")}]}


def _flavor_links(flavor: Flavor, viewer: Viewer) -> list[Link]:
    return [{"rel": "bookmark", "href": viewer.links.bookmark(f"/flavors/{flavor.id}")}]


Addresses = dict[str, list[_Shown]]
"""The addresses by network."""


def addresses(server: Instance) -> Addresses:
    """The addresses of a server, for ADDRESSES."""
    networks: Addresses = {}
    for nic in server.addresses:
        if nic.address:
            networks.setdefault(nic.network, []).append(_Shown("fixed", nic.address, nic))
        if nic.floating:
            networks.setdefault(nic.network, []).append(_Shown("floating", nic.floating, nic))
    return networks


def _links(server: Instance, viewer: Viewer) -> list[Link]:
    return viewer.links.pair(f"/servers/{server.id}")


def _security_groups(server: Instance, _viewer: Viewer) -> object:
    return [{"name": "default"}] if server.wants_network else OMIT


def _server_groups(server: Instance, _viewer: Viewer) -> list[str]:
    return [] if server.server_group_id is None else [server.server_group_id]


def _host_status(server: Instance, viewer: Viewer) -> str:
    if server.host is None:
        return ""
    host = viewer.hosts.get(server.host)
    if host is None:
        return "UNKNOWN"
    if host.forced_down:
        return "DOWN"
    if not host.up:
        return "UNKNOWN"
    return "MAINTENANCE" if host.disabled else "UP"


ADDRESS = View[_Shown, Any](
    "ServerAddress",
    Member("version", Literal[4], lambda _shown, _: 4),
    Member("addr", str, lambda shown, _: shown.text),
)
FULL_ADDRESS = ADDRESS.but(
    "ServerAddressWithMac",
    Member("OS-EXT-IPS:type", Literal["fixed", "floating"], lambda shown, _: shown.kind),
    Member("OS-EXT-IPS-MAC:mac_addr", str, lambda shown, _: shown.nic.mac),
)
ADDRESSES = MapOf(ListOf(ADDRESS))

FLAVOR_LINK = View[Flavor, Viewer](
    "ServerFlavorLink",
    Member("id", str, lambda flavor, _: flavor.id),
    Member("links", list[Link], _flavor_links),
)
FLAVOR = View[Flavor, Viewer](
    "ServerFlavor",
    Member("vcpus", int, lambda flavor, _: flavor.vcpus),
    Member("ram", int, lambda flavor, _: flavor.memory_mib),
    Member("disk", int, lambda flavor, _: flavor.disk_gib),
    Member("ephemeral", int, lambda flavor, _: flavor.ephemeral_gib),
    Member("swap", int, lambda flavor, _: flavor.swap_mib),
    Member("original_name", str, lambda flavor, _: flavor.name),
    Member("extra_specs", dict[str, str], lambda flavor, _: flavor.extra_specs),
)

M = Member[Instance, Viewer]
_ATTR = "OS-EXT-SRV-ATTR:"

_CORE = (
    M("id", str, lambda server, _: server.id),
    M("name", str, lambda server, _: server.name),
    M("status", str, _status),
    M("tenant_id", str, lambda server, _: server.project_id),
    M("user_id", str, lambda server, _: server.user_id),
    M("metadata", dict[str, str], lambda server, _: server.metadata),
    M("hostId", str, _host_id),
    M("image", ServerImage, _image),
    M("flavor", FLAVOR_LINK, lambda server, _: server.flavor, until=v2(46)),
    M("flavor", FLAVOR, lambda server, _: server.flavor, since=v2(47)),
    M("created", str, lambda server, _: seconds_z(server.created_at)),
    M("updated", str, lambda server, _: seconds_z(server.updated_at)),
    M("links", list[Link], _links),
    M("accessIPv4", str, lambda server, _: server.access_ip_v4 or ""),
    M("accessIPv6", str, lambda server, _: server.access_ip_v6 or ""),
    M("OS-DCF:diskConfig", DiskConfig, lambda server, _: server.disk_config),
    M("progress", int, _progress, optional=True),
    M("fault", ServerFault, _fault, optional=True),
)
_EXTENSIONS = (
    M("key_name", str | None, lambda server, _: server.key_name),
    M("config_drive", Literal["True", ""], lambda server, _: "True" if server.config_drive else ""),
    M("OS-EXT-AZ:availability_zone", str, lambda server, _: server.availability_zone or ""),
    M("OS-EXT-STS:task_state", str | None, lambda server, _: server.task_state),
    M("OS-EXT-STS:vm_state", str, lambda server, _: server.vm_state),
    M("OS-EXT-STS:power_state", int, lambda server, _: api_power(server.power_state)),
    M("OS-SRV-USG:launched_at", str | None, lambda server, _: micros(server.launched_at)),
    M("OS-SRV-USG:terminated_at", str | None, lambda server, _: micros(server.terminated_at)),
    M("os-extended-volumes:volumes_attached", EmptyList, lambda _server, _: []),
    M("security_groups", list[SecurityGroupOfServer], _security_groups, optional=True),
)
"""Members of former extensions of the API."""
_ADMIN = (
    M(_ATTR + "host", str | None, lambda server, _: server.host, admin=True),
    M(_ATTR + "hypervisor_hostname", str | None, lambda server, _: server.node, admin=True),
    M(_ATTR + "instance_name", str, lambda server, _: f"kilonova-{server.id}", admin=True),
    M(_ATTR + "reservation_id", str, lambda server, _: server.reservation_id, since=v2(3), admin=True),
    M(_ATTR + "launch_index", int, lambda server, _: server.launch_index, since=v2(3), admin=True),
    M(_ATTR + "hostname", str, lambda server, _: server.hostname, since=v2(3), admin=True),
    M(_ATTR + "kernel_id", str, lambda _server, _: "", since=v2(3), admin=True),
    M(_ATTR + "ramdisk_id", str, lambda _server, _: "", since=v2(3), admin=True),
    M(
        _ATTR + "root_device_name",
        str,
        lambda server, _: f"/dev/{root_device(server.image.properties)}",
        since=v2(3),
        admin=True,
    ),
    M(_ATTR + "user_data", str | None, lambda server, _: server.user_data, since=v2(3), admin=True),
    M("host_status", str, _host_status, since=v2(16), admin=True),
)
_LATER = (
    M("locked", bool, lambda server, _: server.locked_by is not None, since=v2(9)),
    M("description", str | None, lambda server, _: server.description, since=v2(19)),
    M("tags", list[str], lambda server, _: server.tags, since=v2(26)),
    M("trusted_image_certificates", None, lambda _server, _: None, since=v2(63)),
)
_SERVER_GROUPS = M("server_groups", list[str], _server_groups, since=v2(71))
_LOCKED_REASON = M("locked_reason", str | None, lambda server, _: server.locked_reason, since=v2(73))
_HOSTNAME = M(_ATTR + "hostname", str, lambda server, _: server.hostname, since=v2(90))

BRIEF = View[Instance, Viewer](
    "ServerBrief",
    Member("id", str, lambda server, _: server.id),
    Member("name", str, lambda server, _: server.name),
    Member("links", list[Link], _links),
)
"""An entry of GET /servers."""
DETAIL = View[Instance, Viewer](
    "ServerDetail",
    *_CORE,
    M("addresses", MapOf(ListOf(FULL_ADDRESS)), lambda server, _: addresses(server)),
    *_EXTENSIONS,
    *_ADMIN,
    *_LATER,
    _LOCKED_REASON,
    _HOSTNAME,
)
"""An entry of GET /servers/detail: without the groups, which are only shown for a single server."""
SINGLE = DETAIL.but("Server", _SERVER_GROUPS)
"""The answer of GET /servers/{id}."""
SHORT = View[Instance, Viewer](
    "ServerShort",
    *_CORE,
    M("addresses", ADDRESSES, lambda server, _: addresses(server)),
    *_LATER,
    _SERVER_GROUPS,
    _LOCKED_REASON,
)
"""The answer of PUT and of a rebuild below 2.75: without the former extensions."""

_PASSWORD = M("adminPass", str, lambda _server, viewer: viewer.admin_pass)
_USER_DATA = M("user_data", str | None, lambda server, _: server.user_data, since=v2(57))
_KEY_NAME = M("key_name", str | None, lambda server, _: server.key_name, since=v2(54))
REBUILT_SHORT = SHORT.but("RebuiltServerShort", _KEY_NAME, _USER_DATA, _PASSWORD)
REBUILT = SINGLE.but("RebuiltServer", _USER_DATA, _PASSWORD, without=[_ATTR + "user_data"])


CREATED = View[Instance, Viewer](
    "CreatedServer",
    M("id", str, lambda server, _: server.id),
    M("links", list[Link], _links),
    M("OS-DCF:diskConfig", DiskConfig, lambda server, _: server.disk_config),
    M("security_groups", list[SecurityGroupOfServer], lambda _server, _: [{"name": "default"}]),
    _PASSWORD,
)
"""The answer of POST /servers."""


def _of_2_75(short: View[Instance, Viewer], full: View[Instance, Viewer]) -> View[Instance, Viewer]:
    """`{server}`; 2.75 changed its form."""
    return View(
        "",
        M("server", short, lambda server, _: server, until=v2(74)),
        M("server", full, lambda server, _: server, since=v2(75)),
    )


ONE_SERVER = one("server", SINGLE)
UPDATED_SERVER = _of_2_75(SHORT, SINGLE)
REBUILT_SERVER = _of_2_75(REBUILT_SHORT, REBUILT)
