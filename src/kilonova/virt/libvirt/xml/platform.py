# SPDX-License-Identifier: Apache-2.0
"""A guest's machine: firmware, features, processors, clock, and its SMBIOS values."""

from dataclasses import dataclass

from kilonova.objects.cpu_topology import Topology
from kilonova.virt.libvirt.xml.elements import Element, element

SPINLOCK_RETRIES = 8191
"""Nova's value."""


@dataclass(frozen=True, slots=True)
class Firmware:
    """BIOS, or UEFI: libvirt chooses firmware of the host that has the requested features."""

    uefi: bool = False
    secure_boot: bool = False
    boot_menu: bool = False

    def render_os(self, os: Element, features: Element) -> None:
        if self.uefi:
            os.set("firmware", "efi")
            wanted = "yes" if self.secure_boot else "no"
            box = element(os, "firmware")
            element(box, "feature", enabled=wanted, name="enrolled-keys")
            element(box, "feature", enabled=wanted, name="secure-boot")
            if self.secure_boot:
                element(features, "smm", state="on")
        if self.boot_menu:
            element(os, "bootmenu", enable="yes")


@dataclass(frozen=True, slots=True)
class Cpu:
    """`models` are for mode "custom", in order of preference."""

    mode: str
    models: tuple[str, ...] = ()

    def render(self, cpu: Element) -> None:
        cpu.set("mode", self.mode)
        if self.mode == "custom":
            cpu.set("match", "exact")
            for model in self.models[:1]:
                element(cpu, "model", model, fallback="forbid")


def render_cpu(root: Element, cpu: Cpu | None, topology: Topology | None) -> None:
    """The processors' element; None when nothing is configured for them."""
    if cpu is None and topology is None:
        return
    box = element(root, "cpu")
    if cpu is not None:
        cpu.render(box)
    if topology is not None:
        element(box, "topology", sockets=topology.sockets, cores=topology.cores, threads=topology.threads)


@dataclass(frozen=True, slots=True)
class Clock:
    """`windows`: local time, and the enlightenments that Windows uses.  `hpet` None leaves it to libvirt."""

    windows: bool = False
    hpet: bool | None = None

    def render(self, root: Element, features: Element) -> None:
        clock = element(root, "clock", offset="localtime" if self.windows else "utc")
        if self.hpet is not None:
            element(clock, "timer", name="hpet", present="yes" if self.hpet else "no")
        if self.windows:
            element(clock, "timer", name="hypervclock", present="yes")
            hyperv = element(features, "hyperv")
            for name in ("relaxed", "vapic"):
                element(hyperv, name, state="on")
            element(hyperv, "spinlocks", state="on", retries=SPINLOCK_RETRIES)


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """The values that a guest reads in its SMBIOS. Source: Nova's libvirt driver; cloud-init's ds-identify recognizes
    an OpenStack guest by these words; the serial number is the server's id (Nova's sysinfo_serial = unique)."""

    version: str
    uuid: str

    def render(self, root: Element, os: Element) -> None:
        system = element(element(root, "sysinfo", type="smbios"), "system")
        for name, value in (
            ("manufacturer", "OpenStack Foundation"),
            ("product", "OpenStack Nova"),
            ("version", self.version),
            ("serial", self.uuid),
            ("uuid", self.uuid),
            ("family", "Virtual Machine"),
        ):
            element(system, "entry", value, name=name)
        element(os, "smbios", mode="sysinfo")
