# SPDX-License-Identifier: Apache-2.0
"""Extra specs of flavors: the valid names and values, and the values that guests here can have.

A spec is a requirement.  A requirement that no guest here can have is never ignored: a flavor may have it (users copy
flavors between clouds), but a create with such a flavor is refused.  Names without a namespace, and names of namespaces
that are not in this table, are labels for people and other tools, without effect.

Source: OpenStack Compute, configuration guide, "Extra Specs".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

YES, NO = "1|t|true|on|y|yes", "0|f|false|off|n|no"
FLAG = f"{YES}|{NO}"
COUNT, NUMBER = r"[1-9]\d{0,9}", r"\d{1,10}"
CPUS = r"\^?\d+(-\d+)?(,\^?\d+(-\d+)?)*"
ANY = r".{0,255}"

AGGREGATE = "aggregate_instance_extra_specs:"
"""The prefix of requirements on the metadata of a host's aggregates."""


@dataclass(frozen=True, slots=True)
class Spec:
    """`name` and the patterns of values are regular expressions, which match whole, in any case.  `kept` has the values
    that require only what every guest gets; None: there are none."""

    name: str
    values: str
    kept: str | None = None


SPECS = (
    Spec(re.escape(AGGREGATE) + r".{1,200}", ANY, ANY),
    Spec("hw_rng:allowed", FLAG, FLAG),
    Spec("hw_rng:rate_(bytes|period)", NUMBER, NUMBER),
    Spec("hw_video:ram_max_mb", NUMBER),
    Spec("hw:boot_menu", FLAG, FLAG),
    Spec("hw:cpu_policy", "dedicated|shared|mixed", "shared"),
    Spec("hw:cpu_thread_policy", "prefer|isolate|require", "prefer"),
    Spec("hw:cpu_dedicated_mask", CPUS),
    Spec("hw:cpu_realtime", FLAG, NO),
    Spec("hw:cpu_realtime_mask", CPUS),
    Spec("hw:cpu_(max_)?(sockets|cores|threads)", COUNT, COUNT),
    Spec("hw:emulator_threads_policy", "isolate|share", "share"),
    Spec("hw:ephemeral_encryption", FLAG, NO),
    Spec("hw:ephemeral_encryption_format", "luks|luksv2"),
    Spec("hw:hide_hypervisor_id", FLAG, NO),
    Spec("hw:input_bus", "usb|virtio"),
    Spec("hw:locked_memory", FLAG, NO),
    Spec("hw:maxphysaddr_bits", COUNT),
    Spec("hw:maxphysaddr_mode", "passthrough|emulate"),
    Spec("hw:mem_encryption", FLAG, NO),
    Spec("hw:mem_encryption_model", ANY),
    Spec("hw:mem_page_size", r"large|small|any|\d+([kmgt]i?)?(b|bit)?", "small|any"),
    Spec("hw:numa_nodes", COUNT),
    Spec(r"hw:numa_cpus\.\d+", CPUS),
    Spec(r"hw:numa_mem\.\d+", COUNT),
    Spec("hw:pci_numa_affinity_policy", "required|preferred|legacy|socket", "preferred|legacy"),
    Spec("hw:pmem", ANY),
    Spec("hw:pmu", FLAG),
    Spec("hw:redirected_usb_ports", NUMBER, "0"),
    Spec("hw:serial_port_count", NUMBER, "1"),
    Spec("hw:sound_model", ANY),
    Spec("hw:tpm_model", "tpm-tis|tpm-crb", "tpm-tis|tpm-crb"),
    Spec("hw:tpm_secret_security", ANY),
    Spec("hw:tpm_version", r"1\.2|2\.0", r"1\.2|2\.0"),
    Spec("hw:usb_model", ANY),
    Spec("hw:vif_multiqueue_enabled", FLAG, NO),
    Spec("hw:viommu_model", "intel|smmuv3|virtio|auto"),
    Spec("hw:virtio_packed_ring", FLAG, NO),
    Spec("hw:watchdog_action", "none|pause|poweroff|reset|disabled", "none|pause|poweroff|reset|disabled"),
    Spec("hide_hypervisor_id", FLAG, NO),
    Spec("os:secure_boot", "required|disabled|optional", "required|disabled|optional"),
    Spec("os:monitors", "[1-8]", "1"),
    Spec("quota:cpu_(shares|period|quota)", r"-?\d{1,10}"),
    Spec("quota:(cpu|memory|disk_io|vif)_(limit|reservation|shares_share)", NUMBER),
    Spec("quota:(cpu|memory|disk_io|vif)_shares_level", "custom|high|normal|low"),
    Spec("quota:disk_(read|write|total)_(bytes|iops)_sec(_max)?", NUMBER),
    Spec("quota:vif_(in|out)bound_(average|burst|peak)", NUMBER),
    Spec("accel:device_profile", ANY),
    Spec("pci_passthrough:alias", r"[^:]+:\d+(\s*,\s*[^:]+:\d+)*"),
    Spec("capabilities:.{1,200}", ANY),
    Spec(r"resources[^:]{0,64}:[A-Z0-9_]+", NUMBER),
    Spec(r"trait[^:]{0,64}:[A-Z0-9_]+", "required|forbidden"),
    Spec("group_policy", "none|isolate"),
    Spec("vmware:(hw_version|storage_policy)", ANY),
)
"""Every spec that Compute supports."""

_NAMESPACES = frozenset(
    {"accel", AGGREGATE[:-1], "capabilities", "hw", "hw_rng", "hw_video", "os", "pci_passthrough", "quota", "vmware"}
)
_GROUPED = re.compile(r"(resources|trait)[^:]*")


def _spec_of(name: str) -> Spec | None:
    return next((spec for spec in SPECS if re.fullmatch(spec.name, name)), None)


def _is_required(name: str) -> bool:
    """Whether Compute interprets names of this form; all others are labels."""
    namespace, colon, _ = name.partition(":")
    return _spec_of(name) is not None or bool(
        colon and (namespace in _NAMESPACES or _GROUPED.fullmatch(namespace) is not None)
    )


def refusal(name: str, value: str) -> str | None:
    """The reason why the spec or its value does not exist; None when it exists, and for labels."""
    spec = _spec_of(name)
    if spec is None:
        return f"'{name}' does not appear to be a valid extra spec" if _is_required(name) else None
    if re.fullmatch(spec.values, value, re.IGNORECASE) is None:
        return f"'{value[:64]}' is not a valid value for extra spec '{name}': it must match {spec.values}"
    return None


def unkept(specs: Mapping[str, str]) -> list[str]:
    """The specs of a flavor that require what no guest here can have, as `name=value`, sorted."""
    required = {name: value for name, value in specs.items() if _is_required(name)}
    return sorted(f"{name}={value}" for name, value in required.items() if not _is_kept(name, value))


def _is_kept(name: str, value: str) -> bool:
    spec = _spec_of(name)
    return spec is not None and spec.kept is not None and re.fullmatch(spec.kept, value, re.IGNORECASE) is not None
