# SPDX-License-Identifier: Apache-2.0
"""Devices of a guest besides its disks and NICs."""

from dataclasses import dataclass
from typing import Protocol

from kilonova.virt.libvirt.xml.elements import Element, element


class Device(Protocol):
    """An element that renders itself among a domain's devices."""

    def render(self, parent: Element) -> None: ...


@dataclass(frozen=True, slots=True)
class UsbController:
    """`model` "none": the guest has no USB."""

    model: str = "none"

    def render(self, parent: Element) -> None:
        element(parent, "controller", type="usb", model=self.model)


@dataclass(frozen=True, slots=True)
class ScsiController:
    model: str

    def render(self, parent: Element) -> None:
        element(parent, "controller", type="scsi", index=0, model=self.model)


@dataclass(frozen=True, slots=True)
class Serial:
    """The console, with a log of the guest's output."""

    log: str | None = None

    def render(self, parent: Element) -> None:
        serial = element(parent, "serial", type="pty")
        if self.log is not None:
            element(serial, "log", file=self.log, append="on")
        element(serial, "target", port=0)
        console = element(parent, "console", type="pty")
        element(console, "target", type="serial", port=0)


@dataclass(frozen=True, slots=True)
class AgentChannel:
    """`socket` None: libvirt chooses the path."""

    socket: str | None = None

    def render(self, parent: Element) -> None:
        agent = element(parent, "channel", type="unix")
        if self.socket is not None:
            element(agent, "source", mode="bind", path=self.socket)
        element(agent, "target", type="virtio", name="org.qemu.guest_agent.0")


@dataclass(frozen=True, slots=True)
class Balloon:
    def render(self, parent: Element) -> None:
        element(parent, "memballoon", model="virtio")


@dataclass(frozen=True, slots=True)
class RandomNumbers:
    """At most `rate_bytes` in each `rate_period` milliseconds; 0: as fast as it comes."""

    rate_bytes: int = 0
    rate_period: int = 0

    def render(self, parent: Element) -> None:
        rng = element(parent, "rng", model="virtio")
        if self.rate_bytes:
            rate = element(rng, "rate", bytes=self.rate_bytes)
            if self.rate_period:
                rate.set("period", str(self.rate_period))
        element(rng, "backend", "/dev/urandom", model="random")


@dataclass(frozen=True, slots=True)
class Video:
    model: str

    def render(self, parent: Element) -> None:
        element(element(parent, "video"), "model", type=self.model)


@dataclass(frozen=True, slots=True)
class Tablet:
    """A pointer with absolute positions, on USB."""

    def render(self, parent: Element) -> None:
        element(parent, "input", type="tablet", bus="usb")


@dataclass(frozen=True, slots=True)
class VncScreen:
    """A VNC server that listens nowhere: libvirt hands out connections to it (virDomainOpenGraphicsFD).  Several
    viewers at once are permitted."""

    def render(self, parent: Element) -> None:
        graphics = element(parent, "graphics", type="vnc", sharePolicy="force-shared")
        element(graphics, "listen", type="none")


@dataclass(frozen=True, slots=True)
class Watchdog:
    action: str

    def render(self, parent: Element) -> None:
        element(parent, "watchdog", model="i6300esb", action=self.action)


@dataclass(frozen=True, slots=True)
class EmulatedTpm:
    """A TPM that swtpm emulates. libvirt keeps its state, and removes it with the domain."""

    model: str
    version: str

    def render(self, parent: Element) -> None:
        element(element(parent, "tpm", model=self.model), "backend", type="emulator", version=self.version)
