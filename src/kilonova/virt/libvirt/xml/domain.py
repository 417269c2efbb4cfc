# SPDX-License-Identifier: Apache-2.0
"""Domain XML as values: frozen dataclasses that render themselves, in a declared order.

Pure: nothing here calls libvirt or looks at the host.  Sizes are in MiB.
"""

from dataclasses import dataclass, field

from lxml import etree

from kilonova.objects.cpu_topology import Topology
from kilonova.virt.libvirt.xml.devices import Device
from kilonova.virt.libvirt.xml.elements import Element, element
from kilonova.virt.libvirt.xml.layer import Layer, backing_store
from kilonova.virt.libvirt.xml.platform import Clock, Cpu, Firmware, SystemInfo, render_cpu

METADATA_URI = "urn:kilonova:instance:1"
"""Namespace of the element that marks a domain as this service's."""
METADATA_PREFIX = "kilonova"
START_URI = "urn:kilonova:start:1"
"""Namespace of the element that stores the token of a guest's last start, in its attribute `mark`."""
START_PREFIX = "kilonova-start"
QEMU_URI = "http://libvirt.org/schemas/domain/qemu/1.0"

SSH_PORT = 22
"""The port on which guests listen."""

USER_NIC_SLOT = 0x10
"""PCI slot on the first bus for the NIC of a user-mode network.  libvirt does not know that device (QEMU's own options
add it), so its slot must be a slot that libvirt does not use: libvirt fills slots from 1 upwards and keeps 0x1b to 0x1f
for the chipset's devices."""


def _writable(text: str) -> str:
    """A user's text in the characters that XML allows: control characters are removed, because XML does not allow them
    even escaped."""
    return "".join(char if char.isprintable() else "?" for char in text)


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata that marks a domain as this service's, with facts for operators."""

    instance_id: str
    project_id: str
    name: str
    start_token: str | None = None

    def render(self, parent: Element) -> None:
        box = element(parent, "metadata")
        ours = etree.SubElement(box, f"{{{METADATA_URI}}}instance", nsmap={METADATA_PREFIX: METADATA_URI})
        for name, value in (("id", self.instance_id), ("project", self.project_id), ("name", self.name)):
            etree.SubElement(ours, f"{{{METADATA_URI}}}{name}").text = _writable(value)
        if self.start_token is not None:
            start = etree.SubElement(box, f"{{{START_URI}}}start", nsmap={START_PREFIX: START_URI})
            start.set("mark", self.start_token)


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk in a file; `device` is "disk" or "cdrom".  Writeback with the guest's flushes passed on is as safe as a
    real disk's own cache, and needs no O_DIRECT of the file system.  `backing` are the files below it, the uppermost
    first, to the chain's end: the hypervisor reads no header to find more."""

    path: str
    target: str
    format: str
    read_only: bool = False
    backing: tuple[Layer, ...] = ()
    bus: str = "virtio"
    device: str = "disk"

    def render(self, parent: Element) -> None:
        disk = element(parent, "disk", type="file", device=self.device)
        driver = element(disk, "driver", name="qemu", type=self.format, cache="writeback")
        if not self.read_only:
            driver.set("discard", "unmap")
        element(disk, "source", file=self.path)
        disk.append(backing_store(self.backing))
        element(disk, "target", dev=self.target, bus=self.bus)
        if self.read_only:
            element(disk, "readonly")


@dataclass(frozen=True, slots=True)
class TrafficFilter:
    """A libvirt network filter by its name, with the values of its variables (see `filters`)."""

    name: str
    parameters: tuple[tuple[str, str], ...] = ()

    def render(self, nic: Element) -> None:
        box = element(nic, "filterref", filter=self.name)
        for name, value in self.parameters:
            element(box, "parameter", name=name, value=value)


@dataclass(frozen=True, slots=True)
class HostInterface:
    """A NIC that ends on the host, on a libvirt network (`kind` network) or on a bridge (`kind` bridge) called
    `source`."""

    kind: str
    source: str
    mac: str
    mtu: int = 1500
    filter: TrafficFilter | None = None
    model: str = "virtio"

    def render(self, parent: Element) -> None:
        nic = element(parent, "interface", type=self.kind)
        element(nic, "mac", address=self.mac)
        element(nic, "source", **{self.kind: self.source})
        element(nic, "model", type=self.model)
        if self.filter is not None:
            self.filter.render(nic)
        element(nic, "mtu", size=self.mtu)
        element(nic, "rom", enabled="no")


@dataclass(frozen=True, slots=True)
class UserInterface:
    """A NIC on QEMU's user-mode network, by QEMU's own options: libvirt's `<interface type='user'>` gives every guest
    the same address, and libvirt 9.0 drops its `<portForward>` without an error.

    `forward` is the host's address and port that lead to the guest's ssh; empty: no port does.  `bus` is QEMU's name of
    the machine's first PCI bus."""

    mac: str
    cidr: str
    gateway: str
    dns: str
    address: str
    hostname: str
    forward: str = ""
    model: str = "virtio"
    bus: str = "pcie.0"

    def render(self, commandline: Element) -> None:
        netdev = (
            f"user,id=kn0,net={self.cidr},host={self.gateway},dns={self.dns},dhcpstart={self.address},"
            f"hostname={_escaped(self.hostname)}"
        )
        if self.forward:
            netdev += f",hostfwd=tcp:{self.forward}-{self.address}:{SSH_PORT}"
        name = "virtio-net-pci" if self.model == "virtio" else self.model
        device = f"{name},netdev=kn0,mac={self.mac},bus={self.bus},addr={USER_NIC_SLOT:#x},romfile="
        for word in ("-netdev", netdev, "-device", device):
            etree.SubElement(commandline, f"{{{QEMU_URI}}}arg", value=word)


def _escaped(text: str) -> str:
    """A comma ends a value in QEMU's options unless it is doubled."""
    return text.replace(",", ",,")


@dataclass(frozen=True, slots=True)
class Domain:
    """A guest's persistent definition.

    `arch` or `machine` None leaves it to libvirt; an alias ("q35") becomes the versioned type when the domain is
    defined.  `kind` is libvirt's domain type; a "test" domain has no `devices`, because only QEMU supports them.
    """

    kind: str
    uuid: str
    name: str
    metadata: Metadata
    memory_mib: int
    vcpus: int
    machine: str | None = "q35"
    arch: str | None = "x86_64"
    cpu: Cpu | None = None
    topology: Topology | None = None
    firmware: Firmware = field(default_factory=Firmware)
    clock: Clock = field(default_factory=Clock)
    system: SystemInfo | None = None
    disks: tuple[Disk, ...] = ()
    nics: tuple[HostInterface | UserInterface, ...] = ()
    devices: tuple[Device, ...] = ()

    def xml(self) -> str:
        """The document, as text."""
        user_nics = [nic for nic in self.nics if isinstance(nic, UserInterface)]
        root = etree.Element("domain", {"type": self.kind}, nsmap={"qemu": QEMU_URI} if user_nics else None)
        for part in (self._identity, self._machine, self._devices):
            part(root)
        if user_nics:
            commandline = etree.SubElement(root, f"{{{QEMU_URI}}}commandline")
            for nic in user_nics:
                nic.render(commandline)
        return etree.tostring(root, pretty_print=True, encoding="unicode")

    def _identity(self, root: Element) -> None:
        element(root, "name", self.name)
        element(root, "uuid", self.uuid)
        self.metadata.render(root)
        element(root, "memory", self.memory_mib, unit="MiB")
        element(root, "vcpu", self.vcpus)

    def _machine(self, root: Element) -> None:
        box = element(root, "os")
        kind = element(box, "type", "hvm")
        for name, value in (("arch", self.arch), ("machine", self.machine)):
            if value is not None:
                kind.set(name, value)
        features = element(root, "features")
        element(features, "acpi")
        element(features, "apic")
        self.firmware.render_os(box, features)
        element(box, "boot", dev="hd")
        if self.system is not None:
            self.system.render(root, box)
        render_cpu(root, self.cpu, self.topology)
        self.clock.render(root, features)
        # A crashed guest must be seen as crashed, not restarted behind the service's back.
        for event, action in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "destroy")):
            element(root, f"on_{event}", action)

    def _devices(self, root: Element) -> None:
        devices = element(root, "devices")
        for disk in self.disks:
            disk.render(devices)
        for nic in self.nics:
            if isinstance(nic, HostInterface):
                nic.render(devices)
        for device in self.devices:
            device.render(devices)


_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


def domain_kind(text: str) -> str:
    """The type of a domain ("kvm"), read from its document."""
    return etree.fromstring(text, _PARSER).get("type", "")


def has_screen(text: str) -> bool:
    """Whether a domain, by its document, has a VNC server."""
    return etree.fromstring(text, _PARSER).find("devices/graphics[@type='vnc']") is not None


def macs(text: str) -> dict[str, str]:
    """The MAC of each NIC of a running domain that ends on the host, by the host's device."""
    found: dict[str, str] = {}
    for nic in etree.fromstring(text, _PARSER).iterfind("devices/interface"):
        target, mac = nic.find("target"), nic.find("mac")
        if target is not None and mac is not None:
            found[target.get("dev", "")] = mac.get("address", "")
    return found


def metadata_instance_id(text: str) -> str | None:
    """The instance id in our metadata element, as libvirt returns it (it takes the namespace away); None when it is
    not there."""
    return etree.fromstring(text, _PARSER).findtext("{*}id")


def start_token(text: str) -> str | None:
    """The token in the start element."""
    return etree.fromstring(text, _PARSER).get("mark")


def start_element(token: str) -> str:
    """The start element without namespace: libvirt adds it in `setMetadata`."""
    return etree.tostring(etree.Element("start", {"mark": token}), encoding="unicode")


def parse_cpu(capabilities: str) -> dict[str, str]:
    """Architecture, model and vendor of the host's CPU, read from a capabilities document."""
    root = etree.fromstring(capabilities, _PARSER)
    found = {name: root.findtext(f"host/cpu/{name}") for name in ("arch", "model", "vendor")}
    return {name: value for name, value in found.items() if value}
