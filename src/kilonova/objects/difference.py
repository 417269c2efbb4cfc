# SPDX-License-Identifier: Apache-2.0
"""Differences between the database and what exists: the kinds that `kilonova verify` finds, and their repairs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kilonova.base.open_enum import OpenStrEnum
from kilonova.objects.ids import HostName


class Part(OpenStrEnum):
    """What one look compares: the tables of the database with each other, the database with one host, or the database
    with the files of the image store."""

    DATABASE = "database"
    HOST = "host"
    IMAGES = "images"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of difference.  `code` never changes.  `repair` says what a repair does; empty: there is none.
    `by_hand` says what an operator does; empty: the repair is enough.  `orphan`: the repair deletes, so the difference
    must have been found in an earlier look, too."""

    code: str
    part: Part
    title: str
    repair: str = ""
    by_hand: str = ""
    orphan: bool = False


_RESTORE = "Restore the file under its name from a backup, or rebuild the server (its data is lost then)."
_UNKNOWN = "A restored database may not contain the server, or another cloud owns it. Remove it only if neither is so"
_DB, _HOST, _IMAGES = Part.DATABASE, Part.HOST, Part.IMAGES

_KINDS = (
    Kind("quota-usage", _DB, "The usage of a project is not the sum of its servers", "record the sum"),
    Kind("claim", _DB, "The claims on a host are not the sum of its servers", "record the sum"),
    Kind("address-kept", _DB, "An address is reserved for a server that does not have it", "release the address"),
    Kind("address-missing", _DB, "The address of a server is not reserved", "reserve the address"),
    Kind("address-double", _DB, "Two servers have one address", by_hand="Delete one of the servers."),
    Kind(
        "task-kept",
        _DB,
        "A server shows a task, and no action works on it",
        by_hand="Reset its state (openstack server set --state), then repeat the request.",
    ),
    Kind(
        "host-unknown",
        _DB,
        "A server is on a host that is not registered",
        by_hand="Start kilonova-compute on that host. If the host is lost, delete the server.",
    ),
    Kind(
        "guest-missing",
        _HOST,
        "The hypervisor does not have the guest of a server",
        "reboot a server that should run: its guest is defined and started again",
        by_hand="Start the server (openstack server start), or reboot it (openstack server reboot --hard).",
    ),
    Kind("guest-power", _HOST, "The recorded power state is not the guest's", "record what the hypervisor reports"),
    Kind("guest-deleted", _HOST, "The guest of a deleted server exists", "run the steps of its delete", orphan=True),
    Kind(
        "guest-elsewhere",
        _HOST,
        "A guest exists here, and its server is on another host",
        by_hand="Compare both guests. Remove the one here (virsh undefine) when the other one is right.",
    ),
    Kind(
        "guest-unknown",
        _HOST,
        "A guest has our metadata, and the database does not have its server",
        by_hand=f"{_UNKNOWN}: virsh undefine --managed-save (destroy it first if it runs).",
    ),
    Kind("files-deleted", _HOST, "The files of a deleted server exist", "run the steps of its delete", orphan=True),
    Kind(
        "files-elsewhere",
        _HOST,
        "Files of a server exist here, and the server is on another host, or on none",
        by_hand="Check that the server works on its host, then remove the directory.",
    ),
    Kind(
        "files-unknown",
        _HOST,
        "A guest directory exists, and the database does not have its server",
        by_hand=f"{_UNKNOWN}: rm -r the directory.",
    ),
    Kind("disk-missing", _HOST, "The root disk of a server is missing", by_hand=_RESTORE),
    Kind("disk-unusable", _HOST, "The root disk of a server cannot be used", by_hand=_RESTORE),
    Kind(
        "config-drive-missing",
        _HOST,
        "The config drive of a server is missing",
        by_hand="Shelve and unshelve the server: that makes a new one. Without it the guest does not start.",
    ),
    Kind(
        "base-missing",
        _HOST,
        "A cached image is missing, and disks are based on it",
        "fetch the image again",
        by_hand="If the image was deleted, restore the file under its name from a backup or another host.",
    ),
    Kind(
        "base-damaged",
        _HOST,
        "A cached image does not have its checksum",
        "fetch the image again",
        by_hand="If the image was deleted, restore the file from another host. Unused files may be removed.",
    ),
    Kind("file-unfinished", _HOST, "An unfinished file of a guest was left", "remove the file", orphan=True),
    Kind(
        "file-kept",
        _HOST,
        "A disk is kept that no resize or rescue needs",
        by_hand="Remove the file after a look at it.",
    ),
    Kind("cache-unfinished", _HOST, "An unfinished image was left in the cache", "remove the file", orphan=True),
    Kind("record-kept", _HOST, "A record of backing files exists without a guest", "remove the record", orphan=True),
    Kind(
        "network-missing",
        _HOST,
        "A network of the host does not exist or does not run",
        "define and start the host's own network",
        by_hand="Make the bridge, or correct the configuration of the host.",
    ),
    Kind(
        "reservation-kept",
        _HOST,
        "The network reserves an address for a MAC that no server has",
        by_hand="virsh net-update NETWORK delete ip-dhcp-host with this MAC.",
    ),
    Kind(
        "reservation-missing",
        _HOST,
        "The network does not reserve the address of a server",
        "reserve the address",
    ),
    Kind(
        "image-missing",
        _IMAGES,
        "The file of an active image is missing",
        by_hand="Restore the file from a backup, or delete the image and upload it again.",
    ),
    Kind(
        "image-size",
        _IMAGES,
        "The file of an image has another size",
        by_hand="Restore the file from a backup, or delete the image and upload it again.",
    ),
    Kind(
        "image-damaged",
        _IMAGES,
        "The file of an image does not have its checksum",
        by_hand="Restore the file from a backup, or delete the image and upload it again.",
    ),
    Kind("image-unknown", _IMAGES, "A file of the image store has no image", "remove the file", orphan=True),
    Kind("upload-unfinished", _IMAGES, "The file of an upload that ended was left", "remove the file", orphan=True),
    Kind(
        "image-without-copy",
        _IMAGES,
        "No image store has a copy of an active image",
        by_hand="Start the API process whose store has the file, or upload the image again.",
    ),
)
KINDS: Mapping[str, Kind] = {kind.code: kind for kind in _KINDS}
"""All kinds by their codes."""

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference.  `subject` is the id or the name of what differs, `found` one sentence.  `repair` is what a
    repair does with this difference (empty: nothing), and `outcome` what a repair did (empty: none was requested)."""

    code: str
    subject: str
    found: str
    host: HostName | None = None
    repair: str = ""
    outcome: str = ""

    @property
    def key(self) -> Key:
        """Two looks that find the same difference give it the same key."""
        return self.code, self.host or "", self.subject


def difference(
    code: str, subject: str, found: str, host: HostName | None = None, *, repaired: bool = True
) -> Difference:
    """A difference with the repair of its kind; without `repaired`, this one has none."""
    return Difference(code, subject, found, host, KINDS[code].repair if repaired else "")


def in_both(first: Iterable[Difference], second: Iterable[Difference]) -> tuple[Difference, ...]:
    """The differences of the second look that the first look had found, too."""
    known = {one.key for one in first}
    return tuple(one for one in second if one.key in known)
