# SPDX-License-Identifier: Apache-2.0
"""The libvirt driver: it constructs the parts, and delegates each method to one of them."""

import asyncio
from collections.abc import Hashable, Mapping
from functools import partial

import structlog

from kilonova.base.errors import HypervisorError
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import DaemonWorkers
from kilonova.config.default import watermark_bytes
from kilonova.objects.guest import RECONNECTED, GuestEvent, GuestState
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.virt.base_image import BaseImage
from kilonova.virt.calls.proxy import Proxy
from kilonova.virt.driver import ComputeDriver, DriverSettings, HostResources, VirtAPI, changes_guests
from kilonova.virt.libvirt.connection import events
from kilonova.virt.libvirt.connection.guest_calls import GuestCalls
from kilonova.virt.libvirt.connection.hypervisor_connection import HypervisorConnection
from kilonova.virt.libvirt.connection.in_doubt import InDoubtCalls
from kilonova.virt.libvirt.connection.opening import Registrar
from kilonova.virt.libvirt.connection.unclean_shutdown import UncleanShutdownMarker
from kilonova.virt.libvirt.definition import Definitions
from kilonova.virt.libvirt.disks import config_drive
from kilonova.virt.libvirt.disks.disks import Disks
from kilonova.virt.libvirt.disks.guest_disks import GuestDisks, LibvirtBaseImageUse, LibvirtDiskChecks
from kilonova.virt.libvirt.disks.kept_disks import KeptDisks
from kilonova.virt.libvirt.disks.local_disks import LocalDiskFiles
from kilonova.virt.libvirt.disks.replacement import LibvirtDiskReplacement, LibvirtRescueDisks
from kilonova.virt.libvirt.disks.resizing import LibvirtLocalDisks, LibvirtResizing
from kilonova.virt.libvirt.disks.snapshot import LibvirtSnapshots
from kilonova.virt.libvirt.domain import guest
from kilonova.virt.libvirt.domain.consoles import LibvirtConsoles
from kilonova.virt.libvirt.domain.diagnostics import LibvirtDiagnostics
from kilonova.virt.libvirt.domain.guest_liveness import LivenessProbes
from kilonova.virt.libvirt.domain.guests import Guests
from kilonova.virt.libvirt.domain.power import GuestPower
from kilonova.virt.libvirt.domain.saved_memory import LibvirtMemory
from kilonova.virt.libvirt.domain.screens import LibvirtScreens
from kilonova.virt.libvirt.domain.statistics import LibvirtReachability, LibvirtStatistics
from kilonova.virt.libvirt.host import checks
from kilonova.virt.libvirt.host.contents import LibvirtContents
from kilonova.virt.libvirt.host.resources import HostFacts, LibvirtResources
from kilonova.virt.libvirt.network.guest_networks import GuestNetworks

log = structlog.get_logger(__name__)

LIVENESS_ROUND_LIMIT_S = 600.0

POLL_S = 10.0
"""Between two bulk reads of all guests where the URI has no events."""


class LibvirtDriver(ComputeDriver):
    """Guests are persistent libvirt domains with this service's metadata.  See ComputeDriver for the guarantees."""

    def __init__(self, virtapi: VirtAPI, settings: DriverSettings, *, read_only: bool = False) -> None:
        super().__init__(virtapi, settings, read_only=read_only)
        self.connection = HypervisorConnection(virtapi, settings, read_only=read_only, registrar=self._registrar)
        pools, clock = self.connection.threads, virtapi.clock
        self._in_doubt = InDoubtCalls(self.connection.control, pools, clock, on_overdue=self._overdue)
        self._marker = UncleanShutdownMarker(settings.default.state_path)
        self._files = DaemonWorkers("files", 2)
        self.calls = GuestCalls(self.connection, self._in_doubt, read_only=read_only)
        self.liveness = self._probes = LivenessProbes(
            self.connection.liveness, settings.libvirt.guest_pulse_timeout, self._liveness_changed
        )
        self._guests = Guests(self.calls, self._probes)
        records = settings.default.state_path / "chains"
        self._disks = Disks(settings.default.instances_path, self.connection.uri, self._files, records)
        self._networks = GuestNetworks(
            settings.network, self.connection.uri, self._in_doubt, clock, read_only=read_only
        )
        self._facts = HostFacts(self.connection, self._files, settings.default.state_path, settings.libvirt.virt_type)
        self._resources = LibvirtResources(self.connection, self._facts, self._guests, self._disks, self._networks)
        self._definitions = Definitions(settings, self._disks, self._files, self._facts, self._networks)
        self._guest_disks = GuestDisks(self.calls, self._guests, self._disks)
        self._local_files = LocalDiskFiles(self._disks, lambda: self.settings.default.default_ephemeral_format)
        self._poll_s = POLL_S
        self._polled: Mapping[InstanceId, GuestState] = {}
        self._add_capabilities()

    def _add_capabilities(self) -> None:
        calls, guests, clock, read_only = self.calls, self._guests, self.virtapi.clock, self.read_only
        disks, guest_disks, local = self._disks, self._guest_disks, self._local_files
        self.memory = memory = LibvirtMemory(calls, guests, clock)
        self._power = GuestPower(calls, guests, memory, clock, self.settings.libvirt.call_timeout)
        self.consoles = self._consoles = LibvirtConsoles(calls, clock)
        self._screens = LibvirtScreens(calls)
        self.screens = self._screens if self.settings.vnc.enabled else None
        self.diagnostics = LibvirtDiagnostics(calls, guests)
        self.statistics = LibvirtStatistics(self.connection, guests, self._files, disks.root_disk)
        self.reachability = LibvirtReachability(self.connection)
        self.disk_checks = LibvirtDiskChecks(guest_disks, disks, self._definitions.disks)
        self.base_images = LibvirtBaseImageUse(calls, disks)
        self.rescue = LibvirtRescueDisks(guest_disks, disks, read_only=read_only)
        self.disk_replacement = LibvirtDiskReplacement(calls, guest_disks, disks, local)
        self.contents = LibvirtContents(guests, guest_disks, disks, self._networks, read_only=read_only)
        kept = KeptDisks(disks, self._watermark)
        self.resizing = LibvirtResizing(guests, guest_disks, kept, local, read_only=read_only)
        self.local_disks = LibvirtLocalDisks(guests, kept, local, read_only=read_only)
        self.snapshots = LibvirtSnapshots(calls, guest_disks, disks, self._files, clock, self._watermark)

    def _watermark(self, total_bytes: int) -> int:
        return watermark_bytes(self.settings.default, total_bytes)

    # -- the host ----------------------------------------------------------------------------------------------------

    async def init_host(self, tasks: Supervisor) -> None:
        self._in_doubt.unclean_start = not self.read_only and await self._files.run(self._marker.set)
        self.connection.start(tasks, self._connected)
        self._probes.start(tasks)
        tasks.periodic("libvirt-poll", self._poll_s, self._poll)
        if period_s := self.settings.libvirt.guest_pulse_interval:
            tasks.periodic("guest-liveness", period_s, self._probe_all, limit_s=LIVENESS_ROUND_LIMIT_S)

    async def cleanup_host(self) -> None:
        await self._consoles.close_all()
        self._screens.close_all()
        await self.connection.close()
        if not self.read_only and self._in_doubt.none_in_doubt and not self.connection.threads.abandoned:
            await self._files.run(self._marker.clear)
        self._in_doubt.unclean_start = True  # a driver that has disconnected cannot clear it any more; clear only once
        self._files.close()

    async def proxy(self) -> Proxy:
        """A live connection with the whole of libvirt's binding as awaitables: the only way to libvirt for code that
        needs more than this driver's methods."""
        return await self.connection.proxy()

    async def resources(self) -> HostResources:
        return await self._resources.read(self.settings.default)

    def _registrar(self) -> Registrar:
        return events.registrar(asyncio.get_running_loop(), self._receive)

    def _receive(self, event: GuestEvent) -> None:
        if self._guests.receive(event):
            self.virtapi.emit_event(event)

    async def _poll(self) -> None:
        """Instead of events, where there are none: emit an event for each guest that differs from the last read."""
        if not self.connection.host.up or self.connection.host.without_events is None:
            return
        before, now = self._polled, await self.guest_states()
        self._polled = now
        for instance_id in before.keys() | now.keys():
            if before.get(instance_id) != now.get(instance_id):
                self.virtapi.emit_event(GuestEvent(instance_id, "polled"))

    async def _connected(self) -> None:
        """After each connect: one bulk read finds what happened meanwhile, and every guest is read again."""
        self._networks.forget()
        self._facts.forget()
        if warning := await self.connection.host.run(checks.too_old):
            log.warning("this host's libvirt or QEMU is older than Kilonova supports", why=warning)
        for instance_id in await self.guest_states():
            self.virtapi.emit_event(GuestEvent(instance_id, RECONNECTED))

    async def _probe_all(self) -> None:
        """One guest after another: with a thousand guests this takes a second of calls, and no caller waits for it."""
        for instance_id in self._guests.owned():
            if not self._guests.is_destroyed(instance_id):  # its domain may be blocked, and is about to be removed
                await self._probes.probe_guest(instance_id)

    def _liveness_changed(self, instance_id: InstanceId) -> None:
        self.virtapi.emit_event(GuestEvent(instance_id, "liveness"))

    def _overdue(self, about: Hashable) -> None:
        match about:
            case ("guest", str(instance_id)):
                self._probes.probe_soon(InstanceId(instance_id))
            case _:
                return

    # -- reads -------------------------------------------------------------------------------------------------------

    async def guest_states(self) -> Mapping[InstanceId, GuestState]:
        return await self._guests.states()

    async def guest_state(self, instance_id: InstanceId) -> GuestState | None:
        return await self._guests.state(instance_id)

    async def console_output(self, instance_id: InstanceId, max_bytes: int) -> bytes:
        return await self._disks.console_tail(instance_id, max_bytes)

    # -- files and network -------------------------------------------------------------------------------------------

    @changes_guests
    async def ensure_disks(self, instance: Instance, base: BaseImage) -> None:
        await self._disks.ensure_overlay(instance.id, base, instance.flavor.disk_gib)
        await self._local_files.ensure(instance)

    @changes_guests
    async def remove_disks(self, instance_id: InstanceId) -> None:
        if await self.calls.read(instance_id, partial(guest.exists, instance_id=instance_id)):
            raise HypervisorError(f"Guest {instance_id} is still defined: its disks are kept.")
        await self._disks.remove(instance_id)

    @changes_guests
    async def ensure_config_drive(self, instance: Instance, files: Mapping[str, bytes]) -> None:
        await self._disks.blocking(instance.id, self._write_config_drive, instance.id, dict(files))

    def _write_config_drive(self, instance_id: InstanceId, files: Mapping[str, bytes]) -> None:
        # A drive with the same contents is left: a guest may run with it.
        if config_drive.contents(self._disks.config_drive(instance_id)) != files:
            self._disks.write_config_drive(instance_id, config_drive.build(files))

    @changes_guests
    async def ensure_network(self, instance: Instance) -> None:
        await self._networks.ensure(instance)

    @changes_guests
    async def remove_network(self, instance: Instance) -> None:
        await self._networks.remove(instance)

    # -- domains -----------------------------------------------------------------------------------------------------

    @changes_guests
    async def define(self, instance: Instance) -> None:
        if instance.rescue_image is None:  # a server that is older than local disks gets them with its next start
            await self._local_files.ensure(instance)
        await self._guest_disks.define(await self._definitions.domain(instance))

    async def undefine(self, instance_id: InstanceId) -> None:
        await self._guests.undefine(instance_id)

    async def power_on(self, instance_id: InstanceId, start_token: str) -> None:
        await self._power.on(instance_id, start_token)

    async def power_off(self, instance_id: InstanceId) -> None:
        await self._power.off(instance_id)

    async def shutdown(self, instance_id: InstanceId) -> None:
        await self._power.shutdown(instance_id)

    async def pause(self, instance_id: InstanceId) -> None:
        await self._power.pause(instance_id)

    async def unpause(self, instance_id: InstanceId) -> None:
        await self._power.unpause(instance_id)
