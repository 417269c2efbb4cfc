# SPDX-License-Identifier: Apache-2.0
"""The record of an image; its bytes are in the byte store (kilonova.images)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kilonova.base.open_enum import OpenStrEnum
from kilonova.objects.ids import ImageId


class ImageStatus(OpenStrEnum):
    """The states of an image."""

    QUEUED = "queued"
    SAVING = "saving"
    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    """Complete, and hidden from everybody except administrators."""
    DELETED = "deleted"


class MemberStatus(OpenStrEnum):
    """The answer of a project to the offer of a shared image.  The project may use the image with any status; the
    status decides whether its lists show the image."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ImageMember:
    """A project with which an image is shared."""

    image_id: ImageId
    project_id: str
    status: MemberStatus
    created_at: datetime
    updated_at: datetime


WITH_BYTES = frozenset({ImageStatus.ACTIVE, ImageStatus.DEACTIVATED})

DISK_FORMATS = frozenset({"qcow2", "raw"})
"""Formats of which a disk may be made.  Declared by the user, inspected, never guessed."""


@dataclass(frozen=True, slots=True)
class Image:
    """`visibility`: public, community, shared (with its members) or private.  Sizes in bytes; `os_hash_value` is the
    SHA-512 of the stored bytes in hex, `checksum` their MD5 (the Image API's field, not a safeguard).  `reserved`: the
    part of the owner's quota that a running upload may still need.  `uploader`: the API process that receives the
    upload (see objects.image_store.StoreAddress); empty in the one box."""

    id: ImageId
    name: str | None
    status: ImageStatus
    owner: str
    visibility: str
    disk_format: str | None
    container_format: str | None
    created_at: datetime
    updated_at: datetime
    size: int | None = None
    virtual_size: int | None = None
    checksum: str | None = None
    os_hash_value: str | None = None
    min_disk: int = 0
    min_ram: int = 0
    protected: bool = False
    os_hidden: bool = False
    reserved: int = 0
    uploader: str = ""
    tags: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class ImageRef:
    """The facts with which a host downloads and verifies an image, and the image's requirements of servers.

    It is stored with the instance: neither an edit nor the deletion of the image's record changes the server.
    """

    id: ImageId
    disk_format: str
    size: int
    virtual_size: int
    sha512: str
    min_ram: int = 0
    min_disk: int = 0
    properties: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)

    @property
    def cache_name(self) -> str:
        """The name of its file in the image cache of a host."""
        return f"{self.sha512[:40]}.{self.disk_format}"

    @property
    def virtual_gib(self) -> int:
        """The virtual size in GiB, rounded up."""
        return -(-self.virtual_size >> 30)


@dataclass(frozen=True, slots=True)
class SavedImage:
    """The bytes of an image as a store keeps them.  Sizes in bytes, hashes in hex.  `stores` have a copy; none in the
    one box.  With `receipt`, a store confirms all of it (see kilonova.images.signing)."""

    size: int
    virtual_size: int
    md5: str
    sha512: str
    stores: tuple[str, ...] = ()
    receipt: str = field(default="", repr=False)
