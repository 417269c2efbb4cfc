# SPDX-License-Identifier: Apache-2.0
"""A hypervisor in memory, with the observable semantics of a real one.

It is part of the product: `compute_driver = fake.FakeDriver` runs a whole cloud without virtual machines, to try the
API, to load-test the control plane, and to simulate faults.  It reads no clock, starts no thread and writes no file, so
everything that happens in it follows from the order of calls.
"""

import asyncio
from collections.abc import Mapping
from functools import partial

from kilonova.base.errors import HypervisorError
from kilonova.base.tasks import Supervisor
from kilonova.networks.addresses import bridge_network, host_network
from kilonova.objects.guest import GuestEvent, GuestState
from kilonova.objects.hardware import Offer
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.service import HostNetwork
from kilonova.objects.states import PowerState
from kilonova.virt.base_image import BaseImage
from kilonova.virt.driver import ComputeDriver, DriverSettings, HostResources, VirtAPI
from kilonova.virt.fake.calls import FakeCalls
from kilonova.virt.fake.contents import FakeContents
from kilonova.virt.fake.disks import (
    FakeBaseImageUse,
    FakeDiskChecks,
    FakeDiskReplacement,
    FakeRescueDisks,
    FakeResizing,
)
from kilonova.virt.fake.inspection import FakeConsoles, FakeDiagnostics, FakeLiveness
from kilonova.virt.fake.local_disks import FakeLocalDisks, make_all
from kilonova.virt.fake.machine import FakeHypervisor
from kilonova.virt.fake.memory import FakeMemory
from kilonova.virt.fake.screen import FakeScreens
from kilonova.virt.fake.snapshots import FakeSnapshots

SUBNET = "10.64.0.0/16"
"""Addresses for 65,000 guests; the network does not exist anywhere."""

OFFER = Offer(
    architectures=("i686", "x86_64"),
    hypervisor_types=("fake", "kvm", "qemu"),
    machines=("pc", "q35"),
    disk_buses=("ide", "sata", "scsi", "usb", "virtio"),
    video_models=("bochs", "cirrus", "none", "qxl", "vga", "virtio"),
    firmwares=("bios", "uefi"),
    secure_boot=("required",),
    tpms=("1.2", "2.0", "tpm-crb", "tpm-tis"),
)
"""The devices and features of a well equipped host."""


class FakeDriver(ComputeDriver):
    """The driver of a FakeHypervisor. Without one, the driver makes a new FakeHypervisor."""

    def __init__(
        self,
        virtapi: VirtAPI,
        settings: DriverSettings,
        *,
        read_only: bool = False,
        hypervisor: FakeHypervisor | None = None,
    ) -> None:
        super().__init__(virtapi, settings, read_only=read_only)
        self.hypervisor = hypervisor or FakeHypervisor()
        self._calls = calls = FakeCalls(self.hypervisor, settings.default.host, read_only=read_only)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.memory = FakeMemory(calls)
        self.rescue = FakeRescueDisks(calls)
        self.disk_replacement = FakeDiskReplacement(calls)
        self.disk_checks = FakeDiskChecks(calls)
        self.base_images = FakeBaseImageUse(calls)
        self.contents = FakeContents(calls, self._networks)
        self.local_disks = FakeLocalDisks(calls)
        self.resizing = FakeResizing(calls)
        self.snapshots = FakeSnapshots(calls)
        self.diagnostics = FakeDiagnostics(calls)
        self.liveness = FakeLiveness()
        self.consoles = FakeConsoles(calls)
        self.screens = FakeScreens(calls) if settings.vnc.enabled else None

    async def init_host(self, tasks: Supervisor) -> None:
        self._loop = asyncio.get_running_loop()
        if self not in self.hypervisor.drivers:
            self.hypervisor.drivers.append(self)
        away = self.hypervisor.away
        self.virtapi.set_host_enabled(away is None, away or "")

    async def cleanup_host(self) -> None:
        if self in self.hypervisor.drivers:
            self.hypervisor.drivers.remove(self)

    def receive(self, event: GuestEvent) -> None:
        """Receive an event. It is passed on in the loop's next round, never from inside the call that caused it."""
        if self._loop is not None:
            self._loop.call_soon(self.virtapi.emit_event, event)

    async def resources(self) -> HostResources:
        async with self._calls.call("inventory", changes=False):
            return HostResources(
                node=self.settings.default.host,
                hypervisor_type="fake",
                hypervisor_version=1_000_000,
                vcpus=self.hypervisor.vcpus,
                memory_mib=self.hypervisor.memory_mib,
                disk_gib=self.hypervisor.disk_gib,
                disk_available_gib=self.hypervisor.disk_gib,
                disk_short=self.hypervisor.disk_short,
                cpu_info={"arch": "x86_64", "model": "fake"},
                networks=self._networks(),
                offer=OFFER,
            )

    def _networks(self) -> tuple[HostNetwork, ...]:
        settings = self.settings.network
        own = host_network(settings.name, "nat", settings.cidr or SUBNET, settings.dns)
        bridges = tuple(map(bridge_network, settings.bridges))
        return bridges if settings.backend == "bridge" else (own, *bridges)

    async def guest_states(self) -> Mapping[InstanceId, GuestState]:
        async with self._calls.call("guest_states", changes=False):
            return {
                instance_id: guest.state
                for instance_id, guest in self.hypervisor.guests.items()
                if guest.definition is not None
            }

    async def guest_state(self, instance_id: InstanceId) -> GuestState | None:
        async with self._calls.call("guest_state", instance_id, changes=False):
            guest = self._calls.defined(instance_id)
            return guest.state if guest is not None else None

    # -- files and network -------------------------------------------------------------------------------------------

    async def ensure_disks(self, instance: Instance, base: BaseImage) -> None:
        async with self._calls.call("ensure_disks", instance.id, changes=True):
            guest = self._calls.guest(instance.id)
            if guest.base is None:
                make_all(guest, instance)
            guest.base = guest.base or base
            guest.disk_bytes = guest.disk_bytes or max(instance.flavor.disk_gib << 30, base.virtual_size)

    async def remove_disks(self, instance_id: InstanceId) -> None:
        async with self._calls.call("remove_disks", instance_id, changes=True):
            if self._calls.defined(instance_id) is not None:
                raise HypervisorError(f"Guest {instance_id} is still defined: its disks are kept.")
            guest = self._calls.found(instance_id)
            if guest is not None:
                guest.base, guest.rescue, guest.config_drive, guest.kept_disk = None, None, None, None
                guest.disk_bytes = 0
                guest.local_disks.clear()
                guest.kept_ephemeral.clear()
                guest.snapshots.clear()
                guest.console = b""
                self._calls.forget_if_empty(instance_id)

    async def ensure_config_drive(self, instance: Instance, files: Mapping[str, bytes]) -> None:
        async with self._calls.call("ensure_config_drive", instance.id, changes=True):
            self._calls.guest(instance.id).config_drive = dict(files)

    async def ensure_network(self, instance: Instance) -> None:
        async with self._calls.call("ensure_network", instance.id, changes=True):
            self._calls.guest(instance.id).network = True

    async def remove_network(self, instance: Instance) -> None:
        async with self._calls.call("remove_network", instance.id, changes=True):
            guest = self._calls.found(instance.id)
            if guest is not None:
                guest.network = False
                self._calls.forget_if_empty(instance.id)

    async def console_output(self, instance_id: InstanceId, max_bytes: int) -> bytes:
        async with self._calls.call("console_output", instance_id, changes=False):
            guest = self._calls.found(instance_id)
            return guest.console[-max_bytes:] if guest is not None and max_bytes > 0 else b""

    # -- domains -----------------------------------------------------------------------------------------------------

    async def define(self, instance: Instance) -> None:
        def work() -> None:
            self._calls.guest(instance.id).definition = instance

        await self._calls.change("define", instance.id, work)

    async def undefine(self, instance_id: InstanceId) -> None:
        def work() -> None:
            guest = self._calls.defined(instance_id)
            if guest is None:
                return
            if not guest.off:
                raise HypervisorError(f"Guest {instance_id} is not off: it stays defined.")
            guest.definition, guest.start_token = None, None
            guest.power, guest.reason = PowerState.SHUTDOWN, ""
            self._calls.forget_if_empty(instance_id)

        await self._calls.change("undefine", instance_id, work)

    async def power_on(self, instance_id: InstanceId, start_token: str) -> None:
        await self._calls.change("power_on", instance_id, partial(self._power_on, instance_id, start_token))

    def _power_on(self, instance_id: InstanceId, start_token: str) -> None:
        guest = self._calls.defined(instance_id)
        if guest is None:
            raise HypervisorError(f"Guest {instance_id} is not known to the hypervisor.")
        if guest.power is PowerState.PAUSED:
            guest.start_token = start_token
            self.hypervisor.move(instance_id, PowerState.RUNNING, "unpaused")
        if guest.saved:
            self.hypervisor.move(instance_id, PowerState.RUNNING, "restored")
        if guest.power is PowerState.RUNNING:
            return
        if guest.boots_from is None or guest.base is None or guest.disk_gone:
            raise HypervisorError(f"Guest {instance_id} has no disk.")
        guest.start_token = start_token
        self.hypervisor.move(instance_id, PowerState.RUNNING, "booted")

    async def power_off(self, instance_id: InstanceId) -> None:
        off = partial(self.hypervisor.move, instance_id, PowerState.SHUTDOWN, "destroyed")
        await self._calls.change("power_off", instance_id, off)

    async def shutdown(self, instance_id: InstanceId) -> None:
        def work() -> None:
            guest = self._calls.defined(instance_id)
            if guest is None or guest.power is not PowerState.RUNNING or guest.frozen:
                return
            if not self.hypervisor.obeys_acpi:
                return
            # A real guest needs time to shut down: it is still running when this call returns.
            loop = asyncio.get_running_loop()
            loop.call_soon(self.hypervisor.move, instance_id, PowerState.SHUTDOWN, "shutdown")

        await self._calls.change("shutdown", instance_id, work)

    async def pause(self, instance_id: InstanceId) -> None:
        def work() -> None:
            self._calls.live(instance_id)
            self.hypervisor.move(instance_id, PowerState.PAUSED, "user")

        await self._calls.change("pause", instance_id, work)

    async def unpause(self, instance_id: InstanceId) -> None:
        def work() -> None:
            if self._calls.live(instance_id).power is PowerState.PAUSED:
                self.hypervisor.move(instance_id, PowerState.RUNNING, "unpaused")

        await self._calls.change("unpause", instance_id, work)
