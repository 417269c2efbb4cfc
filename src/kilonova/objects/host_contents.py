# SPDX-License-Identifier: Apache-2.0
"""What exists on a host: its guests, their files, its networks, its cached images."""

from dataclasses import dataclass

from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState

UNFINISHED = ".unfinished"
"""The end of the name of a file that is being made."""
SNAPSHOT = "snapshot-"
"""The beginning of the name of a copy that exists only while an image is made of it."""


@dataclass(frozen=True, slots=True)
class GuestContents:
    """What a host has of one guest.  `power` is None without a domain, `files` (the names in its directory) None
    without a directory.  `has_record`: the backing files of its disks are recorded.  `disk` says why its root disk
    cannot be used; empty when it can, or was not checked.  `unread` says why it was not checked."""

    instance_id: InstanceId
    power: PowerState | None = None
    files: tuple[str, ...] | None = None
    has_record: bool = False
    disk: str = ""
    unread: str = ""

    @property
    def left_over(self) -> tuple[str, ...]:
        """The files that exist only during an operation."""
        return tuple(one for one in self.files or () if one.endswith(UNFINISHED) or one.startswith(SNAPSHOT))


@dataclass(frozen=True, slots=True)
class Reserved:
    """An address that a network of the host reserves for a MAC."""

    mac: str
    address: str


@dataclass(frozen=True, slots=True)
class NetworkContents:
    """The names of a host's networks, and a sentence for each network that cannot serve guests.  `reserving` is the
    network that reserves addresses, with what it has `reserved`; empty where there is none (a bridge and the user-mode
    network reserve nothing)."""

    names: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    reserving: str = ""
    reserved: tuple[Reserved, ...] = ()


@dataclass(frozen=True, slots=True)
class CacheContents:
    """Names of files of the image cache: those that are missing although disks are based on them, and those whose fetch
    has ended without them."""

    missing: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
