# SPDX-License-Identifier: Apache-2.0
"""A hypervisor in memory, with the observable semantics of a real one.

It ships: `compute_driver = fake.FakeDriver` runs a whole cloud without virtual machines, to try the API, to load-test
the control plane, and to simulate faults.  It reads no clock, starts no thread and writes no file, so everything that
happens in it follows from the order of calls.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from kilonova.base.errors import HypervisorError, HypervisorUnavailable, InvalidState
from kilonova.base.tasks import Supervisor
from kilonova.config.load import Settings
from kilonova.networks.addresses import bridge_network, host_network
from kilonova.objects.diagnostics import CpuFigures, DiskFigures, GuestDiagnostics, NicFigures
from kilonova.objects.guest import GuestEvent, GuestState
from kilonova.objects.hardware import Offer
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.service import HostNetwork, Inventory
from kilonova.objects.states import SAVED, PowerState
from kilonova.virt.driver import BaseImage, VirtAPI
from kilonova.virt.fake.local_disks import FakeLocalDisks, make_all
from kilonova.virt.fake.machine import CutOff, FakeConsole, FakeGuest, FakeHypervisor
from kilonova.virt.fake.snapshots import FakeSnapshots

SUBNET = "10.64.0.0/16"
"""Addresses for 65,000 guests; the network exists nowhere."""

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
"""As a well equipped host's."""

LIVE = (PowerState.RUNNING, PowerState.PAUSED)


class FakeDriver(FakeLocalDisks):
    """The driver of a FakeHypervisor; without one given it makes its own."""

    def __init__(
        self,
        virtapi: VirtAPI,
        settings: Settings,
        *,
        read_only: bool = False,
        hypervisor: FakeHypervisor | None = None,
    ) -> None:
        super().__init__(virtapi, settings, read_only=read_only)
        self.hypervisor = hypervisor or FakeHypervisor()
        self.snapshots = FakeSnapshots(self.hypervisor, self._call)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def init_host(self, tasks: Supervisor) -> None:
        self._loop = asyncio.get_running_loop()
        if self not in self.hypervisor.drivers:
            self.hypervisor.drivers.append(self)
        away = self.hypervisor.away
        self.virtapi.set_host_enabled(away is None, away or "")

    async def cleanup_host(self) -> None:
        if self in self.hypervisor.drivers:
            self.hypervisor.drivers.remove(self)

    def hear(self, event: GuestEvent) -> None:
        """An event for this driver: passed on in the loop's next round, never from inside the call that caused it."""
        if self._loop is not None:
            self._loop.call_soon(self.virtapi.emit_event, event)

    async def _enter(self, name: str, instance_id: InstanceId | None, *, changes: bool) -> Exception | None:
        """What every call meets first; how it is to fail when its work is done."""
        if changes:
            self.refuse_if_read_only(name)
        hook = self.hypervisor.before_call
        fail_after = await hook(name, instance_id) if hook is not None else None
        while instance_id is not None and (pending := self.hypervisor.late.get(instance_id)) is not None:
            await asyncio.shield(pending)
        if self.hypervisor.away is not None:
            raise HypervisorUnavailable(
                f"The hypervisor of {self.settings.default.host} is not available: {self.hypervisor.away}",
                host=self.settings.default.host,
            )
        return fail_after

    @asynccontextmanager
    async def _call(
        self, name: str, instance_id: InstanceId | None = None, *, changes: bool
    ) -> AsyncGenerator[None, None]:
        fail_after = await self._enter(name, instance_id, changes=changes)
        yield
        if fail_after is not None:
            raise fail_after

    async def _change(self, name: str, instance_id: InstanceId, work: Callable[[], None]) -> None:
        """A call that changes a domain: the kind that a real hypervisor may do late."""
        fail_after = await self._enter(name, instance_id, changes=True)
        if isinstance(fail_after, CutOff):
            self.hypervisor.do_later(instance_id, fail_after.late_s, work)
        else:
            work()
        if fail_after is not None:
            raise fail_after

    def _guest(self, instance_id: InstanceId) -> FakeGuest:
        return self.hypervisor.guests.setdefault(instance_id, FakeGuest())

    def _defined(self, instance_id: InstanceId) -> FakeGuest | None:
        guest = self.hypervisor.guests.get(instance_id)
        return guest if guest is not None and guest.definition is not None else None

    def _forget_if_empty(self, instance_id: InstanceId) -> None:
        guest = self.hypervisor.guests.get(instance_id)
        if guest is not None and guest.empty:
            del self.hypervisor.guests[instance_id]

    async def inventory(self) -> Inventory:
        async with self._call("inventory", changes=False):
            fake, default = self.hypervisor, self.settings.default
            return Inventory(
                node=default.host,
                hypervisor_type="fake",
                hypervisor_version=1_000_000,
                vcpus=fake.vcpus,
                memory_mib=fake.memory_mib,
                disk_gib=fake.disk_gib,
                vcpus_capacity=int(fake.vcpus * default.cpu_allocation_ratio),
                memory_mib_capacity=max(
                    0, int((fake.memory_mib - default.reserved_host_memory_mb) * default.ram_allocation_ratio)
                ),
                disk_gib_capacity=max(
                    0, int((fake.disk_gib - default.reserved_host_disk_mb / 1024) * default.disk_allocation_ratio)
                ),
                host_ip=default.my_ip,
                disk_available_gib=fake.disk_gib,
                disk_short=fake.disk_short,
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
        async with self._call("guest_states", changes=False):
            return {
                instance_id: guest.state
                for instance_id, guest in self.hypervisor.guests.items()
                if guest.definition is not None
            }

    async def guest_state(self, instance_id: InstanceId) -> GuestState | None:
        async with self._call("guest_state", instance_id, changes=False):
            guest = self._defined(instance_id)
            return guest.state if guest is not None else None

    async def feel_pulse(self, instance_id: InstanceId) -> None:
        """Nothing to do: a frozen guest is known at once."""

    async def ensure_disks(self, instance: Instance, base: BaseImage) -> None:
        async with self._call("ensure_disks", instance.id, changes=True):
            guest = self._guest(instance.id)
            if guest.base is None:
                make_all(guest, instance)
            guest.base = guest.base or base
            guest.disk_bytes = guest.disk_bytes or max(instance.flavor.disk_gib << 30, base.virtual_size)

    async def remove_disks(self, instance_id: InstanceId) -> None:
        async with self._call("remove_disks", instance_id, changes=True):
            if self._defined(instance_id) is not None:
                raise HypervisorError(f"Guest {instance_id} is still defined: its disks are kept.")
            guest = self.hypervisor.guests.get(instance_id)
            if guest is not None:
                guest.base, guest.rescue, guest.config_drive, guest.kept_disk = None, None, None, None
                guest.disk_bytes = 0
                guest.local_disks.clear()
                guest.kept_ephemeral.clear()
                guest.snapshots.clear()
                guest.console.clear()
                self._forget_if_empty(instance_id)

    async def ensure_config_drive(self, instance: Instance, files: Mapping[str, bytes]) -> None:
        async with self._call("ensure_config_drive", instance.id, changes=True):
            self._guest(instance.id).config_drive = dict(files)

    async def ensure_network(self, instance: Instance) -> None:
        async with self._call("ensure_network", instance.id, changes=True):
            self._guest(instance.id).network = True

    async def remove_network(self, instance: Instance) -> None:
        async with self._call("remove_network", instance.id, changes=True):
            guest = self.hypervisor.guests.get(instance.id)
            if guest is not None:
                guest.network = False
                self._forget_if_empty(instance.id)

    async def define(self, instance: Instance) -> None:
        def work() -> None:
            self._guest(instance.id).definition = instance

        await self._change("define", instance.id, work)

    async def undefine(self, instance_id: InstanceId) -> None:
        def work() -> None:
            guest = self._defined(instance_id)
            if guest is None:
                return
            if not guest.off:
                raise HypervisorError(f"Guest {instance_id} is not off: it stays defined.")
            guest.definition, guest.mark = None, None
            guest.power, guest.reason = PowerState.SHUTDOWN, ""
            self._forget_if_empty(instance_id)

        await self._change("undefine", instance_id, work)

    async def power_on(self, instance_id: InstanceId, mark: str) -> None:
        await self._change("power_on", instance_id, partial(self._power_on, instance_id, mark))

    def _power_on(self, instance_id: InstanceId, mark: str) -> None:
        guest = self._defined(instance_id)
        if guest is None:
            raise HypervisorError(f"Guest {instance_id} is not known to the hypervisor.")
        if guest.power is PowerState.PAUSED:
            guest.mark = mark
            self.hypervisor.move(instance_id, PowerState.RUNNING, "unpaused")
        if guest.saved:
            self.hypervisor.move(instance_id, PowerState.RUNNING, "restored")
        if guest.power is PowerState.RUNNING:
            return
        if guest.boots_from is None or guest.base is None or guest.disk_gone:
            raise HypervisorError(f"Guest {instance_id} has no disk.")
        guest.mark = mark
        self.hypervisor.move(instance_id, PowerState.RUNNING, "booted")

    async def power_off(self, instance_id: InstanceId) -> None:
        off = partial(self.hypervisor.move, instance_id, PowerState.SHUTDOWN, "destroyed")
        await self._change("power_off", instance_id, off)

    async def shutdown(self, instance_id: InstanceId) -> None:
        def work() -> None:
            guest = self._defined(instance_id)
            if guest is None or guest.power is not PowerState.RUNNING or guest.frozen:
                return
            if not self.hypervisor.obeys_acpi:
                return
            # A real guest takes its time: it is still running when this call returns.
            loop = asyncio.get_running_loop()
            loop.call_soon(self.hypervisor.move, instance_id, PowerState.SHUTDOWN, "shutdown")

        await self._change("shutdown", instance_id, work)

    async def pause(self, instance_id: InstanceId) -> None:
        def work() -> None:
            self._live(instance_id)
            self.hypervisor.move(instance_id, PowerState.PAUSED, "user")

        await self._change("pause", instance_id, work)

    async def unpause(self, instance_id: InstanceId) -> None:
        def work() -> None:
            if self._live(instance_id).power is PowerState.PAUSED:
                self.hypervisor.move(instance_id, PowerState.RUNNING, "unpaused")

        await self._change("unpause", instance_id, work)

    async def suspend(self, instance_id: InstanceId) -> None:
        """See Suspension."""

        def work() -> None:
            guest = self._defined(instance_id)
            if guest is None or not guest.saved:
                self._live(instance_id)
                self.hypervisor.move(instance_id, PowerState.SUSPENDED, SAVED)

        await self._change("suspend", instance_id, work)

    async def resume(self, instance_id: InstanceId) -> None:
        """See Suspension."""

        def work() -> None:
            guest = self._defined(instance_id)
            if guest is None or not (guest.saved or guest.power in LIVE):
                raise HypervisorError(f"Guest {instance_id} has no saved memory to go on from.")
            self.hypervisor.move(instance_id, PowerState.RUNNING, "restored")

        await self._change("resume", instance_id, work)

    async def make_rescue_disk(self, instance: Instance, base: BaseImage) -> None:
        """See RescueDisk."""
        async with self._call("make_rescue_disk", instance.id, changes=True):
            guest = self._guest(instance.id)
            if guest.base is None or guest.disk_gone:
                self._forget_if_empty(instance.id)
                raise HypervisorError(f"Guest {instance.id} has no disk of its own to be rescued.")
            guest.rescue = base

    async def remove_rescue_disk(self, instance_id: InstanceId) -> None:
        """See RescueDisk."""
        async with self._call("remove_rescue_disk", instance_id, changes=True):
            if (guest := self.hypervisor.guests.get(instance_id)) is not None:
                guest.rescue = None

    async def replace_root_disk(self, instance: Instance, base: BaseImage) -> None:
        """See DiskReplacement."""
        async with self._call("replace_root_disk", instance.id, changes=True):
            guest = self._guest(instance.id)
            if guest.saved or not guest.off:
                raise HypervisorError(f"Guest {instance.id} is not off: its disk is kept.")
            guest.base, guest.disk_bytes = base, max(instance.flavor.disk_gib << 30, base.virtual_size)
            guest.disk_gone, guest.disk_moved = False, ""
            make_all(guest, instance)

    async def diagnostics(self, instance_id: InstanceId) -> GuestDiagnostics:
        """See Diagnostics.  Nothing is measured of what is not there."""
        async with self._call("diagnostics", instance_id, changes=False):
            guest = self._defined(instance_id)
            if guest is None or guest.definition is None or guest.state.power is not PowerState.RUNNING:
                raise InvalidState(f"Guest {instance_id} is not running: there is nothing to measure.")
            record = guest.definition
            return GuestDiagnostics(
                state="running",
                driver="libvirt",  # whom it stands in for: the reference lists drivers, and clients know no others
                hypervisor="fake",
                memory_maximum_kib=record.flavor.memory_mib * 1024,
                cpus=tuple(CpuFigures(0) for _ in range(record.flavor.vcpus)),
                nics=tuple(NicFigures(f"nic{at}", address.mac) for at, address in enumerate(record.addresses)),
                disks=(DiskFigures("vda"),),
            )

    def _live(self, instance_id: InstanceId) -> FakeGuest:
        guest = self._defined(instance_id)
        if guest is None or guest.power not in LIVE:
            raise HypervisorError(f"Guest {instance_id} does not run.")
        return guest

    async def console_output(self, instance_id: InstanceId, max_bytes: int) -> bytes:
        async with self._call("console_output", instance_id, changes=False):
            guest = self.hypervisor.guests.get(instance_id)
            return bytes(guest.console[-max_bytes:]) if guest is not None and max_bytes > 0 else b""

    async def open_console(self, instance_id: InstanceId) -> FakeConsole:
        """See SerialConsole."""
        async with self._call("open_console", instance_id, changes=True):
            guest = self._defined(instance_id)
            if guest is None or guest.power is not PowerState.RUNNING:
                raise InvalidState(f"Guest {instance_id} is not running: its console cannot be opened.")
            return FakeConsole(guest)
