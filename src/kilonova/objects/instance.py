# SPDX-License-Identifier: Apache-2.0
"""An instance: what the API calls a server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import HostName, InstanceId, ServerGroupId
from kilonova.objects.image import ImageRef
from kilonova.objects.states import PowerState, TaskState, VmState


@dataclass(frozen=True, slots=True)
class Address:
    """A fixed address on a network.  `address` and `gateway` are IPv4 text (no gateway: empty), `prefix` the length of
    the mask.

    `dhcp` False: the guest is told the address by its config drive.  `floating` is an address outside of the network
    by which the guest is reached; empty where there is none.
    """

    network: str
    address: str
    mac: str
    prefix: int
    gateway: str
    dns: tuple[str, ...] = ()
    mtu: int = 1500
    dhcp: bool = True
    floating: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an instance is in ERROR; `message` is for its owner and holds no secret."""

    code: int
    message: str
    created: datetime


ROOT_TAG = "root"
"""Under this name an instance keeps the tag of its root disk."""


def nic_tag(network: str) -> str:
    """Under this name it keeps the tag of its NIC on a network."""
    return f"nic:{network}"


@dataclass(frozen=True, slots=True)
class InjectedFile:
    """A file for the guest: where it belongs there, and its contents in base64 as they came."""

    path: str
    contents: str


@dataclass(frozen=True, slots=True)
class Instance:
    """The whole record.  Everything that a step derives, it derives from here.

    `device_tags` has what devices were called at the create, by ROOT_TAG and `nic_tag`.
    `availability_zone` is the zone of the host, `requested_zone` the one that was asked for, which places it again.
    `addresses` are allocated with the host; `wants_network` says whether it should have any.  `key_data` is the public
    key as text, `user_data` base64 as it came, `files` what the guest finds besides in its config drive.
    `locked_by` is "owner" or "admin" (whose word
    unlocks it), or None.  `old_flavor` is there while a resize waits for its confirmation, `new_flavor` while one is
    under way too; `old_vm_state` is what a resize, rescue or shelving goes back to.  `rescue_image` is what it boots
    while it is rescued, `shelved_image` what its disk is made of when it comes off the shelf.
    """

    id: InstanceId
    project_id: str
    user_id: str
    name: str
    hostname: str
    flavor: Flavor
    image: ImageRef
    created_at: datetime
    updated_at: datetime
    vm_state: VmState = VmState.BUILDING
    task_state: TaskState | None = TaskState.SCHEDULING
    power_state: PowerState = PowerState.NOSTATE
    desired_power: PowerState = PowerState.RUNNING
    host: HostName | None = None
    node: str | None = None
    availability_zone: str | None = None
    requested_zone: str | None = None
    wants_network: bool = True
    addresses: tuple[Address, ...] = ()
    config_drive: bool = False
    key_name: str | None = None
    key_data: str | None = None
    user_data: str | None = None
    files: tuple[InjectedFile, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: tuple[str, ...] = ()
    description: str | None = None
    reservation_id: str = ""
    launch_index: int = 0
    launched_at: datetime | None = None
    terminated_at: datetime | None = None
    locked_by: str | None = None
    locked_reason: str | None = None
    fault: Fault | None = None
    disk_config: str = "MANUAL"
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    server_group_id: ServerGroupId | None = None
    old_flavor: Flavor | None = None
    new_flavor: Flavor | None = None
    old_vm_state: VmState | None = None
    rescue_image: ImageRef | None = None
    shelved_image: ImageRef | None = None
    device_tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def is_offloaded(self) -> bool:
        """Whether it is shelved and on no host, whatever state an administrator has given it since."""
        return self.host is None and self.shelved_image is not None
