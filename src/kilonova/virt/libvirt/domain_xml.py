# SPDX-License-Identifier: Apache-2.0
"""Domain XML as values: frozen dataclasses that render themselves, in a declared order.

Pure: nothing here calls libvirt or looks at the host.  Sizes are in MiB.
"""

from dataclasses import dataclass

from lxml import etree

from kilonova.virt.libvirt.layer import Layer, backing_store

Element = etree._Element  # pyright: ignore[reportPrivateUsage] - lxml gives the type no public name

METADATA_URI = "urn:kilonova:instance:1"
"""Namespace of the element by which a domain is known to be ours."""
METADATA_PREFIX = "kilonova"
START_URI = "urn:kilonova:start:1"
"""Namespace of the element that keeps the mark of a guest's last start."""
START_PREFIX = "kilonova-start"
QEMU_URI = "http://libvirt.org/schemas/domain/qemu/1.0"

SSH_PORT = 22
"""Where guests listen."""

USER_NIC_SLOT = 0x10
"""PCI slot on pcie.0 for the NIC of a user-mode network.  libvirt does not know of that device (it comes in by QEMU's
own options), so it must lie where libvirt puts nothing: it fills slots from 1 upwards and keeps 0x1b to 0x1f for the
chipset's devices."""


def _element(parent: Element, tag: str, text: str | int | None = None, **attributes: str | int) -> Element:
    made = etree.SubElement(parent, tag, {name: str(value) for name, value in attributes.items()})
    if text is not None:
        made.text = str(text)
    return made


def _writable(text: str) -> str:
    """A user's text as XML can hold it: control characters have no place there, not even escaped."""
    return "".join(char if char.isprintable() else "?" for char in text)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What makes a domain ours, and what an operator reads there."""

    instance_id: str
    project_id: str
    name: str
    mark: str | None = None

    def render(self, parent: Element) -> None:
        box = _element(parent, "metadata")
        ours = etree.SubElement(box, f"{{{METADATA_URI}}}instance", nsmap={METADATA_PREFIX: METADATA_URI})
        for name, value in (("id", self.instance_id), ("project", self.project_id), ("name", self.name)):
            etree.SubElement(ours, f"{{{METADATA_URI}}}{name}").text = _writable(value)
        if self.mark is not None:
            start = etree.SubElement(box, f"{{{START_URI}}}start", nsmap={START_PREFIX: START_URI})
            start.set("mark", self.mark)


@dataclass(frozen=True, slots=True)
class Cpu:
    """`models` are for mode "custom", in order of preference."""

    mode: str
    models: tuple[str, ...] = ()

    def render(self, parent: Element) -> None:
        cpu = _element(parent, "cpu", mode=self.mode)
        if self.mode == "custom":
            cpu.set("match", "exact")
            for model in self.models[:1]:
                _element(cpu, "model", model, fallback="forbid")


@dataclass(frozen=True, slots=True)
class Disk:
    """A virtio disk in a file.  Writeback with the guest's flushes passed on is as safe as a real disk's own cache, and
    needs no O_DIRECT of the file system.  `backing` is what lies below it, the uppermost first, to the chain's end: the
    hypervisor looks into no header for more."""

    path: str
    target: str
    format: str
    read_only: bool = False
    backing: tuple[Layer, ...] = ()

    def render(self, parent: Element) -> None:
        disk = _element(parent, "disk", type="file", device="disk")
        driver = _element(disk, "driver", name="qemu", type=self.format, cache="writeback")
        if not self.read_only:
            driver.set("discard", "unmap")
        _element(disk, "source", file=self.path)
        disk.append(backing_store(self.backing))
        _element(disk, "target", dev=self.target, bus="virtio")
        if self.read_only:
            _element(disk, "readonly")


@dataclass(frozen=True, slots=True)
class TrafficFilter:
    """A filter of libvirt's by its name, with the values of its variables (see `filters`)."""

    name: str
    parameters: tuple[tuple[str, str], ...] = ()

    def render(self, nic: Element) -> None:
        box = _element(nic, "filterref", filter=self.name)
        for name, value in self.parameters:
            _element(box, "parameter", name=name, value=value)


@dataclass(frozen=True, slots=True)
class HostInterface:
    """A NIC that ends on the host, on a libvirt network (`kind` network) or on a bridge (`kind` bridge) called
    `source`."""

    kind: str
    source: str
    mac: str
    mtu: int = 1500
    filter: TrafficFilter | None = None

    def render(self, parent: Element) -> None:
        nic = _element(parent, "interface", type=self.kind)
        _element(nic, "mac", address=self.mac)
        _element(nic, "source", **{self.kind: self.source})
        _element(nic, "model", type="virtio")
        if self.filter is not None:
            self.filter.render(nic)
        _element(nic, "mtu", size=self.mtu)
        _element(nic, "rom", enabled="no")


@dataclass(frozen=True, slots=True)
class UserInterface:
    """A NIC on QEMU's user-mode network, by QEMU's own options: libvirt's `<interface type='user'>` gives every guest
    the same address, and libvirt 9.0 drops its `<portForward>` without a word.

    `forward` is the host's address and port that lead to the guest's ssh; empty: none do."""

    mac: str
    cidr: str
    gateway: str
    dns: str
    address: str
    hostname: str
    forward: str = ""

    def render(self, commandline: Element) -> None:
        netdev = (
            f"user,id=kn0,net={self.cidr},host={self.gateway},dns={self.dns},dhcpstart={self.address},"
            f"hostname={_escaped(self.hostname)}"
        )
        if self.forward:
            netdev += f",hostfwd=tcp:{self.forward}-{self.address}:{SSH_PORT}"
        device = f"virtio-net-pci,netdev=kn0,mac={self.mac},bus=pcie.0,addr={USER_NIC_SLOT:#x},romfile="
        for word in ("-netdev", netdev, "-device", device):
            etree.SubElement(commandline, f"{{{QEMU_URI}}}arg", value=word)


def _escaped(text: str) -> str:
    """A comma ends a value in QEMU's options unless it is doubled."""
    return text.replace(",", ",,")


@dataclass(frozen=True, slots=True)
class Domain:
    """A guest's persistent definition.

    `arch` or `machine` None leaves it to libvirt; an alias ("q35") becomes the versioned type when the domain is
    defined.  `kind` is libvirt's domain type; a "test" domain has no devices that only QEMU knows.
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
    disks: tuple[Disk, ...] = ()
    nics: tuple[HostInterface | UserInterface, ...] = ()
    console_log: str | None = None
    agent_socket: str | None = None

    def xml(self) -> str:
        """The document, as text."""
        user_nics = [nic for nic in self.nics if isinstance(nic, UserInterface)]
        root = etree.Element("domain", {"type": self.kind}, nsmap={"qemu": QEMU_URI} if user_nics else None)
        for part in (self._identity, self._os, self._lifecycle, self._devices):
            part(root)
        if user_nics:
            commandline = etree.SubElement(root, f"{{{QEMU_URI}}}commandline")
            for nic in user_nics:
                nic.render(commandline)
        return etree.tostring(root, pretty_print=True, encoding="unicode")

    def _identity(self, root: Element) -> None:
        _element(root, "name", self.name)
        _element(root, "uuid", self.uuid)
        self.metadata.render(root)
        _element(root, "memory", self.memory_mib, unit="MiB")
        _element(root, "vcpu", self.vcpus)

    def _os(self, root: Element) -> None:
        box = _element(root, "os")
        kind = _element(box, "type", "hvm")
        for name, value in (("arch", self.arch), ("machine", self.machine)):
            if value is not None:
                kind.set(name, value)
        _element(box, "boot", dev="hd")
        features = _element(root, "features")
        _element(features, "acpi")
        _element(features, "apic")
        if self.cpu is not None:
            self.cpu.render(root)

    def _lifecycle(self, root: Element) -> None:
        _element(root, "clock", offset="utc")
        # A crashed guest must be seen as crashed, not restarted behind the service's back.
        for event, action in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "destroy")):
            _element(root, f"on_{event}", action)

    def _devices(self, root: Element) -> None:
        devices = _element(root, "devices")
        for disk in self.disks:
            disk.render(devices)
        for nic in self.nics:
            if isinstance(nic, HostInterface):
                nic.render(devices)
        if self.kind == "test":
            return
        _element(devices, "controller", type="usb", model="none")
        serial = _element(devices, "serial", type="pty")
        if self.console_log is not None:
            _element(serial, "log", file=self.console_log, append="on")
        _element(serial, "target", port=0)
        console = _element(devices, "console", type="pty")
        _element(console, "target", type="serial", port=0)
        agent = _element(devices, "channel", type="unix")
        if self.agent_socket is not None:
            _element(agent, "source", mode="bind", path=self.agent_socket)
        _element(agent, "target", type="virtio", name="org.qemu.guest_agent.0")
        _element(devices, "memballoon", model="virtio")
        rng = _element(devices, "rng", model="virtio")
        _element(rng, "backend", "/dev/urandom", model="random")


_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


def domain_kind(text: str) -> str:
    """The type of a domain, of its document ("kvm")."""
    return etree.fromstring(text, _PARSER).get("type", "")


def macs(text: str) -> dict[str, str]:
    """The MAC of each NIC of a running domain that ends on the host, by the device there."""
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


def metadata_mark(text: str) -> str | None:
    """The mark in our start element."""
    return etree.fromstring(text, _PARSER).get("mark")


def start_element(mark: str) -> str:
    """The start element without namespace: libvirt adds it in `setMetadata`."""
    return etree.tostring(etree.Element("start", {"mark": mark}), encoding="unicode")


def parse_cpu(capabilities: str) -> dict[str, str]:
    """Architecture, model and vendor of the host's CPU, of a capabilities document."""
    root = etree.fromstring(capabilities, _PARSER)
    found = {name: root.findtext(f"host/cpu/{name}") for name in ("arch", "model", "vendor")}
    return {name: value for name, value in found.items() if value}
