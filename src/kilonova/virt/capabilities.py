# SPDX-License-Identifier: Apache-2.0
"""The abilities that only some hypervisors have: each capability is a Protocol, and an object on the driver that has
it.

As in kilonova.virt.driver, all methods are idempotent, and all may raise HypervisorUnavailable (the outcome is unknown)
or HypervisorError (it did not happen).
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from kilonova.base.errors import NotSupported
from kilonova.objects.console import ConsoleStream
from kilonova.objects.diagnostics import GuestDiagnostics
from kilonova.objects.host_contents import GuestContents, NetworkContents
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.virt.base_image import BaseImage


class GuestMemory(Protocol):
    """Guests' memory on the host's disk.

    Reads of such a guest report SUSPENDED with the reason SAVED, also after a boot of the host, until the guest is
    resumed or started, or powered off, which drops the memory.
    """

    async def suspend(self, instance_id: InstanceId) -> None:
        """The guest is off and its memory is saved; a saved guest stays saved.  Lasts as long as writing does.
        HypervisorError when the guest does not run, and when its memory could not be written: the guest then runs
        on."""
        ...

    async def resume(self, instance_id: InstanceId) -> None:
        """The guest continues where it was, with the start token of its last start; a running guest is left running.
        HypervisorError when no memory of it is saved."""
        ...


class RescueDisks(Protocol):
    """Guests that boot from another disk, with their own beside it: `define` attaches both where the instance has a
    `rescue_image`."""

    async def make_disk(self, instance: Instance, base: BaseImage) -> None:
        """A fresh overlay of the base's size lies beside the root disk, which must exist.  No guest may use an earlier
        rescue disk."""
        ...

    async def remove_disk(self, instance_id: InstanceId) -> None:
        """The rescue disk does not exist.  No guest may use it."""
        ...


class DiskReplacement(Protocol):
    """Another root disk for a guest that exists."""

    async def replace_root_disk(self, instance: Instance, base: BaseImage) -> None:
        """The root disk is a fresh overlay on `base`, as `ensure_disks` makes it.  At each moment the old disk or the
        new one exists, complete.  The guest must be off."""
        ...


class DiskChecks(Protocol):
    """Guests' disks are files that may be missing, or moved by other tools."""

    async def check(self, instance: Instance) -> None:
        """The guest could be started again from its disks: each file that they lie on exists, can be read, and refers
        to what it was made on.  Changes nothing; the guest may run.  Raises DiskMoved, DiskUnusable."""
        ...

    async def require_own_root(self, instance_id: InstanceId) -> None:
        """The guest's root disk is the file that this service made, and lies where it was made.  Raises DiskMoved."""
        ...


class BaseImageUse(Protocol):
    """Guests' disks have bases in the host's image cache."""

    async def bases_in_use(self) -> frozenset[str]:
        """Paths of all files that a disk on this host may lie on, and possibly more.  Nothing uses a file that is not
        among them.  Raises HypervisorUnavailable, HypervisorError when that cannot be known."""
        ...


class HostContents(Protocol):
    """What exists on the host, in guests that the database may not have, too."""

    async def guests(self) -> Mapping[InstanceId, GuestContents]:
        """All guests that have a domain of this service, a directory, or a record of backing files.  Their disks are
        not checked."""
        ...

    async def disk_trouble(self, instance_id: InstanceId) -> str:
        """Why the root disk of a guest with a domain cannot be used, in one sentence; empty when it can, or when other
        tools have moved it.  Changes nothing."""
        ...

    async def networks(self) -> NetworkContents:
        """The host's networks as they are now.  Changes nothing."""
        ...

    async def remove_left_over(self, instance_id: InstanceId, name: str) -> None:
        """A file of that name, which exists only during an operation (`GuestContents.left_over`), does not exist.  No
        operation may work on the guest."""
        ...

    async def forget_record(self, instance_id: InstanceId) -> None:
        """The backing files of a guest without files are not recorded."""
        ...

    async def mend_networks(self) -> None:
        """The network that this service makes is defined and runs."""
        ...


class LocalDisks(Protocol):
    """Swap and ephemeral disks: `ensure_disks` makes those that are missing, `replace_root_disk` makes all of them
    again, `define` attaches them (not while the guest is rescued), `remove_disks` and `drop_kept_disk` remove them and
    their copies.

    A guest with disks to be changed must be off (HypervisorError).
    """

    async def keep(self, instance_id: InstanceId, tag: str) -> None:
        """A copy of the ephemeral disk, if there is one, is kept under `tag`; copies under other tags are removed.
        Must be called before `keep_disk`: once the root disk is kept under that tag, nothing happens, since the disk
        may already be the next flavor's.  Swap holds nothing that a guest which is off needs."""
        ...

    async def fit(self, instance: Instance) -> None:
        """The disks are as the instance's flavor says: an ephemeral disk has grown and keeps its contents, swap of
        another size is made again, and what the flavor does not have is removed."""
        ...

    async def restore(self, instance: Instance, tag: str) -> None:
        """The copy under `tag` is in place again, and the other disks are as the instance's flavor says."""
        ...


class Resizing(Protocol):
    """A larger root disk, and the way back.  A guest with a disk to be changed must be off (HypervisorError), but for
    `drop_kept_disk`."""

    async def keep_disk(self, instance_id: InstanceId, tag: str) -> None:
        """A copy of the root disk as it is now is kept under `tag`.  An existing copy stays as it is; copies under
        other tags are removed.  HypervisorError when there is not enough space for it."""
        ...

    async def grow_disk(self, instance_id: InstanceId, disk_gib: int) -> None:
        """The root disk is at least that large; it is never made smaller."""
        ...

    async def restore_disk(self, instance_id: InstanceId, tag: str) -> None:
        """The copy under `tag` is the root disk again, exactly.  Nothing happens when no such copy exists: it was
        put back already, or was never complete."""
        ...

    async def drop_kept_disk(self, instance_id: InstanceId) -> None:
        """No copy is kept; the root disk stays as it is, and may be in use."""
        ...


class DiskSnapshots(Protocol):
    """Copies of guests' root disks, in any state of the guest."""

    async def take(self, instance_id: InstanceId, name: str, limit_s: float) -> None:
        """The root disk as it was at one moment is kept beside the guest under `name`: a qcow2 that needs no other
        file.  A running guest continues, and its file systems are frozen for that moment if its agent answers.  A
        complete copy stays as it is; an incomplete copy is made again.

        Raises HypervisorError when the copy does not end within `limit_s` seconds, or there is not enough space.
        """
        ...

    def read(self, instance_id: InstanceId, name: str) -> AsyncIterator[bytes]:
        """The bytes of a kept snapshot.  Raises HypervisorError."""
        ...

    async def remove(self, instance_id: InstanceId, name: str) -> None:
        """No part of the snapshot exists, and nothing continues to make it."""
        ...


class Diagnostics(Protocol):
    """All measurements of one guest."""

    async def read(self, instance_id: InstanceId) -> GuestDiagnostics:
        """One read, which may need an answer of the guest's own process.  InvalidState when the guest does not run, or
        does not respond."""
        ...


@dataclass(frozen=True, slots=True)
class GuestFigures:
    """The usage of a guest: bytes, and seconds of CPU time, since its start; `disk_bytes` is the space that
    its root disk occupies on the host."""

    cpu_seconds: float
    memory_bytes: int
    disk_bytes: int
    received_bytes: int
    sent_bytes: int


class GuestStatistics(Protocol):
    """Figures of all guests at once."""

    async def guest_figures(self) -> Mapping[InstanceId, GuestFigures]:
        """The figures of running guests. No guest's own process must answer: a frozen guest delays nothing."""
        ...


class GuestLivenessProbe(Protocol):
    """Whether a guest answers, although its hypervisor reports it as running.  Reads of a guest that does not answer
    report NOSTATE with the reason NOT_RESPONDING until it answers again, is started again or ends; each change emits an
    event.  The driver also probes by itself from time to time."""

    async def probe_guest(self, instance_id: InstanceId) -> None:
        """Probe the guest now.  Returns when the guest has answered, or did not within seconds.  A guest that does not
        run or cannot be reached changes nothing."""
        ...


class Reachability(Protocol):
    """Whether the hypervisor answers now, by a round trip."""

    async def ping(self) -> None:
        """Raises HypervisorUnavailable."""
        ...

    def abandoned_calls(self) -> int:
        """Native calls that were abandoned and have not returned."""
        ...


class SerialConsoles(Protocol):
    """Interactive serial consoles of guests."""

    async def open(self, instance_id: InstanceId) -> ConsoleStream:
        """A session; it ends an earlier session on the same guest, which reports the reason.

        Raises InvalidState when the guest is off or does not exist.
        """
        ...


class VncScreens(Protocol):
    """Guests' screens, as sessions of the RFB protocol (VNC) whose server is the guest's.

    A session carries the bytes of one connection to that server, unchanged and without a loss: a reader that does not
    read makes the server wait, not the guest.
    """

    async def check(self, instance_id: InstanceId) -> None:
        """Raises InvalidState when the guest is off, does not exist, or runs without a screen."""
        ...

    async def open(self, instance_id: InstanceId) -> ConsoleStream:
        """One more session; the others continue.  Raises InvalidState as `check` does, HypervisorError when too many
        are open."""
        ...


class Capabilities:
    """The optional parts of a driver.  None: the driver lacks the capability.  Set in the driver's constructor."""

    memory: GuestMemory | None = None
    rescue: RescueDisks | None = None
    disk_replacement: DiskReplacement | None = None
    disk_checks: DiskChecks | None = None
    base_images: BaseImageUse | None = None
    contents: HostContents | None = None
    local_disks: LocalDisks | None = None
    resizing: Resizing | None = None
    snapshots: DiskSnapshots | None = None
    diagnostics: Diagnostics | None = None
    statistics: GuestStatistics | None = None
    liveness: GuestLivenessProbe | None = None
    reachability: Reachability | None = None
    consoles: SerialConsoles | None = None
    screens: VncScreens | None = None


C = TypeVar("C")


@dataclass(frozen=True)
class Capability(Generic[C]):
    """A capability that an operation or a request needs: what the driver can do with it, for a sentence, and where it
    is on the driver."""

    ability: str
    find: Callable[[Capabilities], C | None]

    def of(self, driver: Capabilities) -> C:
        """The driver's object.  Raises NotSupported, which says what the driver cannot do."""
        found = self.find(driver)
        if found is None:
            raise NotSupported(f"This host's driver cannot {self.ability}.")
        return found


AnyCapability = Capability[Any]

MEMORY = Capability[GuestMemory]("keep a guest's memory", lambda driver: driver.memory)
RESCUE_DISKS = Capability[RescueDisks]("boot a guest from another disk", lambda driver: driver.rescue)
DISK_REPLACEMENT = Capability[DiskReplacement]("replace a guest's disk", lambda driver: driver.disk_replacement)
CONTENTS = Capability[HostContents]("list what exists on it", lambda driver: driver.contents)
DIAGNOSTICS = Capability[Diagnostics]("measure a guest", lambda driver: driver.diagnostics)
SNAPSHOTS = Capability[DiskSnapshots]("copy a guest's disk", lambda driver: driver.snapshots)
RESIZING = Capability[Resizing]("resize a guest", lambda driver: driver.resizing)
CONSOLES = Capability[SerialConsoles]("open a guest's serial console", lambda driver: driver.consoles)
SCREENS = Capability[VncScreens]("show a guest's screen", lambda driver: driver.screens)
