# SPDX-License-Identifier: Apache-2.0
"""The libvirt driver: composes the connection, guests, disks, config drive and network.

Control calls go through the *control* lane, one hop each, at most one per guest; host-wide reads and events through the
*host* lane.
"""

import asyncio
from collections.abc import Hashable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar

import structlog

from kilonova.base.errors import HypervisorError
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import DaemonWorkers
from kilonova.config.default import watermark_bytes
from kilonova.config.load import Settings
from kilonova.objects.guest import RECONNECTED, GuestEvent, GuestState
from kilonova.objects.hardware import Offer
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.service import Inventory
from kilonova.virt.calls.pool import Proxy
from kilonova.virt.driver import BaseImage, GuestFigures, VirtAPI
from kilonova.virt.libvirt import (
    definition,
    power,
)
from kilonova.virt.libvirt.connection import events
from kilonova.virt.libvirt.connection.in_doubt import Settling
from kilonova.virt.libvirt.connection.opening import Registrar
from kilonova.virt.libvirt.connection.pool import Hop, HypervisorConnection
from kilonova.virt.libvirt.connection.unclean_shutdown import Inheritance
from kilonova.virt.libvirt.disks import config_drive
from kilonova.virt.libvirt.disks.disks import GIB, Disks, disk_short
from kilonova.virt.libvirt.disks.snapshot import Snapshots
from kilonova.virt.libvirt.domain import guest, statistics
from kilonova.virt.libvirt.domain.console import LibvirtConsole
from kilonova.virt.libvirt.domain.guest import Ownership
from kilonova.virt.libvirt.domain.guest_liveness import Pulses
from kilonova.virt.libvirt.host import capabilities, checks
from kilonova.virt.libvirt.host.others import Others
from kilonova.virt.libvirt.network import network
from kilonova.virt.libvirt.network.leases import Leases
from kilonova.virt.libvirt.xml.domain import Domain

T = TypeVar("T")

log = structlog.get_logger(__name__)

STATISTICS_LIMIT_S = 5.0
GOING_DOWN_POLL_S = 0.1
DESTROY_MARGIN_S = 5.0

PULSE_ROUND_LIMIT_S = 600.0

STARTS_AND_ENDS = frozenset({"started", "stopped"})
"""Events after which a guest's process is another one."""

CONSOLES_MOST = 16
"""Each is a connection and a thread."""

POLL_S = 10.0
"""Between two bulk reads of all guests where the URI has no events."""


class LibvirtDriver(power.MemoryDisksFigures):
    """Guests as persistent libvirt domains that bear our metadata.  See ComputeDriver for the promises."""

    def __init__(self, virtapi: VirtAPI, settings: Settings, *, read_only: bool = False) -> None:
        super().__init__(virtapi, settings, read_only=read_only)
        self.connection = HypervisorConnection(virtapi, settings, read_only=read_only, registrar=self._registrar)
        self._pulses = Pulses(self.connection.pulse, settings.libvirt.guest_pulse_timeout, self._pulse_changed)
        self._settling = Settling(
            self.connection.control, self.connection.threads, virtapi.clock, on_overdue=self._overdue
        )
        self._files = DaemonWorkers("files", 2)
        self._inheritance = Inheritance(settings.default.state_path)
        self._others = Others(settings.default.instances_path)
        default = settings.default
        records = default.state_path / "chains"
        self._disks = Disks(default.instances_path, self.connection.uri, self._files, records)
        self.snapshots = Snapshots(
            self._change, self.active_root, self._disks, self._files, virtapi.clock, self._watermark
        )
        self._virt_type = checks.VirtType(settings.default.state_path)
        self._backend = network.backend_of(settings.network.backend, self.connection.uri)
        self._networks: network.Found | None = None
        self._warned_of: network.Found | None = None
        nat = settings.network.name if self._backend == "nat" else ""
        self._leases = Leases(nat, self._settling, virtapi.clock)
        self._offers: Offer | None = None
        self._known: dict[InstanceId, Ownership] = {}
        self._all_known = False
        self._destroying: set[InstanceId] = set()
        self._consoles: dict[InstanceId, LibvirtConsole] = {}
        # Longer than libvirt itself waits for its job: what it then says is worth hearing.
        self._destroy_limit_s = max(settings.libvirt.call_timeout, guest.JOB_WAIT_S + DESTROY_MARGIN_S)
        self._poll_s = POLL_S
        self._polled: Mapping[InstanceId, GuestState] = {}

    # -- the host ----------------------------------------------------------------------------------------------------

    async def init_host(self, tasks: Supervisor) -> None:
        self._settling.inherited = not self.read_only and await self._files.run(self._inheritance.begin)
        self.connection.start(tasks, self._connected)
        self._pulses.start(tasks)
        tasks.periodic("libvirt-poll", self._poll_s, self._poll)
        if period_s := self.settings.libvirt.guest_pulse_interval:
            tasks.periodic("guest-pulse", period_s, self._feel_pulses, limit_s=PULSE_ROUND_LIMIT_S)

    async def cleanup_host(self) -> None:
        async with asyncio.TaskGroup() as group:
            for console in self._consoles.values():
                group.create_task(console.close())
        await self.connection.close()
        if not self.read_only and self._settling.all_known and not self.connection.threads.abandoned:
            await self._files.run(self._inheritance.settle)
        self._settling.inherited = True  # a driver that has let go knows nothing any more; once is enough
        self._files.close()

    async def proxy(self) -> Proxy:
        """A live connection with the whole of libvirt's binding as awaitables: the one way to libvirt for whoever needs
        more than this driver's methods."""
        return await self.connection.proxy()

    async def inventory(self) -> Inventory:
        facts = await self.connection.host.run(checks.read_host)
        total, free = await self._disks.space()
        default = self.settings.default
        memory_mib, disk_gib, reserved_mib = facts.memory_mib, total // GIB, default.reserved_host_memory_mb
        if facts.kind == "QEMU":  # guests of the test driver have no memory
            reserved_mib += await self._others.memory_mib(self.connection.host.run, held_up=bool(self._destroying))
        return Inventory(
            node=facts.hostname,
            hypervisor_type=facts.kind,
            hypervisor_version=facts.version,
            vcpus=facts.cpus,
            memory_mib=memory_mib,
            disk_gib=disk_gib,
            vcpus_capacity=int(facts.cpus * default.cpu_allocation_ratio),
            memory_mib_capacity=_offered(memory_mib, reserved_mib, default.ram_allocation_ratio),
            disk_gib_capacity=_offered(disk_gib, default.reserved_host_disk_mb / 1024, default.disk_allocation_ratio),
            host_ip=default.my_ip,
            arch=facts.cpu.get("arch", "x86_64"),
            disk_available_gib=free // GIB,
            disk_short=disk_short(free, watermark_bytes(default, total), self._disks.root),
            cpu_info=facts.cpu,
            networks=(await self._found()).networks,
            offer=await self._offer(),
        )

    def _registrar(self) -> Registrar:
        return events.registrar(asyncio.get_running_loop(), self._heard)

    def _heard(self, event: GuestEvent) -> None:
        owner = self._known.get(event.instance_id)
        if event.kind == "defined":
            self._outdate(event.instance_id)
        if event.kind in STARTS_AND_ENDS:
            self._pulses.forget(event.instance_id)
        if owner is not None and owner.ours:
            self.virtapi.emit_event(event)

    async def _poll(self) -> None:
        """Instead of events, where there are none: what differs from the last look is told."""
        if not self.connection.host.up or self.connection.host.without_events is None:
            return
        before, now = self._polled, await self.guest_states()
        self._polled = now
        for instance_id in before.keys() | now.keys():
            if before.get(instance_id) != now.get(instance_id):
                self.virtapi.emit_event(GuestEvent(instance_id, "polled"))

    async def _connected(self) -> None:
        """After each connect: what was missed meanwhile is found by one bulk read, and every guest looked at."""
        self._networks = self._offers = None  # they are looked at again: the host may have been rebooted
        if warning := await self.connection.host.run(checks.too_old):
            log.warning("this host is older than what Kilonova was made for", why=warning)
        for instance_id in await self.guest_states():
            self.virtapi.emit_event(GuestEvent(instance_id, RECONNECTED))

    async def _found(self) -> network.Found:
        if self._networks is None:
            look = partial(
                network.look, settings=self.settings.network, backend=self._backend, read_only=self.read_only
            )
            found = await self._control("network", look)
            if not found.networks:  # one may be made meanwhile
                return found
            if found != self._warned_of:
                network.warn(found)
                self._warned_of = found
            if not self.read_only:
                await self._leases.sweep()
            self._networks = found
        return self._networks

    # -- reads -------------------------------------------------------------------------------------------------------

    async def guest_states(self) -> Mapping[InstanceId, GuestState]:
        before = dict(self._known)
        # Before the first full read `_known` cannot stand for all guests.
        without = tuple(self._destroying) if self._all_known else ()
        read = await self.connection.host.run(partial(guest.read_all, known=before, without=without))
        self._all_known = True
        for instance_id in before.keys() | read.learned.keys():
            if self._known.get(instance_id) is not before.get(instance_id):
                continue  # changed while the read was under way: what it saw may be older
            if instance_id not in read.seen:
                del self._known[instance_id]
            elif (owner := read.learned.get(instance_id)) is not None:
                self._known[instance_id] = owner
        return {instance_id: self._pulses.seen(instance_id, state) for instance_id, state in read.states.items()}

    async def guest_state(self, instance_id: InstanceId) -> GuestState | None:
        await self._settling.settled(("guest", instance_id))
        state = await self.connection.control.run(partial(guest.read, instance_id=instance_id))
        return state and self._pulses.seen(instance_id, state)

    async def feel_pulse(self, instance_id: InstanceId) -> None:
        """See Pulse."""
        await self._pulses.feel(instance_id)

    async def _feel_pulses(self) -> None:
        """One after another: with a thousand guests it is a second of calls, and hurries nobody."""
        for instance_id in [id_ for id_, owner in self._known.items() if owner.ours]:
            if instance_id not in self._destroying:  # its domain may be held, and is about to go
                await self._pulses.feel(instance_id)

    def _pulse_changed(self, instance_id: InstanceId) -> None:
        self.virtapi.emit_event(GuestEvent(instance_id, "pulse"))

    def _overdue(self, about: Hashable) -> None:
        match about:
            case ("guest", str(instance_id)):
                self._pulses.soon(InstanceId(instance_id))
            case _:
                return

    async def console_output(self, instance_id: InstanceId, max_bytes: int) -> bytes:
        return await self._disks.console_tail(instance_id, max_bytes)

    async def open_console(self, instance_id: InstanceId) -> LibvirtConsole:
        """See SerialConsole."""
        self.refuse_if_read_only("open_console")
        await self.connection.control.alive()
        self._consoles = {one: console for one, console in self._consoles.items() if not console.ended}
        older = self._consoles.get(instance_id)
        if older is None and len(self._consoles) >= CONSOLES_MOST:
            raise HypervisorError(f"{CONSOLES_MOST} consoles are open on this host: close one.")
        console = LibvirtConsole(instance_id, self.connection.control.options, self.virtapi.clock)
        self._consoles[instance_id] = console
        if older is not None:
            older.end("Another session has taken over this console.")
        try:
            await console.open()
        except BaseException as exc:
            console.end(f"It was not opened: {exc}")
            raise
        return console

    async def guest_figures(self) -> Mapping[InstanceId, GuestFigures]:
        """See GuestStatistics.  Guests that are being destroyed are left out: a host-wide call would wait for them."""
        ours = frozenset(i for i, owner in self._known.items() if owner.ours and i not in self._destroying)
        used = await self.connection.host.run(
            partial(statistics.read_usage, ours=ours, by_name=bool(self._destroying)), deadline_s=STATISTICS_LIMIT_S
        )
        sizes = await self._files.run(statistics.sizes, {i: self._disks.root_disk(i) for i in used})
        return {i: statistics.figures(usage, sizes.get(i, 0)) for i, usage in used.items()}

    async def ping(self) -> None:
        await self.connection.host.run(statistics.ping)

    def abandoned_calls(self) -> int:
        return self.connection.abandoned

    # -- files and network -------------------------------------------------------------------------------------------

    async def ensure_disks(self, instance: Instance, base: BaseImage) -> None:
        self.refuse_if_read_only("ensure_disks")
        await self._disks.ensure_overlay(instance.id, base, instance.flavor.disk_gib)
        await self.local_disks.ensure(instance)

    async def remove_disks(self, instance_id: InstanceId) -> None:
        self.refuse_if_read_only("remove_disks")
        if await self.connection.control.run(partial(guest.exists, instance_id=instance_id)):
            raise HypervisorError(f"Guest {instance_id} is still defined: its disks are kept.")
        await self._disks.remove(instance_id)

    async def ensure_config_drive(self, instance: Instance, files: Mapping[str, bytes]) -> None:
        self.refuse_if_read_only("ensure_config_drive")
        await self._disks.blocking(instance.id, self._write_config_drive, instance.id, dict(files))

    def _write_config_drive(self, instance_id: InstanceId, files: Mapping[str, bytes]) -> None:
        # One that holds the same is left: a guest may run on it.
        if config_drive.contents(self._disks.config_drive(instance_id)) != files:
            self._disks.write_config_drive(instance_id, config_drive.build(files))

    async def ensure_network(self, instance: Instance) -> None:
        self.refuse_if_read_only("ensure_network")
        await self._control("network", partial(network.plug, instance=instance, found=await self._found()))
        await self._leases.free(instance)

    async def remove_network(self, instance: Instance) -> None:
        self.refuse_if_read_only("remove_network")
        await self._leases.give_back(instance)

    # -- domains -----------------------------------------------------------------------------------------------------

    async def define(self, instance: Instance) -> None:
        self.refuse_if_read_only("define")
        self._known[instance.id] = await self.define_as_it_is(await self._domain(instance))

    async def undefine(self, instance_id: InstanceId) -> None:
        await self._change("undefine", instance_id, partial(guest.undefine, instance_id=instance_id))
        self._known.pop(instance_id, None)

    async def power_on(self, instance_id: InstanceId, mark: str) -> None:
        start = partial(guest.start, instance_id=instance_id, mark=mark)
        end = self.virtapi.clock.monotonic() + self.settings.libvirt.call_timeout
        try:
            while (came := await self._change("power_on", instance_id, start)) is guest.Start.LATER:
                if self.virtapi.clock.monotonic() > end:
                    raise HypervisorError(f"Guest {instance_id} is on its way up or down and does not get there.")
                await self.virtapi.clock.sleep(GOING_DOWN_POLL_S)
            if came is guest.Start.SAVED:
                await self.resume(instance_id)
        finally:
            # Its mark may be another one now, whatever became of the call.
            self._outdate(instance_id)

    async def power_off(self, instance_id: InstanceId) -> None:
        self._destroying.add(instance_id)
        try:
            destroy, key = partial(guest.destroy, instance_id=instance_id), ("guest", instance_id)
            if not self.read_only and self.connection.threads.held(key):  # by a call that waits for its QEMU, perhaps
                await self._settling.break_off(key, destroy, deadline_s=self._destroy_limit_s)
            await self._change("power_off", instance_id, destroy, deadline_s=self._destroy_limit_s)
        finally:
            self._destroying.discard(instance_id)
        self._pulses.forget(instance_id)

    async def shutdown(self, instance_id: InstanceId) -> None:
        await self._ask("shutdown", instance_id, partial(guest.shutdown, instance_id=instance_id))

    async def pause(self, instance_id: InstanceId) -> None:
        await self._ask("pause", instance_id, partial(guest.pause, instance_id=instance_id))

    async def unpause(self, instance_id: InstanceId) -> None:
        await self._ask("unpause", instance_id, partial(guest.unpause, instance_id=instance_id))

    # -- how ---------------------------------------------------------------------------------------------------------

    async def _control(self, key: object, fn: Hop[T]) -> T:
        return await self._settling.run(key, fn)

    async def _change(self, name: str, instance_id: InstanceId, fn: Hop[T], *, deadline_s: float | None = None) -> T:
        self.refuse_if_read_only(name)
        return await self._settling.run(("guest", instance_id), fn, deadline_s=deadline_s)

    async def _ask(self, name: str, instance_id: InstanceId, fn: Hop[None]) -> None:
        """A change that the guest's QEMU must agree to, under a key of its own: pulling the plug is the cure for one
        that does not answer, and must not wait behind this."""
        self.refuse_if_read_only(name)
        await self._settling.run(("ask", instance_id), fn, about=("guest", instance_id))

    def _watermark(self, total_bytes: int) -> int:
        return watermark_bytes(self.settings.default, total_bytes)

    def _outdate(self, instance_id: InstanceId) -> None:
        """What is known of the domain may have changed: the next bulk read looks at it."""
        if (owner := self._known.get(instance_id)) is not None:
            self._known[instance_id] = replace(owner, stale=True)

    async def _domain(self, instance: Instance) -> Domain:
        kind = await self._kind()
        if instance.rescue_image is None:  # a server of a time before there were any gets them with its next start
            await self.local_disks.ensure(instance)
        found = network.Found() if kind == definition.SIMULATED else await self._found()
        offer = await self._offer()
        return await self._files.run(definition.domain_of, instance, kind, self.settings, self._disks, found, offer)

    async def _kind(self) -> str:
        return await self._files.run(self._virt_type.choose, self.settings.libvirt.virt_type)

    async def _offer(self) -> Offer:
        if self._offers is None:
            self._offers = await self.connection.host.run(partial(capabilities.read_offer, kind=await self._kind()))
        return self._offers


def _offered(physical: int, reserved: float, ratio: float) -> int:
    return max(0, int((physical - reserved) * ratio))
