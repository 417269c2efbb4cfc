# SPDX-License-Identifier: Apache-2.0
"""A hypervisor in memory, with the observable semantics of a real one.

It ships: `compute_driver = fake.FakeDriver` runs a whole cloud without virtual machines, to try the API, to load-test
the control plane, and to simulate faults.  It reads no clock, starts no thread and writes no file, so everything that
happens in it follows from the order of calls.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from kilonova.base.errors import HypervisorError, HypervisorUnavailable, InvalidState
from kilonova.base.tasks import Supervisor
from kilonova.config.load import Settings
from kilonova.networks.addresses import bridge_network, host_network
from kilonova.objects.guest import NOT_RESPONDING, RECONNECTED, GuestEvent, GuestState
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.service import HostNetwork, Inventory
from kilonova.objects.states import PowerState
from kilonova.virt.console import ConsoleBuffer
from kilonova.virt.driver import BaseImage, ComputeDriver, VirtAPI

SUBNET = "10.64.0.0/16"
"""Addresses for 65,000 guests; the network exists nowhere."""

BeforeCall = Callable[[str, InstanceId | None], Awaitable[Exception | None]]
"""Called with the method's name and the guest before each driver call does anything.  It may wait (a slow call), raise
(the call fails and did nothing), or return an exception (the call does its work and then fails: an unknown outcome)."""

Listener = Callable[[GuestEvent], None]


@dataclass(slots=True)
class FakeGuest:
    """Everything that a host holds of one guest."""

    base: BaseImage | None = None
    config_drive: Mapping[str, bytes] | None = None
    network: bool = False
    definition: Instance | None = None
    power: PowerState = PowerState.SHUTDOWN
    reason: str = ""
    mark: str | None = None
    console: bytearray = field(default_factory=bytearray)
    starts: int = 0
    frozen: bool = False
    session: ConsoleBuffer | None = None

    @property
    def state(self) -> GuestState:
        """What the hypervisor says of it."""
        if self.frozen and self.power is PowerState.RUNNING:
            return GuestState(PowerState.NOSTATE, NOT_RESPONDING, self.mark)
        return GuestState(self.power, self.reason, self.mark)

    def say(self, text: bytes) -> None:
        """The guest writes to its serial console."""
        self.console += text
        if self.session is not None:
            self.session.put(text)

    def hang_up(self, why: str) -> None:
        """Whoever is on the console is so no longer."""
        if self.session is not None:
            self.session.end(why)
            self.session = None

    @property
    def empty(self) -> bool:
        return self.base is None and self.config_drive is None and not self.network and self.definition is None


@dataclass(slots=True)
class FakeHypervisor:
    """The machine below a FakeDriver.  Give the same one to the next driver and the service has been restarted while
    its guests ran on.  `obeys_acpi` False makes guests ignore `shutdown`.  Sizes as in Inventory."""

    vcpus: int = 20_000
    memory_mib: int = 40_000 * 1024
    disk_gib: int = 1_000_000
    before_call: BeforeCall | None = None
    obeys_acpi: bool = True
    disk_short: str = ""
    guests: dict[InstanceId, FakeGuest] = field(default_factory=dict[InstanceId, FakeGuest])
    away: str | None = None
    drivers: list["FakeDriver"] = field(default_factory=list["FakeDriver"])

    def move(self, instance_id: InstanceId, power: PowerState, reason: str) -> None:
        """The guest changes its power state, for whatever cause, and the hypervisor says so."""
        guest = self.guests.get(instance_id)
        if guest is None or guest.definition is None or guest.power == power:
            return
        goes_on = guest.power is PowerState.PAUSED
        guest.power, guest.reason = power, reason
        guest.frozen = guest.frozen and power is PowerState.RUNNING
        if power is PowerState.RUNNING and not goes_on:
            guest.starts += 1
            guest.say(f"{guest.definition.hostname} login: \r\n".encode())
        elif power not in (PowerState.RUNNING, PowerState.PAUSED):
            guest.hang_up("The guest is no longer running.")
        self.emit(GuestEvent(instance_id, "lifecycle", reason))

    def emit(self, event: GuestEvent) -> None:
        """Tell every connected driver, as a real one would hear it: later, from the event loop; nobody while away."""
        if self.away is None:
            for driver in self.drivers:
                driver.hear(event)

    def crash(self, instance_id: InstanceId) -> None:
        """The guest's process dies."""
        self.move(instance_id, PowerState.CRASHED, "crashed")

    def freeze(self, instance_id: InstanceId, frozen: bool = True) -> None:
        """The guest's process answers nothing any more, or does again; its plug can be pulled all the same."""
        self.guests[instance_id].frozen = frozen
        self.emit(GuestEvent(instance_id, "pulse"))

    def lose_power(self) -> None:
        """The host reboots: every guest is off and nobody was told."""
        for guest in self.guests.values():
            guest.power, guest.reason = PowerState.SHUTDOWN, "unknown"
            guest.hang_up("The guest is no longer running.")

    def go_away(self, reason: str) -> None:
        """The connection is lost: every call is refused until `come_back`.  Guests run on."""
        self.away = reason
        for driver in self.drivers:
            driver.virtapi.set_host_enabled(False, reason)

    def come_back(self) -> None:
        """The connection is there again: the drivers say so and have every guest looked at."""
        self.away = None
        for driver in self.drivers:
            driver.virtapi.set_host_enabled(True)
        for instance_id, guest in self.guests.items():
            if guest.definition is not None:
                self.emit(GuestEvent(instance_id, RECONNECTED))


class FakeConsole:
    """A guest that says back what is typed, as a terminal line in echo mode does.  See ConsoleStream."""

    def __init__(self, guest: FakeGuest) -> None:
        self._guest, self._buffer = guest, ConsoleBuffer()
        guest.hang_up("Another session has taken over this console.")
        guest.session = self._buffer

    @property
    def ended(self) -> str:
        return self._buffer.ended

    async def read(self) -> bytes:
        return await self._buffer.take()

    async def write(self, data: bytes) -> None:
        if self.ended:
            raise HypervisorError(self.ended)
        self._guest.say(data)

    async def close(self) -> None:
        if self._guest.session is self._buffer:
            self._guest.hang_up("The session was closed.")


class FakeDriver(ComputeDriver):
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

    @asynccontextmanager
    async def _call(
        self, name: str, instance_id: InstanceId | None = None, *, changes: bool
    ) -> AsyncGenerator[None, None]:
        if changes and self.read_only:
            raise HypervisorError(f"The driver is read-only: {name} is refused.")
        hook = self.hypervisor.before_call
        fail_after = await hook(name, instance_id) if hook is not None else None
        if self.hypervisor.away is not None:
            raise HypervisorUnavailable(
                f"The hypervisor of {self.settings.default.host} is not available: {self.hypervisor.away}",
                host=self.settings.default.host,
            )
        yield
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
            guest.base = guest.base or base

    async def remove_disks(self, instance_id: InstanceId) -> None:
        async with self._call("remove_disks", instance_id, changes=True):
            if self._defined(instance_id) is not None:
                raise HypervisorError(f"Guest {instance_id} is still defined: its disks are kept.")
            guest = self.hypervisor.guests.get(instance_id)
            if guest is not None:
                guest.base, guest.config_drive = None, None
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
        async with self._call("define", instance.id, changes=True):
            self._guest(instance.id).definition = instance

    async def undefine(self, instance_id: InstanceId) -> None:
        async with self._call("undefine", instance_id, changes=True):
            guest = self._defined(instance_id)
            if guest is None:
                return
            if guest.power not in (PowerState.SHUTDOWN, PowerState.CRASHED):
                raise HypervisorError(f"Guest {instance_id} is not off: it stays defined.")
            guest.definition, guest.mark = None, None
            guest.power, guest.reason = PowerState.SHUTDOWN, ""
            self._forget_if_empty(instance_id)

    async def power_on(self, instance_id: InstanceId, mark: str) -> None:
        async with self._call("power_on", instance_id, changes=True):
            guest = self._defined(instance_id)
            if guest is None:
                raise HypervisorError(f"Guest {instance_id} is not known to the hypervisor.")
            if guest.power is PowerState.PAUSED:
                self.hypervisor.move(instance_id, PowerState.RUNNING, "unpaused")
            if guest.power is PowerState.RUNNING:
                return
            if guest.base is None:
                raise HypervisorError(f"Guest {instance_id} has no disk.")
            guest.mark = mark
            self.hypervisor.move(instance_id, PowerState.RUNNING, "booted")

    async def power_off(self, instance_id: InstanceId) -> None:
        async with self._call("power_off", instance_id, changes=True):
            self.hypervisor.move(instance_id, PowerState.SHUTDOWN, "destroyed")

    async def shutdown(self, instance_id: InstanceId) -> None:
        async with self._call("shutdown", instance_id, changes=True):
            guest = self._defined(instance_id)
            if guest is None or guest.power is not PowerState.RUNNING or guest.frozen:
                return
            if not self.hypervisor.obeys_acpi:
                return
            # A real guest takes its time: it is still running when this call returns.
            loop = asyncio.get_running_loop()
            loop.call_soon(self.hypervisor.move, instance_id, PowerState.SHUTDOWN, "shutdown")

    async def pause(self, instance_id: InstanceId) -> None:
        async with self._call("pause", instance_id, changes=True):
            self._live(instance_id)
            self.hypervisor.move(instance_id, PowerState.PAUSED, "user")

    async def unpause(self, instance_id: InstanceId) -> None:
        async with self._call("unpause", instance_id, changes=True):
            guest = self._live(instance_id)
            if guest.power is PowerState.PAUSED:
                self.hypervisor.move(instance_id, PowerState.RUNNING, "unpaused")

    def _live(self, instance_id: InstanceId) -> FakeGuest:
        guest = self._defined(instance_id)
        if guest is None or guest.power not in (PowerState.RUNNING, PowerState.PAUSED):
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
