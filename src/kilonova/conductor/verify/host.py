# SPDX-License-Identifier: Apache-2.0
"""One host compared with the database.  Pure: the records, and what the host has listed, in; differences out.

Servers with an open action are left out: the action decides.  What else may be in progress at one moment is not in
progress at the next: `kilonova.conductor.verify.service` looks twice.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kilonova.db.readers.holdings import HostRecords
from kilonova.objects.difference import Difference, difference
from kilonova.objects.host_contents import GuestContents
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.image import ImageRef
from kilonova.objects.instance import Instance
from kilonova.objects.states import PowerState, VmState
from kilonova.rpcapi.to_host_verify import HostContents

WITH_GUEST = frozenset(VmState) - {VmState.BUILDING, VmState.ERROR, VmState.SHELVED_OFFLOADED, VmState.DELETED}
"""The states in which a server has a domain and a disk on its host."""
DISK, CONFIG_DRIVE, RESCUE, KEPT = "disk", "disk.config", "disk.rescue", ".kept"


LISTED_MOST = 3


@dataclass(frozen=True, slots=True)
class Look:
    """What is recorded of a host, and what it has.  `damaged`: names of cached images without their checksum."""

    host: HostName
    records: HostRecords
    contents: HostContents
    damaged: tuple[str, ...] = ()

    @property
    def guests(self) -> Mapping[InstanceId, GuestContents]:
        return {one.instance_id: one for one in self.contents.guests}

    def is_idle(self, instance_id: InstanceId) -> bool:
        """Whether nothing works on the guest, by the records and by the host."""
        return instance_id not in self.records.busy and instance_id not in self.contents.busy


Check = Callable[[Look], Iterator[Difference]]


def differences(look: Look) -> tuple[Difference, ...]:
    """All differences, in the order of CHECKS."""
    return tuple(found for check in CHECKS for found in check(look))


def _missing_guests(look: Look) -> Iterator[Difference]:
    guests = look.guests
    for server in _idle_servers(look):
        guest = guests.get(server.id)
        if guest is None or guest.power is None:
            found = f"Server {server.id} ({server.vm_state}) has no domain on host {look.host}."
            yield difference("guest-missing", server.id, found, look.host, repaired=is_to_be_rebooted(server, guest))


def is_to_be_rebooted(server: Instance, guest: GuestContents | None) -> bool:
    """Whether a missing guest can be made again by a reboot: it should run, and its disk exists."""
    has_disk = guest is not None and DISK in (guest.files or ())
    return has_disk and server.vm_state is VmState.ACTIVE and server.desired_power is PowerState.RUNNING


def _idle_servers(look: Look) -> Iterator[Instance]:
    for server in sorted(look.records.servers.values(), key=lambda one: one.id):
        if look.is_idle(server.id) and server.vm_state in WITH_GUEST:
            yield server


def _powers(look: Look) -> Iterator[Difference]:
    guests = look.guests
    for instance_id in look.contents.drifted:
        server, guest = look.records.servers.get(instance_id), guests.get(instance_id)
        if server is not None and guest is not None and guest.power is not None and look.is_idle(instance_id):
            was, now = server.power_state.name.lower(), guest.power.name.lower()
            if was != now:
                found = f"Guest {instance_id} is {now}, and {was} is recorded."
                yield difference("guest-power", instance_id, found, look.host)


_CLASSES = {
    "deleted": "was deleted",
    "elsewhere": "is on another host, or on none",
    "unknown": "is not in the database",
}


def _orphans(look: Look) -> Iterator[Difference]:
    contents, guests = look.contents, look.guests
    classes = {"deleted": contents.deleted, "elsewhere": contents.elsewhere, "unknown": contents.unknown}
    for name, ids in classes.items():
        for instance_id in ids:
            guest = guests.get(instance_id)
            if guest is None or not look.is_idle(instance_id):
                continue
            if guest.power is None and guest.files is None:
                continue  # a record alone: see _left_over
            what, kind = ("a domain", "guest") if guest.power is not None else ("files", "files")
            found = f"Host {look.host} has {what} of server {instance_id}, which {_CLASSES[name]}."
            yield difference(f"{kind}-{name}", instance_id, found, look.host)


def _disks(look: Look) -> Iterator[Difference]:
    guests, missing = look.guests, look.contents.cache.missing
    for server in _idle_servers(look):
        guest = guests.get(server.id, GuestContents(server.id))
        files = guest.files or ()
        if DISK not in files:
            yield difference("disk-missing", server.id, f"The root disk of server {server.id} is missing.", look.host)
        elif guest.disk and not any(name in guest.disk for name in missing):
            found = f"The disk of server {server.id} cannot be used: {guest.disk}"
            yield difference("disk-unusable", server.id, found, look.host)
        if CONFIG_DRIVE not in files and guest.power is not None:
            found = f"The config drive of server {server.id} is missing."
            yield difference("config-drive-missing", server.id, found, look.host)


def _bases(look: Look) -> Iterator[Difference]:
    images = images_of(look.records)
    users: dict[str, list[str]] = defaultdict(list)
    for server in look.records.servers.values():
        for image in _images(server):
            users[image.cache_name].append(server.id)
    for code, names, what in (
        ("base-missing", look.contents.cache.missing, "is missing"),
        ("base-damaged", look.damaged, "does not have its checksum"),
    ):
        for name in names:
            servers = f" Servers made from it: {listed(users[name])}." if users[name] else ""
            found = f"The cached image {name} of host {look.host} {what}.{servers}"
            yield difference(code, name, found, look.host, repaired=name in images)


def listed(ids: Sequence[str]) -> str:
    """The first few ids, and the number of others."""
    more = len(ids) - LISTED_MOST
    return ", ".join(sorted(ids)[:LISTED_MOST]) + (f" and {more} more" if more > 0 else "")


def images_of(records: HostRecords) -> Mapping[str, ImageRef]:
    """The images of the host's servers, by their names in its cache."""
    return {image.cache_name: image for server in records.servers.values() for image in _images(server)}


def _images(server: Instance) -> tuple[ImageRef, ...]:
    return (server.image,) if server.rescue_image is None else (server.image, server.rescue_image)


def _left_over(look: Look) -> Iterator[Difference]:
    for guest in look.contents.guests:
        id_, server = guest.instance_id, look.records.servers.get(guest.instance_id)
        if server is not None and look.is_idle(id_):
            for name in guest.left_over:
                found = f"File {name} of server {id_} is unfinished, and no action works on the server."
                yield difference("file-unfinished", f"{id_}/{name}", found, look.host)
            for name in _not_needed(server, guest):
                found = f"File {name} of server {id_} is not needed: the server is {server.vm_state}."
                yield difference("file-kept", f"{id_}/{name}", found, look.host)
        if guest.has_record and guest.files is None and guest.power is None and server is None and look.is_idle(id_):
            found = f"The backing files of guest {id_} are recorded, and host {look.host} has nothing of the guest."
            yield difference("record-kept", id_, found, look.host)
    for name in look.contents.cache.unfinished:
        found = f"File {name} in the image cache of host {look.host} is unfinished, and nothing writes it."
        yield difference("cache-unfinished", name, found, look.host)


def _not_needed(server: Instance, guest: GuestContents) -> Iterator[str]:
    for name in guest.files or ():
        is_kept = KEPT in name and name not in guest.left_over and server.old_flavor is None
        if is_kept or (name == RESCUE and server.rescue_image is None):
            yield name


def _networks(look: Look) -> Iterator[Difference]:
    networks = look.contents.networks
    for trouble in networks.troubles:
        yield difference("network-missing", trouble, trouble, look.host, repaired=trouble.startswith("The libvirt"))
    wanted = {address.network for server in _idle_servers(look) for address in server.addresses}
    for name in sorted(wanted - set(networks.names)):
        if not networks.troubles:
            found = f"Host {look.host} does not have the network {name} of its servers."
            yield difference("network-missing", name, found, look.host, repaired=False)
    if networks.reserving:
        yield from _reservations(look, networks.reserving)


def _reservations(look: Look, network: str) -> Iterator[Difference]:
    reserved, guests = look.contents.networks.reserved, look.guests
    macs = {address.mac for server in look.records.servers.values() for address in server.addresses}
    for one in reserved:
        if one.mac not in macs:
            found = f"Network {network} of host {look.host} reserves {one.address} for {one.mac}, which no server has."
            yield difference("reservation-kept", one.mac, found, look.host)
    known = {(one.mac, one.address) for one in reserved}
    for server in _idle_servers(look):
        guest = guests.get(server.id)
        for address in server.addresses if guest is not None and guest.power is not None else ():
            if address.network == network and (address.mac, address.address) not in known:
                found = f"Network {network} of host {look.host} does not reserve {address.address} of {server.id}."
                yield difference("reservation-missing", server.id, found, look.host)


CHECKS: tuple[Check, ...] = (_missing_guests, _powers, _orphans, _disks, _bases, _left_over, _networks)
