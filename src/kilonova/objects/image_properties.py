# SPDX-License-Identifier: Apache-2.0
"""Image properties: the valid names and values, and the values that guests here can have.

A property is a requirement, as an extra spec of a flavor is.  An image may have any property (users copy images between
clouds), but a use of the image is refused when a property requires what no guest here can have, or has an invalid
value.  Names outside of this table and of its families are labels for people and other tools, without effect.

Sources: Nova's ImageMetaProps for names and values; Image service, "Useful image properties", for what they mean.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from kilonova.objects.extra_specs import COUNT, CPUS, FLAG, NO, NUMBER

ANY = ".*"

MOST_BYTES = 255
"""The maximum size of a value that is kept with a server; Nova truncates longer values, too."""

_ARCHITECTURES = (
    "alpha|armv6|armv7l|armv7b|aarch64|cris|i686|ia64|lm32|m68k|microblaze|microblazeel|mips|mipsel|mips64|mips64el|"
    "openrisc|parisc|parisc64|ppc|ppcle|ppc64|ppc64le|ppcemb|s390|s390x|sh4|sh4eb|sparc|sparc64|unicore32|x86_64|"
    "xtensa|xtensaeb"
)
_HYPERVISORS = (
    "baremetal|bhyve|docker|fake|hyperv|ironic|kqemu|kvm|lxc|lxd|openvz|parallels|vz|phyp|qemu|test|uml|vbox|vmware|"
    "xen|zvm|prsm"
)
_BUSES = "fdc|ide|sata|scsi|usb|virtio|xen|lxc|uml"
_SCSI = "buslogic|ibmvscsi|lsilogic|lsisas1068|lsisas1078|virtio-scsi|vmpvscsi"
_VIDEO = "cirrus|qxl|vga|vmvga|xen|virtio|gop|none|bochs"
_VIF = "virtio|ne2k_pci|pcnet|rtl8139|e1000|e1000e|igb|netfront|spapr-vlan|lan9118|sriov|vmxnet|vmxnet3"
_VERSION = r"\s*(<=|>=|==|!=|<|>)\s*\d+(\.\d+)*\s*"
_VERSIONS = f"{_VERSION}(,{_VERSION})*"
_LIST = r"\[\]"


@dataclass(frozen=True, slots=True)
class Property:
    """`name`, `values` and `given` are regular expressions that match whole.  `given` has the values that a server gets
    or that require nothing; None: there are none.  `what` describes the effect for users."""

    name: str
    values: str
    given: str | None = None
    what: str = ""


PROPERTIES = (
    Property("hw_architecture", _ARCHITECTURES, _ARCHITECTURES, "needs a host that supports it"),
    Property("img_hv_type", _HYPERVISORS, _HYPERVISORS, "needs a host that supports it"),
    Property("img_hv_requested_version", _VERSIONS, _VERSIONS, "needs a host that supports it"),
    Property("hw_vm_mode", "hvm|xen|uml|exe", "hvm", "what every guest is"),
    Property("hw_boot_menu", FLAG, FLAG, "the menu of the firmware; `hw:boot_menu` of the flavor wins"),
    Property(
        "hw_cdrom_bus",
        _BUSES,
        "ide|sata|scsi|usb|virtio",
        "the config drive is a CD-ROM on it (virtio: a disk); ide with machine type pc only",
    ),
    Property("hw_cpu_(sockets|cores|threads)", COUNT, COUNT, "wins over the flavor's `hw:cpu_*`"),
    Property(
        "hw_cpu_max_(sockets|cores|threads)", COUNT, COUNT, "with the flavor's `hw:cpu_max_*`, the smaller of both"
    ),
    Property("hw_cpu_policy", "dedicated|shared|mixed", "shared", "processors are shared"),
    Property("hw_cpu_thread_policy", "prefer|isolate|require", "prefer", "for dedicated processors only"),
    Property("hw_cpu_realtime_mask", CPUS),
    Property(
        "hw_disk_bus",
        _BUSES,
        "ide|sata|scsi|usb|virtio",
        "of all disks (the config drive is a CD-ROM on it, except with virtio); ide with machine type pc only",
    ),
    Property("hw_disk_type", ANY),
    Property("hw_emulation_architecture", _ARCHITECTURES),
    Property("hw_ephemeral_encryption", FLAG, NO, "disks are not encrypted"),
    Property("hw_ephemeral_encryption_(format|secret_uuid)", ANY),
    Property("hw_firmware_stateless", FLAG, NO, "the firmware keeps its variables"),
    Property("hw_firmware_type", "bios|uefi", "bios|uefi", "uefi: on a host that has OVMF"),
    Property("hw_input_bus", "usb|virtio"),
    Property("hw_ipxe_boot", FLAG, NO, "guests boot from their disks"),
    Property("hw_locked_memory", FLAG, NO, "memory may be swapped out"),
    Property(
        "hw_machine_type",
        r"[A-Za-z0-9._-]{1,64}",
        r"pc|q35|pc-(i440fx|q35)-[0-9.]+",
        "needs a host that supports it",
    ),
    Property("hw_maxphysaddr_(mode|bits)", ANY),
    Property("hw_mem_encryption", FLAG, NO, "memory is not encrypted"),
    Property("hw_mem_encryption_model", ANY),
    Property("hw_mem_page_size", r"large|small|any|\d+([kmgtKMGT]i?)?([bB]|bit)?", "small|any", "small pages"),
    Property("hw_numa_nodes", COUNT),
    Property(r"hw_numa_cpus(\.\d+)?", CPUS),
    Property(r"hw_numa_mem(\.\d+)?", COUNT),
    Property("hw_pci_numa_affinity_policy", "required|preferred|legacy|socket", "preferred|legacy", "no PCI devices"),
    Property("hw_pmu", FLAG),
    Property("hw_pointer_model", "usbtablet"),
    Property("hw_qemu_guest_agent", FLAG, FLAG, "the agent's channel, which exists unless this is no"),
    Property("hw_rescue_bus", _BUSES, ANY, "no effect outside a rescue; at a rescue: virtio only"),
    Property("hw_rescue_device", "cdrom|disk|floppy", ANY, "the same; at a rescue: disk only"),
    Property("hw_rng_model", "virtio", "virtio"),
    Property("hw_scsi_model", _SCSI, "lsilogic|lsisas1068|lsisas1078|virtio-scsi", "the controller of SCSI disks"),
    Property("hw_serial_port_count", NUMBER, "1", "one port: the console"),
    Property("hw_sound_model", ANY),
    Property("hw_time_hpet", FLAG, FLAG, "the HPET timer"),
    Property(
        "hw_tpm_version",
        r"1\.2|2\.0",
        r"1\.2|2\.0",
        "on a host that has swtpm; such a server cannot be shelved or rescued",
    ),
    Property(
        "hw_tpm_model",
        "tpm-tis|tpm-crb",
        "tpm-tis|tpm-crb",
        "tpm-tis when not set; tpm-crb with version 2.0 only",
    ),
    Property("hw_tpm_secret_security", ANY),
    Property("hw_redirected_usb_ports", NUMBER, "0", "none"),
    Property("hw_usb_model", ANY),
    Property(
        "hw_video_model",
        _VIDEO,
        "bochs|cirrus|none|qxl|vga|virtio",
        "vga when not set, with [vnc] enabled; none: no screen; on a host that supports it",
    ),
    Property("hw_video_ram", NUMBER),
    Property("hw_vif_model", _VIF, "e1000|e1000e|ne2k_pci|pcnet|rtl8139|virtio|vmxnet3", "of all NICs"),
    Property("hw_vif_multiqueue_enabled", FLAG, NO, "one queue"),
    Property("hw_viommu_model", "intel|smmuv3|virtio|auto"),
    Property("hw_virtio_packed_ring", FLAG, NO, "split rings"),
    Property(
        "hw_watchdog_action",
        "none|pause|poweroff|reset|disabled",
        "none|pause|poweroff|reset|disabled",
        "an i6300esb; wins over the flavor's `hw:watchdog_action`",
    ),
    Property("hw_auto_disk_config", ANY, ANY, "a label: nothing here repartitions a disk"),
    Property("hw_device_id", NUMBER, NUMBER, "a label for other hypervisors"),
    Property(
        "os_type",
        "linux|windows",
        "linux|windows",
        "windows: local time, Hyper-V's enlightenments, NTFS on ephemeral disks",
    ),
    Property(
        "os_secure_boot",
        "required|disabled|optional",
        "required|disabled|optional",
        "required: uefi and q35 on a host whose OVMF supports it; optional: where the host supports it",
    ),
    Property("os_shutdown_timeout", NUMBER, NUMBER, "seconds, instead of `[DEFAULT] shutdown_timeout`"),
    Property("os_require_quiesce", FLAG, NO, "file systems are frozen for a snapshot if the guest's agent answers"),
    Property("os_command_line", ANY),
    Property("os_(distro|version|admin_user)", ANY, ANY, "a label"),
    Property("os_skip_agent_inject_(files_at_boot|ssh)", ANY, ANY, "a label for other hypervisors"),
    Property("img_config_drive", "optional|mandatory", "optional|mandatory", "every server has a config drive"),
    Property("img_hide_hypervisor_id", FLAG, NO, "guests see their hypervisor"),
    Property("img_(bdm_v2|block_device_mapping|mappings)", ANY, _LIST, "servers boot from the image itself"),
    Property("img_signature(_.*)?", ANY, ANY, "a label: signatures are not verified (Nova's own default)"),
    Property(
        "img_(bittorrent|cache_in_nova|compression_level|linked_clone|use_agent|version)",
        ANY,
        ANY,
        "a label for other hypervisors",
    ),
    Property("img_(owner_id|root_device_name)", ANY, ANY, "a label"),
    Property("cinder_encryption_key_(id|deletion_policy)", ANY),
    Property("kernel_id|ramdisk_id", ".{0,255}", "", "guests bring their own kernel"),
    Property(r"trait:[A-Z0-9_]+", "required|forbidden"),
    Property(r"hw:.*", ANY),
)
"""Every property that Compute supports, by its present name."""

OLD_NAMES: Mapping[str, str] = {
    "architecture": "hw_architecture",
    "auto_disk_config": "hw_auto_disk_config",
    "bdm_v2": "img_bdm_v2",
    "bittorrent": "img_bittorrent",
    "block_device_mapping": "img_block_device_mapping",
    "cache_in_nova": "img_cache_in_nova",
    "hypervisor_type": "img_hv_type",
    "hypervisor_version_requires": "img_hv_requested_version",
    "ipxe_boot": "hw_ipxe_boot",
    "mappings": "img_mappings",
    "owner_id": "img_owner_id",
    "root_device_name": "img_root_device_name",
    "vm_mode": "hw_vm_mode",
    "vmware_disktype": "hw_disk_type",
    "vmware_image_version": "img_version",
    "vmware_linked_clone": "img_linked_clone",
    "vmware_ostype": "os_distro",
    "xenapi_device_id": "hw_device_id",
    "xenapi_image_compression_level": "img_compression_level",
    "xenapi_skip_agent_inject_files_at_boot": "os_skip_agent_inject_files_at_boot",
    "xenapi_skip_agent_inject_ssh": "os_skip_agent_inject_ssh",
    "xenapi_use_agent": "img_use_agent",
}
"""Old names, which Nova still reads; the present name wins when an image has both."""

_ALIASES: Mapping[str, Mapping[str, str]] = {
    "hw_architecture": {"amd64": "x86_64", "i386": "i686", "i486": "i686", "i586": "i686", "x86_32": "i686"},
    "img_hv_type": {"xapi": "xen"},
    "hw_vm_mode": {"pv": "xen", "hv": "hvm", "baremetal": "hvm"},
    "hw_scsi_model": {"lsilogicsas": "lsisas1068", "paravirtual": "vmpvscsi"},
    "hw_vif_model": {
        "virtuale1000": "e1000",
        "virtuale1000e": "e1000e",
        "virtualpcnet32": "pcnet",
        "virtualvmxnet": "vmxnet",
        "virtualvmxnet3": "vmxnet3",
    },
}
_ANY_CASE = frozenset({*_ALIASES, "os_type"})
"""Properties whose values Nova accepts in any case; the words for yes and no are accepted so everywhere."""

_FAMILIES = ("hw_", "os_", "hw:", "trait:")
_THE_SERVICES_OWN = "os_glance_"


def present(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties under their present names, with values in the form of the table."""
    found = {OLD_NAMES[name]: value for name, value in properties.items() if name in OLD_NAMES}
    if (adapter := properties.get("vmware_adaptertype")) is not None:
        found["hw_disk_bus"] = "ide" if adapter.lower() == "ide" else "scsi"
        if found["hw_disk_bus"] == "scsi":
            found["hw_scsi_model"] = adapter
    found |= {name: value for name, value in properties.items() if name not in OLD_NAMES}
    return {name: _canonical(name, value) for name, value in found.items()}


def _canonical(name: str, value: str) -> str:
    entry = _property_of(name)
    if entry is None or (name not in _ANY_CASE and entry.values != FLAG):
        return value
    lower = value.lower()
    return _ALIASES.get(name, {}).get(lower, lower)


@lru_cache(4096)
def _property_of(name: str) -> Property | None:
    return next((one for one in PROPERTIES if re.fullmatch(one.name, name)), None)


def _is_required(name: str) -> bool:
    return _property_of(name) is not None or (name.startswith(_FAMILIES) and not name.startswith(_THE_SERVICES_OWN))


def refusals(properties: Mapping[str, str]) -> list[str]:
    """The reasons to refuse an image with these properties, one sentence each, sorted by name: no such property or
    value exists, or no guest here can have what it requires."""
    reasons = (_refusal(name, value) for name, value in sorted(present(properties).items()) if _is_required(name))
    return [reason for reason in reasons if reason is not None]


def _refusal(name: str, value: str) -> str | None:
    entry = _property_of(name)
    if entry is None:
        return f"there is no property {name}"
    if re.fullmatch(entry.values, value, re.DOTALL) is None:
        return f"{name}={value[:64]} is not valid: allowed is {_words(entry.values)}"
    if entry.given is None or re.fullmatch(entry.given, value, re.DOTALL) is None:
        given = f": guests here get {_words(entry.given)}" if entry.given else ""
        return f"{name}={value[:64]} is not given to any server here{given}"
    return None


def _words(pattern: str) -> str:
    return pattern.replace("|", ", ") if re.fullmatch(r"[\w.|-]+", pattern) else f"what matches {pattern}"


def kept(properties: Mapping[str, str]) -> dict[str, str]:
    """The image properties that a server keeps: all of them, each value truncated to MOST_BYTES."""
    return {name: value.encode()[:MOST_BYTES].decode(errors="ignore") for name, value in properties.items()}
