# SPDX-License-Identifier: Apache-2.0
"""The devices and features that guests of this host can have, by libvirt's capabilities and domain capabilities."""

import libvirt
from lxml import etree

from kilonova.objects.hardware import PC, Q35, REQUIRED, Offer

ARCH = "x86_64"
"""The architecture of every guest that we define; it runs systems of 32 bits too."""

_UNTOLD = frozenset(
    {
        libvirt.VIR_ERR_NO_SUPPORT,  # libvirt's test driver
        libvirt.VIR_ERR_INVALID_ARG,  # a QEMU without such machines
        libvirt.VIR_ERR_OPERATION_DENIED,  # a connection that may only read
    }
)
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)
_FIRMWARES = {"efi": "uefi", "bios": "bios"}


def read_offer(conn: libvirt.virConnect, kind: str) -> Offer:
    """For guests of libvirt's type `kind` ("kvm", "qemu").  A driver that does not report this offers nothing."""
    try:
        documents = {machine: conn.getDomainCapabilities(None, ARCH, machine, kind, 0) for machine in (Q35, PC)}
    except libvirt.libvirtError as exc:
        if exc.get_error_code() in _UNTOLD:
            return Offer()
        raise
    return parse(kind, conn.getCapabilities(), documents[Q35], documents[PC])


def parse(kind: str, capabilities: str, q35: str, pc: str) -> Offer:
    """The offer by the documents. Buses are those of both machine types: IDE belongs to the older one."""
    modern, old = etree.fromstring(q35, _PARSER), etree.fromstring(pc, _PARSER)
    machines = etree.fromstring(capabilities, _PARSER).iterfind(f"guest/arch[@name='{ARCH}']/machine")
    buses = {*_values(modern, "devices/disk", "bus"), *_values(old, "devices/disk", "bus")}
    firmwares = {_FIRMWARES.get(name, name) for name in _values(modern, "os", "firmware")} | {"bios"}
    secure = "uefi" in firmwares and "yes" in _values(modern, "os/loader", "secure")
    return Offer(
        architectures=("i686", ARCH),
        hypervisor_types=("kvm", "qemu") if kind == "kvm" else (kind,),
        machines=tuple(sorted({machine.text or "" for machine in machines if _is_pc(machine.text or "")})),
        disk_buses=tuple(sorted(buses)),
        video_models=tuple(sorted(_values(modern, "devices/video", "modelType"))),
        firmwares=tuple(sorted(firmwares)),
        secure_boot=(REQUIRED,) if secure else (),
        tpms=_tpms(modern),
    )


def _is_pc(machine: str) -> bool:
    return machine in (Q35, PC) or machine.startswith(("pc-q35-", "pc-i440fx-"))


def _tpms(document: "etree._Element") -> tuple[str, ...]:  # pyright: ignore[reportPrivateUsage]
    """Versions and models of what swtpm emulates; no guest gets the host's own TPM."""
    if "emulator" not in _values(document, "devices/tpm", "backendModel"):
        return ()
    versions = _values(document, "devices/tpm", "backendVersion") or {"2.0"}  # libvirt reports versions since 8.10
    return tuple(sorted({*versions, *_values(document, "devices/tpm", "model")}))


def _values(document: "etree._Element", path: str, enum: str) -> set[str]:  # pyright: ignore[reportPrivateUsage]
    return {value.text or "" for value in document.iterfind(f"{path}/enum[@name='{enum}']/value")}
