# SPDX-License-Identifier: Apache-2.0
"""The compute driver: what a hypervisor must be able to do, and how one is loaded by name.

The core is small; what only some hypervisors can do is a Protocol of its own, asked for by `isinstance`.
All methods are idempotent and derive what they need from the instance record.  All may raise HypervisorUnavailable
(unknown whether it happened) or HypervisorError (it did not happen).
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import DriverLoadError, HypervisorError
from kilonova.base.tasks import Supervisor
from kilonova.config.load import Settings
from kilonova.objects.console import ConsoleStream
from kilonova.objects.guest import GuestEvent, GuestState
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.service import Inventory

log = structlog.get_logger(__name__)

OUR_NAMESPACE = "kilonova.virt"
ENTRY_POINTS = "kilonova.compute_drivers"


class VirtAPI(Protocol):
    """What a driver may ask of the compute service above it.  All are called on the event loop and return at once."""

    @property
    def clock(self) -> Clock: ...

    def emit_event(self, event: GuestEvent) -> None:
        """Something happened to a guest: it will be read again."""
        ...

    def set_host_enabled(self, enabled: bool, reason: str = "") -> None:
        """The hypervisor is in service, or is not, with the reason in one sentence.  Level-triggered: the last call
        counts, and may be repeated."""
        ...

    def notify_error(self, event_type: str, payload: Mapping[str, Any]) -> None:
        """An error notification (`compute.libvirt.error` with ip, method, reason)."""
        ...


@dataclass(frozen=True, slots=True)
class BaseImage:
    """A checked image file on this host.  `disk_format` was declared and inspected; never guess it from the file."""

    path: Path
    disk_format: str
    virtual_size: int


@dataclass(frozen=True, slots=True)
class GuestFigures:
    """What a guest uses and has used.  Bytes, and seconds of CPU time, since its start; `disk_bytes` is what its root
    disk occupies on the host."""

    cpu_seconds: float
    memory_bytes: int
    disk_bytes: int
    received_bytes: int
    sent_bytes: int


@runtime_checkable
class GuestStatistics(Protocol):
    """A driver that can tell all guests' figures at once."""

    async def guest_figures(self) -> Mapping[InstanceId, GuestFigures]:
        """Of running guests, without asking any guest's own process: one that is frozen holds nothing up."""
        ...


class DiskSnapshots(Protocol):
    """Copies of guests' root disks, whatever the guests do meanwhile."""

    async def take(self, instance_id: InstanceId, name: str, limit_s: float) -> None:
        """The root disk as it was at one moment is kept beside the guest under `name`: a qcow2 that needs no other
        file.  A guest that runs goes on, and its file systems are frozen for that moment if its agent answers.  One
        that is kept already stays as it is; one that is half made is made anew.

        Raises HypervisorError when it does not end within `limit_s` seconds, or there is no room.
        """
        ...

    def read(self, instance_id: InstanceId, name: str) -> AsyncIterator[bytes]:
        """The bytes of a snapshot that is kept.  Raises HypervisorError."""
        ...

    async def remove(self, instance_id: InstanceId, name: str) -> None:
        """Nothing of it is left, and nobody makes it any more."""
        ...


@runtime_checkable
class HasSnapshots(Protocol):
    """A driver that can copy guests' root disks."""

    @property
    def snapshots(self) -> DiskSnapshots: ...


@runtime_checkable
class Pulse(Protocol):
    """A driver that can tell that a guest does not answer, though its hypervisor calls it running.  Reads of such a
    guest say NOSTATE with the reason NOT_RESPONDING, until it answers again, is started anew or ended; an event is
    told at each change.  The driver looks by itself, now and then."""

    async def feel_pulse(self, instance_id: InstanceId) -> None:
        """Ask the guest now; returns when it has answered, or was given up within seconds.  One that is not running,
        and one that cannot be reached, changes nothing."""
        ...


@runtime_checkable
class Reachability(Protocol):
    """A driver that can tell by a round trip whether its hypervisor answers now."""

    async def ping(self) -> None:
        """Raises HypervisorUnavailable."""
        ...

    def abandoned_calls(self) -> int:
        """Native calls that were given up and have not come back."""
        ...


@runtime_checkable
class SerialConsole(Protocol):
    """A driver whose guests' serial consoles can be typed into."""

    async def open_console(self, instance_id: InstanceId) -> ConsoleStream:
        """A session; an earlier one on the same guest ends by it, and says so.

        Raises InvalidState when the guest is off or not there.
        """
        ...


@runtime_checkable
class Resizing(Protocol):
    """A driver that can make a guest's root disk larger, and back again.  Where there is something to be done the guest
    must be off (HypervisorError), but for `drop_kept_disk`."""

    async def keep_disk(self, instance_id: InstanceId, tag: str) -> None:
        """A copy of the root disk as it is now is kept under `tag`.  One that is there already stays as it is; those
        under other tags go.  HypervisorError when there is no room for it."""
        ...

    async def grow_disk(self, instance_id: InstanceId, disk_gib: int) -> None:
        """The root disk is at least that large; it is never made smaller."""
        ...

    async def restore_disk(self, instance_id: InstanceId, tag: str) -> None:
        """What was kept under `tag` is the root disk again, exactly.  Nothing is done when it is not there: it has been
        put back, or was never whole."""
        ...

    async def drop_kept_disk(self, instance_id: InstanceId) -> None:
        """No copy is kept; the root disk is as it is, and may be in use."""
        ...


class ComputeDriver(ABC):
    """One hypervisor of one host.

    Constructed cheaply: no I/O before `init_host`.  `read_only` drivers refuse every change with HypervisorError.
    """

    def __init__(self, virtapi: VirtAPI, settings: Settings, *, read_only: bool = False) -> None:
        self.virtapi = virtapi
        self.settings = settings
        self.read_only = read_only

    def refuse_if_read_only(self, name: str) -> None:
        """Raises HypervisorError for a change (the method's name) by a driver that may make none."""
        if self.read_only:
            raise HypervisorError(f"The driver is read-only: {name} is refused.")

    @abstractmethod
    async def init_host(self, tasks: Supervisor) -> None:
        """Begin.  Returns soon even if the hypervisor is away (its state is told by `set_host_enabled`); background
        work runs under `tasks` and ends with them."""

    @abstractmethod
    async def cleanup_host(self) -> None:
        """Let go of the hypervisor, within seconds even when it is frozen.  Guests run on."""

    @abstractmethod
    async def inventory(self) -> Inventory:
        """What this host has and offers."""

    @abstractmethod
    async def guest_states(self) -> Mapping[InstanceId, GuestState]:
        """All guests that are ours, in one bulk read.  Foreign domains are never among them."""

    @abstractmethod
    async def guest_state(self, instance_id: InstanceId) -> GuestState | None:
        """One fresh read; None only when the hypervisor said that there is no such guest."""

    @abstractmethod
    async def ensure_disks(self, instance: Instance, base: BaseImage) -> None:
        """The root disk exists, an overlay on `base` grown to the flavor's size, and with it the flavor's ephemeral
        disk and swap, both formatted.  A disk that exists is kept."""

    @abstractmethod
    async def remove_disks(self, instance_id: InstanceId) -> None:
        """No file of this guest is left.  Its domain must be gone before."""

    @abstractmethod
    async def ensure_config_drive(self, instance: Instance, files: Mapping[str, bytes]) -> None:
        """The config drive holds exactly `files` (path inside the drive to contents)."""

    @abstractmethod
    async def ensure_network(self, instance: Instance) -> None:
        """The guest's addresses are ready to be given to it."""

    @abstractmethod
    async def remove_network(self, instance: Instance) -> None:
        """Nothing of the guest's addresses is left on the host."""

    @abstractmethod
    async def define(self, instance: Instance) -> None:
        """The guest is known to the hypervisor, persistently, and owned by us."""

    @abstractmethod
    async def undefine(self, instance_id: InstanceId) -> None:
        """The guest is unknown to the hypervisor.  It must be off.  A foreign domain is left alone
        (HypervisorError)."""

    @abstractmethod
    async def power_on(self, instance_id: InstanceId, mark: str) -> None:
        """The guest runs.  `mark` is kept with a guest that this call starts and comes back in its GuestState, so that
        a replay can tell its own start from an earlier one: it is there before the guest's first instruction, and
        not before the guest.  A guest that runs already keeps its mark; one that stands still is let go, and gets this
        one."""

    @abstractmethod
    async def power_off(self, instance_id: InstanceId) -> None:
        """The guest is off, at once, as if its plug were pulled.  One that does not exist is off."""

    @abstractmethod
    async def shutdown(self, instance_id: InstanceId) -> None:
        """The guest has been asked (ACPI) to shut itself down; returns at once.  One that is off is left so."""

    @abstractmethod
    async def pause(self, instance_id: InstanceId) -> None:
        """The guest's processors stand still; one that is paused stays so.  HypervisorError when it does not run."""

    @abstractmethod
    async def unpause(self, instance_id: InstanceId) -> None:
        """A paused guest goes on; one that runs is left so.  HypervisorError when it is off."""

    @abstractmethod
    async def console_output(self, instance_id: InstanceId, max_bytes: int) -> bytes:
        """The last `max_bytes` of the guest's serial console; empty when it has not spoken."""


def _find_class(name: str) -> object:
    for point in entry_points(group=ENTRY_POINTS, name=name):
        return point.load()
    module_name, _, class_name = name.rpartition(".")
    if not module_name:
        raise DriverLoadError(f"compute_driver '{name}' is neither module.Class nor a known entry point.")
    for candidate in (f"{OUR_NAMESPACE}.{module_name}", module_name):
        try:
            module = importlib.import_module(candidate)
        except ModuleNotFoundError as exc:
            if exc.name is not None and (candidate == exc.name or candidate.startswith(exc.name + ".")):
                continue  # this place has no such module; an import error *inside* the module is another matter
            raise
        found = getattr(module, class_name, None)
        if found is None:
            raise DriverLoadError(f"compute_driver '{name}': module {candidate} has no class {class_name}.")
        return found
    raise DriverLoadError(f"compute_driver '{name}' was not found, neither in {OUR_NAMESPACE} nor as a dotted path.")


def load_compute_driver(virtapi: VirtAPI, name: str, settings: Settings, *, read_only: bool = False) -> ComputeDriver:
    """The driver called `name`: a short name in our namespace (`libvirt.LibvirtDriver`, `fake.FakeDriver`), a dotted
    path, or an entry point of the group `kilonova.compute_drivers`.

    Raises DriverLoadError in one sentence, with the cause chained and logged; never ends the process.
    """
    if not name:
        raise DriverLoadError("Option compute_driver is required, but not set.")
    try:
        found = _find_class(name)
    except DriverLoadError:
        raise
    except Exception as exc:
        log.exception("compute driver cannot be imported", driver=name)
        raise DriverLoadError(f"compute_driver '{name}' cannot be imported: {exc}") from exc
    if not (isinstance(found, type) and issubclass(found, ComputeDriver)):
        raise DriverLoadError(f"compute_driver '{name}' is not a ComputeDriver.")
    return found(virtapi, settings, read_only=read_only)
