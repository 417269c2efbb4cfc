# SPDX-License-Identifier: Apache-2.0
"""Domain and network documents: whole, in order, with no field forgotten."""

from collections.abc import Callable
from dataclasses import MISSING, Field, fields, replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from kilonova.objects.cpu_topology import Topology
from kilonova.objects.hardware import Hardware, Rng, Tpm
from kilonova.virt.libvirt import hardware
from kilonova.virt.libvirt.xml import domain as domain_xml
from kilonova.virt.libvirt.xml import network as network_xml
from kilonova.virt.libvirt.xml.devices import (
    AgentChannel,
    EmulatedTpm,
    RandomNumbers,
    ScsiController,
    Serial,
    UsbController,
    Video,
    Watchdog,
)
from kilonova.virt.libvirt.xml.domain import (
    Disk,
    Domain,
    HostInterface,
    Metadata,
    TrafficFilter,
    UserInterface,
)
from kilonova.virt.libvirt.xml.layer import Layer
from kilonova.virt.libvirt.xml.network import DhcpHost, DnsHost, NatNetwork
from kilonova.virt.libvirt.xml.platform import Clock, Cpu, Firmware, SystemInfo

GOLDEN = Path(__file__).parent / "golden"

ID = "5f0e3b2a-7d0c-4f57-9f3b-0a2f6f1d9c11"
DIRECTORY = f"/var/lib/kilonova/instances/{ID}"

METADATA = Metadata(ID, "project", 'a "name" & <more>')
BASE = Layer("/var/lib/kilonova/instances/_base/1.raw", "raw")
ROOT = Disk(f"{DIRECTORY}/disk", "vda", "qcow2", backing=(BASE,))
CONFIG = Disk(f"{DIRECTORY}/disk.config", "vdb", "raw", read_only=True)
USER = UserInterface(
    mac="fa:16:3e:00:00:01",
    cidr="10.0.2.0/24",
    gateway="10.0.2.2",
    dns="10.0.2.3",
    address="10.0.2.16",
    hostname="a-name",
    forward="127.1.2.3:2222",
)
FILTER = TrafficFilter("kilonova-project", (("IP", "10.77.0.16"), ("PROJECT", "fa:16:3e:00:00:00")))
NAT = HostInterface("network", "kilonova", "fa:16:3e:00:00:01", filter=FILTER)
BRIDGE = HostInterface("bridge", "br-lan", "fa:16:3e:00:00:02", mtu=9000)

USER_MODE = Domain(
    kind="qemu",
    uuid=ID,
    name=f"kilonova-{ID}",
    metadata=METADATA,
    memory_mib=512,
    vcpus=2,
    disks=(ROOT, CONFIG),
    nics=(USER,),
    devices=hardware.devices(Hardware(), f"{DIRECTORY}/console.log", f"{DIRECTORY}/agent.sock", vnc=False),
)
KVM_NAT = replace(
    USER_MODE,
    kind="kvm",
    metadata=replace(METADATA, start_token="attempt-1"),
    cpu=Cpu("host-passthrough"),
    system=SystemInfo("1.2.3", ID),
    nics=(NAT, BRIDGE),
    devices=hardware.devices(Hardware(), f"{DIRECTORY}/console.log", None, vnc=True),
)
WISH = Hardware(
    uefi=True,
    secure_boot="required",
    disk_bus="scsi",
    cdrom_bus="usb",
    scsi_model="virtio-scsi",
    vif_model="e1000e",
    video_model="vga",
    watchdog="reset",
    boot_menu=True,
    guest_agent=False,
    windows=True,
    hpet=False,
    rng=Rng(1024, 500),
    tpm=Tpm("2.0", "tpm-crb"),
    topology=Topology(1, 2, 1),
)
WISHED = replace(
    KVM_NAT,
    topology=WISH.topology,
    firmware=hardware.firmware(WISH, can_secure_boot=False),
    clock=hardware.clock(WISH),
    disks=(
        replace(ROOT, target="sda", bus="scsi"),
        Disk(f"{DIRECTORY}/disk.config", "sdb", "raw", read_only=True, bus="usb", device="cdrom"),
    ),
    nics=(replace(NAT, model="e1000e"),),
    devices=hardware.devices(WISH, f"{DIRECTORY}/console.log", None, vnc=False),
)
UEFI = replace(KVM_NAT, firmware=Firmware(uefi=True))
SIMULATED = Domain(
    kind="test",
    uuid=ID,
    name=f"kilonova-{ID}",
    metadata=METADATA,
    memory_mib=64,
    vcpus=1,
    machine=None,
    arch=None,
    disks=(ROOT,),
)
NETWORK = NatNetwork(
    name="kilonova",
    bridge="kilonovabr",
    gateway="10.77.0.1",
    netmask="255.255.240.0",
    reserved=DhcpHost("02:00:00:00:00:01", "10.77.0.2", "reserved"),
    dns=("192.0.2.53",),
    hosts=(DhcpHost("fa:16:3e:00:00:01", "10.77.0.16", "a-name"),),
)
NAME = DnsHost("10.77.0.16", ("db.project",))

DOCUMENTS = {
    "user-mode.xml": USER_MODE,
    "kvm-nat.xml": KVM_NAT,
    "wished.xml": WISHED,
    "uefi.xml": UEFI,
    "test.xml": SIMULATED,
    "network.xml": NETWORK,
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_whole_documents(name: str) -> None:
    assert DOCUMENTS[name].xml() == (GOLDEN / name).read_text()


OTHERS: dict[str, Any] = {
    "topology": Topology(4, 1, 1),
    "firmware": Firmware(boot_menu=True),
    "clock": Clock(hpet=True),
    "system": None,
    "hpet": True,
    "rate_period": 7,
}


def _other(part: Any, field: Field[Any], value: Any) -> Any:
    """Another value of the same kind."""
    if field.name == "kind":
        return "bridge" if isinstance(part, HostInterface) else "xen"
    if field.name == "filter":
        return None
    if field.name == "mode":
        return "host-model"
    if field.name == "backing":
        return (*value, BASE)
    if field.name == "disks":
        return (*value, CONFIG)
    if field.name == "nics":
        return ()
    if field.name in ("hosts", "parameters"):
        return ()
    if field.name in ("metadata", "reserved"):
        return METADATA if isinstance(value, Metadata) and value != METADATA else replace(value, name="other")
    if field.name == "cpu":
        return Cpu("host-model")
    if field.name == "devices":
        return (UsbController("ehci"),)
    if field.name in OTHERS:
        return OTHERS[field.name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, tuple):
        return ("other",)
    return "other"


def _within(part: Any) -> Callable[[Any], str]:
    """A document that has such a part in it."""
    if isinstance(part, (Domain, NatNetwork)):
        return lambda value: value.xml()
    if isinstance(part, DEVICES):
        return lambda value: replace(WISHED, devices=(value,)).xml()
    where = {
        Firmware: lambda value: replace(WISHED, firmware=value),
        Clock: lambda value: replace(WISHED, clock=value),
        SystemInfo: lambda value: replace(WISHED, system=value),
        Metadata: lambda value: replace(USER_MODE, metadata=value),
        Cpu: lambda value: replace(USER_MODE, cpu=value),
        Disk: lambda value: replace(USER_MODE, disks=(value,)),
        UserInterface: lambda value: replace(USER_MODE, nics=(value,)),
        HostInterface: lambda value: replace(USER_MODE, nics=(value,)),
        TrafficFilter: lambda value: replace(USER_MODE, nics=(replace(NAT, filter=value),)),
        DhcpHost: lambda value: replace(NETWORK, hosts=(value,)),
        DnsHost: lambda value: value,
    }[type(part)]
    return lambda value: where(value).xml()


DEVICES = (UsbController, ScsiController, Serial, AgentChannel, RandomNumbers, Video, Watchdog, EmulatedTpm)
MACHINES = [WISHED, WISHED.firmware, WISHED.clock, SystemInfo("1.2.3", ID), *WISHED.devices, AgentChannel("/socket")]
PARTS = [
    *MACHINES,
    KVM_NAT,
    NETWORK,
    METADATA,
    Cpu("custom", ("Skylake",)),
    ROOT,
    USER,
    NAT,
    FILTER,
    NETWORK.hosts[0],
    NAME,
]
CASES = [(part, field) for part in PARTS for field in fields(part)]


@pytest.mark.parametrize(("part", "field"), CASES, ids=[f"{type(p).__name__}.{f.name}" for p, f in CASES])
def test_no_field_is_left_unrendered(part: Any, field: Field[Any]) -> None:
    value = getattr(part, field.name)
    assert value is not MISSING
    render = _within(part)
    assert render(part) != render(replace(part, **{field.name: _other(part, field, value)}))


def test_a_comma_in_a_name_adds_no_option_of_qemu() -> None:
    root = etree.fromstring(
        replace(USER_MODE, nics=(replace(USER, hostname="x,hostfwd=tcp::22-:22", forward=""),)).xml()
    )
    netdev = root.findall(f".//{{{domain_xml.QEMU_URI}}}arg")[1].get("value")
    assert netdev is not None
    assert netdev.endswith("hostname=x,,hostfwd=tcp::22-:22")


def test_a_name_that_xml_cannot_hold_is_written_as_well_as_it_goes() -> None:
    named = replace(USER_MODE, metadata=replace(METADATA, name="a\x00b\x1b\ud800\u20ac"))
    assert "a?b??\u20ac" in named.xml()


def test_what_libvirt_returns_of_our_metadata_is_read() -> None:
    assert domain_xml.metadata_instance_id(f"<instance><id>{ID}</id></instance>") == ID
    assert domain_xml.metadata_instance_id("<instance/>") is None
    assert domain_xml.start_token(domain_xml.start_element('a"<b>&')) == 'a"<b>&'


def test_a_network_is_read_back() -> None:
    facts = network_xml.parse_network(NETWORK.xml())
    assert facts is not None
    assert (facts.gateway, facts.netmask, facts.bridge) == ("10.77.0.1", "255.255.240.0", "kilonovabr")
    assert facts.hosts == (NETWORK.reserved, *NETWORK.hosts)
    assert network_xml.parse_network("<network><name>x</name></network>") is None


def test_entities_are_not_expanded() -> None:
    text = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><instance><id>&e;</id></instance>'
    assert not domain_xml.metadata_instance_id(text)


def test_a_guest_has_a_screen_where_the_host_gives_one_and_the_image_wants_one() -> None:
    def document(wanted: Hardware, *, vnc: bool) -> str:
        return replace(USER_MODE, devices=hardware.devices(wanted, "/log", None, vnc=vnc)).xml()

    assert domain_xml.has_screen(document(Hardware(), vnc=True))
    assert '<listen type="none"/>' in document(Hardware(), vnc=True)
    assert '<model type="vga"/>' in document(Hardware(), vnc=True)
    assert '<model type="virtio"/>' in document(Hardware(video_model="virtio"), vnc=True)
    for wanted, vnc in ((Hardware(), False), (Hardware(video_model="none"), True)):
        text = document(wanted, vnc=vnc)
        assert not domain_xml.has_screen(text)
        assert "<video>" not in text
        assert "tablet" not in text
    assert "<video>" in document(Hardware(video_model="vga"), vnc=False)  # an image may want a card without a viewer
