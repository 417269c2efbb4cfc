# SPDX-License-Identifier: Apache-2.0
"""What only some hypervisors can do with a guest's memory, its disk and its figures: each a Protocol of its own, as in
kilonova.virt.driver, idempotent and with the same errors."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

from kilonova.base.errors import NotSupported
from kilonova.objects.diagnostics import GuestDiagnostics
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.virt.driver import BaseImage, ComputeDriver, HasSnapshots, Resizing, SerialConsole


@runtime_checkable
class Suspension(Protocol):
    """A driver that can keep a guest's memory on the host's disk.

    Reads of such a guest say SUSPENDED with the reason SAVED, also after the host has booted, until it is resumed,
    started, or its plug is pulled, which drops the memory.
    """

    async def suspend(self, instance_id: InstanceId) -> None:
        """The guest is off and its memory kept; one that is saved is left so.  As long as writing lasts.
        HypervisorError when it does not run, and when its memory could not be written: then it runs on."""
        ...

    async def resume(self, instance_id: InstanceId) -> None:
        """The guest goes on where it was, under the mark of its last start; one that runs is left so.
        HypervisorError when there is no memory of it to go on from."""
        ...


@runtime_checkable
class RescueDisk(Protocol):
    """A driver whose guests can boot from another disk, with their own beside it: `define` gives them both where the
    instance has a `rescue_image`."""

    async def make_rescue_disk(self, instance: Instance, base: BaseImage) -> None:
        """A fresh overlay of the base's size lies beside the root disk, which must be there.  No guest may have an
        earlier one."""
        ...

    async def remove_rescue_disk(self, instance_id: InstanceId) -> None:
        """It is gone.  No guest may have it."""
        ...


@runtime_checkable
class DiskReplacement(Protocol):
    """A driver that can give a guest another root disk."""

    async def replace_root_disk(self, instance: Instance, base: BaseImage) -> None:
        """The root disk is a fresh overlay on `base`, as `ensure_disks` makes it.  At each moment there is the old one
        or the new one, whole.  The guest must be off."""
        ...


@runtime_checkable
class DiskChecks(Protocol):
    """A driver whose guests' disks are files that may be gone, or moved by other tools."""

    async def check_disks(self, instance: Instance) -> None:
        """The guest could be started anew from its disks: each file that they lie on is there, can be read, and refers
        to what it was made on.  Changes nothing; the guest may run.  Raises DiskMoved, DiskUnusable."""
        ...

    async def require_own_root(self, instance_id: InstanceId) -> None:
        """The guest's root disk is the one that this service made, and lies where it was made.  Raises DiskMoved."""
        ...


@runtime_checkable
class BasesInUse(Protocol):
    """A driver whose guests' disks lie on files of the host's image cache."""

    async def bases_in_use(self) -> frozenset[str]:
        """Paths of all files that a disk on this host may lie on, and of others.  What is not among them is used by
        nothing.  Raises HypervisorUnavailable, HypervisorError when that cannot be known."""
        ...


@runtime_checkable
class Diagnostics(Protocol):
    """A driver that can tell all that is measured of one guest."""

    async def diagnostics(self, instance_id: InstanceId) -> GuestDiagnostics:
        """One read, which may ask the guest's own process.  InvalidState when it does not run, or does not respond."""
        ...


P = TypeVar("P")


_WORDS: Mapping[type[Any], str] = {
    Suspension: "keep a guest's memory",
    RescueDisk: "boot a guest from another disk",
    DiskReplacement: "replace a guest's disk",
    Diagnostics: "measure a guest",
    HasSnapshots: "copy a guest's disk",
    Resizing: "resize a guest",
    SerialConsole: "open a guest's serial console",
}
"""What one of each can do, for a sentence."""


def able(driver: ComputeDriver, ability: type[P]) -> P:
    """The driver as one that has this Protocol.  Raises NotSupported, which says what it cannot do."""
    if not isinstance(driver, ability):
        raise NotSupported(f"This host's driver cannot {_WORDS[ability]}.")
    return driver
