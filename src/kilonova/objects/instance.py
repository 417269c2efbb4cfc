# SPDX-License-Identifier: Apache-2.0
"""An instance: the record of a server."""

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

    `dhcp` False: the guest reads the address from its config drive.  `floating` is an address outside of the network
    that leads to the guest; empty when there is none.
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
    """The reason why an instance is in ERROR; `message` is for its owner and contains no secret."""

    code: int
    message: str
    created: datetime


ROOT_TAG = "root"
"""The name of the root disk in `device_tags`."""


def nic_tag(network: str) -> str:
    """The name of the NIC on a network in `device_tags`."""
    return f"nic:{network}"


@dataclass(frozen=True, slots=True)
class InjectedFile:
    """A file for the guest: its path in the guest, and its contents in base64 as received."""

    path: str
    contents: str


@dataclass(frozen=True, slots=True)
class Instance:
    """The whole record.  Every step derives its values from this record only.

    `device_tags` has the device tags of the create, by ROOT_TAG and `nic_tag`.  `availability_zone` is the zone of the
    host; `requested_zone` is the requested zone, which binds later placements.  `addresses` are allocated with the
    host; `wants_network` is whether the instance should have any.  `key_data` is the public key as text, `user_data`
    base64 as received, `files` the additional files in the guest's config drive.  `locked_by` is "owner" or "admin",
    and decides who may unlock the instance; None: it is not locked.  `old_flavor` is set while a resize waits for its
    confirmation, `new_flavor` also while a resize is running; `old_vm_state` is the state to which a resize, rescue or
    shelving returns.  `rescue_image` is the image that a rescued instance boots, `shelved_image` the image of its disk
    for an unshelve.
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
    def has_interrupted_resize(self) -> bool:
        """Whether a resize, its confirmation or its reversion began, and an operator or a cancel has put the server
        into ERROR before the host ended it."""
        return self.vm_state is VmState.ERROR and self.old_flavor is not None

    @property
    def is_offloaded(self) -> bool:
        """Whether it is shelved and on no host, also when an administrator has reset its state since."""
        return self.host is None and self.shelved_image is not None
