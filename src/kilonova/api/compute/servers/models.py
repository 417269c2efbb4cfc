# SPDX-License-Identifier: Apache-2.0
"""Bodies of POST and PUT /servers.

Source: Compute API reference, "Servers", Create Server and Update Server.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints, WithJsonSchema

from kilonova.api.compute.fields import (
    AdminPassText,
    Boolean,
    BooleanOrNothing,
    Description,
    DiskConfig,
    HostnameText,
    HostText,
    IdText,
    IPv4Text,
    IPv6Text,
    Metadata,
    Name,
    Positive,
    Tag,
    Whole,
)
from kilonova.api.compute.servers.personality import PersonalityFile
from kilonova.api.http.body import Body
from kilonova.api.http.microversion import v2

USER_DATA_CHARACTERS = 65535
"""The largest number of characters of base64 text."""

_NETWORKS: Mapping[str, Any] = {
    "description": "required from 2.37 on, when the two words came",
    "examples": ["auto"],
    "anyOf": [
        {"type": "string", "enum": ["auto", "none"]},
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "uuid": {"type": "string", "format": "uuid"},
                    "fixed_ip": {"type": "string", "format": "ipv4"},
                    "tag": {"type": "string", "pattern": "^[^,/]{1,60}$", "description": "2.32 to 2.36, and from 2.42"},
                },
                "required": ["uuid"],
                "additionalProperties": False,
            },
        },
    ],
}


class SecurityGroupName(Body):
    name: Annotated[str, StringConstraints(max_length=255)]


class BlockDevice(Body):
    """One entry of block_device_mapping_v2; the handler refuses unsupported ones."""

    since: ClassVar = {"tag": v2(32), "volume_type": v2(67)}

    uuid: str | None = None
    source_type: str | None = None
    destination_type: str | None = None
    boot_index: Whole | None = None
    delete_on_termination: Boolean = False
    volume_size: Whole | None = None
    device_name: str | None = None
    guest_format: str | None = None
    no_device: Any = None
    disk_bus: str | None = None
    device_type: str | None = None
    tag: Tag | None = None
    volume_type: str | None = None


class NewServer(Body):
    """A new server."""

    since: ClassVar = {
        "description": v2(19),
        "tags": v2(52),
        "certificates": v2(63),
        "host": v2(74),
        "node": v2(74),
        "hostname": v2(90),
    }
    until: ClassVar = {"personality": v2(56)}

    name: Name
    flavor: IdText = Field(alias="flavorRef")
    image: str = Field(default="", alias="imageRef", max_length=255)
    networks: Annotated[Any, WithJsonSchema(_NETWORKS)] = None
    block_devices: list[BlockDevice] = Field(default=[], alias="block_device_mapping_v2", max_length=255)
    key_name: Annotated[str, StringConstraints(max_length=255)] | None = None
    user_data: Annotated[str, StringConstraints(max_length=USER_DATA_CHARACTERS)] | None = None
    personality: list[PersonalityFile] = Field(default=[])
    metadata: Metadata = Field(default={})
    config_drive: BooleanOrNothing = False
    availability_zone: Annotated[str, StringConstraints(max_length=255)] | None = None
    security_groups: list[SecurityGroupName] = Field(default=[])
    min_count: Positive = 1
    max_count: Positive | None = None
    return_reservation_id: Boolean = False
    admin_pass: AdminPassText | None = Field(default=None, alias="adminPass")
    disk_config: DiskConfig = Field(default="MANUAL", alias="OS-DCF:diskConfig")
    access_ip_v4: IPv4Text | None = Field(default=None, alias="accessIPv4")
    access_ip_v6: IPv6Text | None = Field(default=None, alias="accessIPv6")
    description: Description | None = None
    tags: list[Tag] = Field(default=[], max_length=50)
    certificates: None = Field(default=None, alias="trusted_image_certificates")
    host: HostText | None = None
    node: HostText | None = Field(default=None, alias="hypervisor_hostname")
    hostname: HostnameText | None = None


class CreateServer(Body):
    """The scheduler hints are beside the server, under one of two names."""

    server: NewServer
    hints: dict[str, Any] = Field(default={}, alias="os:scheduler_hints")
    old_hints: dict[str, Any] = Field(default={}, alias="OS-SCH-HNT:scheduler_hints")


class ServerChanges(Body):
    """Only the given members are changed."""

    since: ClassVar = {"description": v2(19), "hostname": v2(90)}

    name: Name | None = None
    description: Description | None = None
    disk_config: DiskConfig | None = Field(default=None, alias="OS-DCF:diskConfig")
    access_ip_v4: IPv4Text | None = Field(default=None, alias="accessIPv4")
    access_ip_v6: IPv6Text | None = Field(default=None, alias="accessIPv6")
    hostname: HostnameText | None = None


class UpdateServer(Body):
    server: ServerChanges
