# SPDX-License-Identifier: Apache-2.0
"""The compute driver: what a hypervisor must be able to do, and how a driver is loaded by name.

The core is small; each ability that only some hypervisors have is a separate capability (kilonova.virt.capabilities).
All methods are idempotent and derive what they need from the instance record.  All may raise HypervisorUnavailable (the
outcome is unknown) or HypervisorError (it did not happen).
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from importlib.metadata import entry_points
from types import CoroutineType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import DriverLoadError, HypervisorError
from kilonova.base.tasks import Supervisor
from kilonova.config.default import DefaultSettings
from kilonova.config.libvirt import LibvirtSettings
from kilonova.config.network import NetworkSettings
from kilonova.config.vnc import VncSettings
from kilonova.objects.guest import GuestEvent, GuestState
from kilonova.objects.hardware import Offer
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.service import HostNetwork
from kilonova.virt.base_image import BaseImage
from kilonova.virt.capabilities import Capabilities

log = structlog.get_logger(__name__)

OUR_NAMESPACE = "kilonova.virt"
ENTRY_POINTS = "kilonova.compute_drivers"


class VirtAPI(Protocol):
    """The methods of the compute service that a driver may call. All methods are called on the event loop and return
    at once."""

    @property
    def clock(self) -> Clock: ...

    def emit_event(self, event: GuestEvent) -> None:
        """A guest changed: the service reads it again."""
        ...

    def set_host_enabled(self, enabled: bool, reason: str = "") -> None:
        """The hypervisor is in service, or is not, with the reason in one sentence.  Level-triggered: the last call
        counts, and may be repeated."""
        ...

    def notify_error(self, event_type: str, payload: Mapping[str, Any]) -> None:
        """An error notification (`compute.libvirt.error` with ip, method, reason)."""
        ...


class DriverSettings(Protocol):
    """The sections of the configuration that drivers read."""

    @property
    def default(self) -> DefaultSettings: ...

    @property
    def libvirt(self) -> LibvirtSettings: ...

    @property
    def network(self) -> NetworkSettings: ...

    @property
    def vnc(self) -> VncSettings: ...


@dataclass(frozen=True, slots=True)
class HostResources:
    """The resources of the host, before any policy (see kilonova.compute.capacity). `foreign_memory_mib` is the memory
    that running guests of other owners may use.  `disk_short` says in a few words why no more disks should come here;
    empty while there is space.  The first of `networks` is the default for guests that name no network."""

    node: str
    hypervisor_type: str
    hypervisor_version: int
    vcpus: int
    memory_mib: int
    disk_gib: int
    foreign_memory_mib: int = 0
    arch: str = "x86_64"
    disk_available_gib: int = 0
    disk_short: str = ""
    cpu_info: Mapping[str, Any] = field(default_factory=dict[str, Any])
    networks: tuple[HostNetwork, ...] = ()
    offer: Offer = field(default_factory=Offer)


class ReadOnlyAware(Protocol):
    """A driver, or a part of one, that may have to refuse changes."""

    @property
    def read_only(self) -> bool: ...


def refuse_if_read_only(part: ReadOnlyAware, name: str) -> None:
    """Raises HypervisorError for the change `name` when the driver is read-only."""
    if part.read_only:
        raise HypervisorError(f"The driver is read-only: {name} is refused.")


S = TypeVar("S", bound=ReadOnlyAware)
P = ParamSpec("P")
T = TypeVar("T")


def changes_guests(
    method: "Callable[Concatenate[S, P], CoroutineType[Any, Any, T]]",
) -> "Callable[Concatenate[S, P], CoroutineType[Any, Any, T]]":
    """A method that a read-only driver refuses (HypervisorError)."""

    @wraps(method)
    async def guarded(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        refuse_if_read_only(self, method.__name__)
        return await method(self, *args, **kwargs)

    return guarded


class ComputeDriver(Capabilities, ABC):
    """One hypervisor of one host.

    Constructed cheaply: no I/O before `init_host`.  `read_only` drivers refuse every change with HypervisorError.
    """

    def __init__(self, virtapi: VirtAPI, settings: DriverSettings, *, read_only: bool = False) -> None:
        self.virtapi = virtapi
        self.settings = settings
        self.read_only = read_only

    def reconfigure(self, settings: DriverSettings) -> None:
        """Use these settings from now on: the configuration was read again, and options that may change while the
        service runs have changed."""
        self.settings = settings

    @abstractmethod
    async def init_host(self, tasks: Supervisor) -> None:
        """Start.  Returns soon even if the hypervisor is away (`set_host_enabled` reports its state); background work
        runs under `tasks` and ends with them."""

    @abstractmethod
    async def cleanup_host(self) -> None:
        """Disconnect from the hypervisor, within seconds even when it is frozen.  Guests continue to run."""

    @abstractmethod
    async def resources(self) -> HostResources:
        """What this host has and offers."""

    @abstractmethod
    async def guest_states(self) -> Mapping[InstanceId, GuestState]:
        """All guests of this service, in one bulk read.  Domains of other owners are never among them."""

    @abstractmethod
    async def guest_state(self, instance_id: InstanceId) -> GuestState | None:
        """One fresh read; None only when the hypervisor reported that there is no such guest."""

    @abstractmethod
    async def ensure_disks(self, instance: Instance, base: BaseImage) -> None:
        """The root disk exists, an overlay on `base` grown to the flavor's size, and with it the flavor's ephemeral
        disk and swap, both formatted.  An existing disk is kept."""

    @abstractmethod
    async def remove_disks(self, instance_id: InstanceId) -> None:
        """No file of this guest exists.  Its domain must be removed before."""

    @abstractmethod
    async def ensure_config_drive(self, instance: Instance, files: Mapping[str, bytes]) -> None:
        """The config drive holds exactly `files` (path inside the drive to contents)."""

    @abstractmethod
    async def ensure_network(self, instance: Instance) -> None:
        """The guest's networks are ready to give it its addresses."""

    @abstractmethod
    async def remove_network(self, instance: Instance) -> None:
        """The host has no reservation for the guest's addresses."""

    @abstractmethod
    async def define(self, instance: Instance) -> None:
        """The hypervisor knows the guest, persistently, as one of this service."""

    @abstractmethod
    async def undefine(self, instance_id: InstanceId) -> None:
        """The hypervisor does not know the guest.  It must be off.  A domain of another owner is left alone
        (HypervisorError)."""

    @abstractmethod
    async def power_on(self, instance_id: InstanceId, start_token: str) -> None:
        """The guest runs.  `start_token` is stored with a guest that this call starts and is reported in its
        GuestState, so that a replay can distinguish its own start from an earlier one: the token is stored before the
        guest's first instruction, and not before the guest exists.  A running guest keeps its token; a paused guest is
        unpaused and gets this one."""

    @abstractmethod
    async def power_off(self, instance_id: InstanceId) -> None:
        """The guest is off, at once, as after a power failure.  A guest that does not exist is off."""

    @abstractmethod
    async def shutdown(self, instance_id: InstanceId) -> None:
        """Send the guest an ACPI request to shut down; returns at once.  A guest that is off stays off."""

    @abstractmethod
    async def pause(self, instance_id: InstanceId) -> None:
        """The guest's processors are stopped; a paused guest stays paused.  HypervisorError when it does not run."""

    @abstractmethod
    async def unpause(self, instance_id: InstanceId) -> None:
        """A paused guest continues; a running guest is left running.  HypervisorError when it is off."""

    @abstractmethod
    async def console_output(self, instance_id: InstanceId, max_bytes: int) -> bytes:
        """The last `max_bytes` of the guest's serial console; empty when the guest has written nothing."""


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
                continue  # the module does not exist here; an import error *inside* the module is a different error
            raise
        found = getattr(module, class_name, None)
        if found is None:
            raise DriverLoadError(f"compute_driver '{name}': module {candidate} has no class {class_name}.")
        return found
    raise DriverLoadError(f"compute_driver '{name}' was not found, neither in {OUR_NAMESPACE} nor as a dotted path.")


def load_compute_driver(
    virtapi: VirtAPI, name: str, settings: DriverSettings, *, read_only: bool = False
) -> ComputeDriver:
    """The driver with this name: a short name in kilonova.virt (`libvirt.LibvirtDriver`, `fake.FakeDriver`), a dotted
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
