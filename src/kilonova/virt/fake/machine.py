# SPDX-License-Identifier: Apache-2.0
"""The machine below a fake driver: guests in memory, and faults for tests to cause."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import ConfigDict

from kilonova.base.errors import HypervisorError, OutcomeUnknown
from kilonova.objects.guest import NOT_RESPONDING, RECONNECTED, GuestEvent, GuestState
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import SAVED, PowerState
from kilonova.virt.base_image import BaseImage
from kilonova.virt.console import ConsoleBuffer
from kilonova.virt.driver import VirtAPI

BeforeCall = Callable[[str, InstanceId | None], Awaitable[Exception | None]]
"""Called with the method's name and the guest before each driver call does anything.  It may wait (a slow call), raise
(the call fails and did nothing), or return an exception (the call does its work and then fails: an unknown outcome; for
CutOff it does it later)."""


class Listener(Protocol):
    """A connected driver."""

    virtapi: VirtAPI

    def receive(self, event: GuestEvent) -> None: ...


class Screen(Protocol):
    """An open session on a guest's screen."""

    def changed(self) -> None: ...

    def end(self, why: str) -> None: ...


class CutOff(OutcomeUnknown):
    """Returned by a hook: a call that changes a domain is lost with its connection, and executed `late_s` seconds later
    all the same.  As with a real hypervisor, no caller reads or changes its guest meanwhile."""

    def __init__(self, late_s: float) -> None:
        super().__init__("The connection was lost: the call may still happen.")
        self.late_s = late_s


BOOT = "Booting from disk\r\nMemory: {memory_mib} MiB\r\nHost name: {host}\r\n\r\n{host} login: \r\n"
"""The text that a guest writes to its console as it starts."""


OFF = "The guest is no longer running."
"""Why the sessions on its console and its screen end."""


@dataclass(slots=True)
class FakeParts:
    """The parts of one guest that outlive the process of its host."""

    __pydantic_config__ = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    base: BaseImage | None = None
    rescue: BaseImage | None = None
    disk_bytes: int = 0
    disk_gone: bool = False
    """The root disk's file was removed; a running guest still has it open."""
    disk_moved: str = ""
    """The active file of the root disk, when other tools have changed it."""
    kept_disk: tuple[str, int] | None = None
    """The tag under which a copy of the root disk is kept, and its size in bytes."""
    local_disks: dict[str, int] = field(default_factory=dict[str, int])
    """Bytes of each swap or ephemeral disk, by its kind."""
    kept_ephemeral: dict[str, int] = field(default_factory=dict[str, int])
    """Bytes of a copy of the ephemeral disk, by its tag."""
    snapshots: dict[str, bytes] = field(default_factory=dict[str, bytes])
    config_drive: Mapping[str, bytes] | None = None
    network: bool = False
    definition: Instance | None = None
    power: PowerState = PowerState.SHUTDOWN
    reason: str = ""
    start_token: str | None = None
    console: bytes = b""
    starts: int = 0
    frozen: bool = False
    pressed: int = 0
    """The number of keys that were pressed: the picture on the screen depends on it."""


@dataclass(slots=True)
class FakeGuest(FakeParts):
    """All parts of one guest on its host."""

    session: ConsoleBuffer | None = None
    screens: list[Screen] = field(default_factory=list[Screen])

    @property
    def saved(self) -> bool:
        """Whether the guest's memory is saved on the host's disk."""
        return (self.power, self.reason) == (PowerState.SUSPENDED, SAVED)

    @property
    def off(self) -> bool:
        """Whether the guest has no process."""
        return self.saved or self.power in (PowerState.SHUTDOWN, PowerState.CRASHED)

    @property
    def boots_from(self) -> BaseImage | None:
        """The image of the guest's first disk."""
        rescued = self.definition is not None and self.definition.rescue_image is not None
        return self.rescue if rescued else self.base

    @property
    def state(self) -> GuestState:
        """The state that the hypervisor reports."""
        if self.frozen and self.power is PowerState.RUNNING:
            return GuestState(PowerState.NOSTATE, NOT_RESPONDING, self.start_token)
        return GuestState(self.power, self.reason, self.start_token)

    def say(self, text: bytes) -> None:
        """The guest writes to its serial console."""
        self.console += text
        if self.session is not None:
            self.session.put(text)

    def press(self) -> None:
        """A key is pressed, and the picture on the screen changes."""
        self.pressed += 1
        for screen in self.screens:
            screen.changed()

    def hang_up(self, why: str) -> None:
        """End the session on the serial console, if there is one."""
        if self.session is not None:
            self.session.end(why)
            self.session = None

    def switch_off(self) -> None:
        """End all sessions: the guest is off."""
        self.hang_up(OFF)
        for screen in list(self.screens):
            screen.end(OFF)

    @property
    def empty(self) -> bool:
        disks = (self.base, self.rescue, self.kept_disk, self.config_drive)
        return all(disk is None for disk in disks) and not self.network and self.definition is None


def _unnoticed(_instance_id: InstanceId) -> None:
    """The `changed` of a machine in memory."""


@dataclass(slots=True)
class FakeHypervisor:
    """The machine below a FakeDriver.  The same machine under the next driver is a restart of the service while its
    guests run on.  `obeys_acpi` False makes guests ignore `shutdown`.  Sizes as in HostResources."""

    vcpus: int = 20_000
    memory_mib: int = 40_000 * 1024
    disk_gib: int = 1_000_000
    before_call: BeforeCall | None = None
    obeys_acpi: bool = True
    disk_short: str = ""
    guests: dict[InstanceId, FakeGuest] = field(default_factory=dict[InstanceId, FakeGuest])
    away: str | None = None
    drivers: list[Listener] = field(default_factory=list[Listener])
    late: dict[InstanceId, asyncio.Future[None]] = field(default_factory=dict[InstanceId, asyncio.Future[None]])
    """For each guest, the end of its cut-off call that was not executed yet."""
    changed: Callable[[InstanceId], None] = _unnoticed
    """Called after each change of a guest's parts, before the call that changed them returns."""

    def do_later(self, instance_id: InstanceId, late_s: float, work: Callable[[], None]) -> None:
        """Execute `work` in so many seconds, whether or not the process that requested it still exists."""
        loop = asyncio.get_running_loop()
        done = self.late[instance_id] = loop.create_future()

        def happen() -> None:
            if self.late.get(instance_id) is not done:
                return  # the machine lost its power, and the call with it
            del self.late[instance_id]
            done.set_result(None)
            with contextlib.suppress(HypervisorError):  # no caller receives a refusal
                work()
            self.changed(instance_id)

        loop.call_later(late_s, happen)

    def move(self, instance_id: InstanceId, power: PowerState, reason: str) -> None:
        """The guest changes its power state, for any cause, and the hypervisor emits an event."""
        guest = self.guests.get(instance_id)
        if guest is None or guest.definition is None or guest.power == power:
            return
        continues = guest.saved or guest.power is PowerState.PAUSED
        guest.power, guest.reason = power, reason
        guest.frozen = guest.frozen and power is PowerState.RUNNING
        if power is PowerState.RUNNING and not continues:
            guest.starts += 1
            guest.say(
                BOOT.format(memory_mib=guest.definition.flavor.memory_mib, host=guest.definition.hostname).encode()
            )
        elif power not in (PowerState.RUNNING, PowerState.PAUSED):
            guest.switch_off()
        self.changed(instance_id)
        self.emit(GuestEvent(instance_id, "lifecycle", reason))

    def emit(self, event: GuestEvent) -> None:
        """Send the event to every connected driver, as a real hypervisor does: later, from the event loop. While the
        hypervisor is away, no driver receives it."""
        if self.away is None:
            for driver in self.drivers:
                driver.receive(event)

    def crash(self, instance_id: InstanceId) -> None:
        """The guest's process dies."""
        self.move(instance_id, PowerState.CRASHED, "crashed")

    def freeze(self, instance_id: InstanceId, frozen: bool = True) -> None:
        """The guest's process stops answering, or answers again; it can still be powered off."""
        self.guests[instance_id].frozen = frozen
        self.emit(GuestEvent(instance_id, "liveness"))

    def lose_power(self) -> None:
        """The host reboots: every guest is off without an event; saved memory stays saved."""
        for guest in self.guests.values():
            if not guest.saved:
                guest.power, guest.reason = PowerState.SHUTDOWN, ""  # as libvirt reports it
            guest.switch_off()
        for done in self.late.values():
            done.set_result(None)
        self.late.clear()

    def go_away(self, reason: str) -> None:
        """The connection is lost: every call is refused until `come_back`.  Guests continue to run."""
        self.away = reason
        for driver in self.drivers:
            driver.virtapi.set_host_enabled(False, reason)

    def come_back(self) -> None:
        """The connection is back: the drivers report it and have every guest read again."""
        self.away = None
        for driver in self.drivers:
            driver.virtapi.set_host_enabled(True)
        for instance_id, guest in self.guests.items():
            if guest.definition is not None:
                self.emit(GuestEvent(instance_id, RECONNECTED))


class FakeConsole:
    """A guest that echoes its input, as a terminal line in echo mode does.  See ConsoleStream."""

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
