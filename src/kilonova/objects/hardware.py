# SPDX-License-Identifier: Apache-2.0
"""The hardware that a server's flavor and image require together, and the part that a host must offer.

Sources: Nova's hardware.py and the pages on flavors and images in its guides, for the precedence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kilonova.objects.cpu_topology import Topology, limits_of, topology_of
from kilonova.objects.extra_specs import YES
from kilonova.objects.flavor import Flavor
from kilonova.objects.image_properties import present

Q35, PC = "q35", "pc"
UEFI = "uefi"
REQUIRED, OPTIONAL, DISABLED = "required", "optional", "disabled"
_TRUE = frozenset(YES.split("|"))


@dataclass(frozen=True, slots=True)
class Offer:
    """The hardware that a host offers beyond the hardware of every host; empty when the host does not report it.

    `machines` by their names and aliases, `secure_boot` has "required" when the firmware supports it, `tpms` has both
    versions and models.
    """

    architectures: tuple[str, ...] = ()
    hypervisor_types: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    disk_buses: tuple[str, ...] = ()
    video_models: tuple[str, ...] = ()
    firmwares: tuple[str, ...] = ()
    secure_boot: tuple[str, ...] = ()
    tpms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Need:
    """A requirement that not every host fulfils.  `name` is the property or extra spec, `of` the field of an Offer that
    must have `value`, or VERSION for a predicate on the hypervisor's version."""

    name: str
    value: str
    of: str


VERSION = "hypervisor_version"


@dataclass(frozen=True, slots=True)
class Tpm:
    version: str
    model: str


@dataclass(frozen=True, slots=True)
class Rng:
    """`rate_bytes` in each `rate_period` milliseconds; 0: no limit."""

    rate_bytes: int = 0
    rate_period: int = 0


@dataclass(frozen=True, slots=True)
class Hardware:
    """`cdrom_bus` None: the config drive is on the disks' bus.  `hpet` and `topology` None leave it to the
    hypervisor.  `video_model` None: the host's usual one; "none": the guest has no screen."""

    machine: str = Q35
    uefi: bool = False
    secure_boot: str = DISABLED
    disk_bus: str = "virtio"
    cdrom_bus: str | None = None
    scsi_model: str | None = None
    vif_model: str = "virtio"
    video_model: str | None = None
    watchdog: str | None = None
    boot_menu: bool = False
    guest_agent: bool = True
    windows: bool = False
    hpet: bool | None = None
    rng: Rng | None = field(default_factory=Rng)
    tpm: Tpm | None = None
    topology: Topology | None = None

    @property
    def is_q35(self) -> bool:
        """Whether its devices are on PCI Express."""
        return "q35" in self.machine


def _is_true(value: str | None) -> bool:
    return value is not None and value.lower() in _TRUE


def hardware_of(flavor: Flavor, properties: Mapping[str, str]) -> Hardware:
    """The hardware of a guest of that flavor and of an image with these properties; both have passed `conflicts`."""
    image, specs = present(properties), flavor.extra_specs
    watchdog = image.get("hw_watchdog_action", specs.get("hw:watchdog_action", ""))
    return Hardware(
        machine=image.get("hw_machine_type", Q35),
        uefi=image.get("hw_firmware_type") == UEFI,
        secure_boot=_secure_boot(image, specs) if image.get("hw_firmware_type") == UEFI else DISABLED,
        disk_bus=image.get("hw_disk_bus", "virtio"),
        cdrom_bus=image.get("hw_cdrom_bus"),
        scsi_model=image.get("hw_scsi_model"),
        vif_model=image.get("hw_vif_model", "virtio"),
        video_model=image.get("hw_video_model"),
        watchdog=None if watchdog in ("", "disabled") else watchdog,
        boot_menu=_is_true(specs.get("hw:boot_menu", image.get("hw_boot_menu"))),
        guest_agent="hw_qemu_guest_agent" not in image or _is_true(image["hw_qemu_guest_agent"]),
        windows=image.get("os_type") == "windows",
        hpet=_is_true(image["hw_time_hpet"]) if "hw_time_hpet" in image else None,
        rng=_rng(specs),
        tpm=_tpm(image, specs),
        topology=topology_of(flavor.vcpus, limits_of(specs, image)),
    )


def _secure_boot(image: Mapping[str, str], specs: Mapping[str, str]) -> str:
    return (specs.get("os:secure_boot") or image.get("os_secure_boot") or DISABLED).lower()


def _rng(specs: Mapping[str, str]) -> Rng | None:
    if not _is_true(specs.get("hw_rng:allowed", "true")):
        return None
    return Rng(int(specs.get("hw_rng:rate_bytes", 0)), int(specs.get("hw_rng:rate_period", 0)))


def _tpm(image: Mapping[str, str], specs: Mapping[str, str]) -> Tpm | None:
    version = specs.get("hw:tpm_version") or image.get("hw_tpm_version")
    model = specs.get("hw:tpm_model") or image.get("hw_tpm_model") or "tpm-tis"
    return Tpm(version, model.lower()) if version else None


_BOTH = {
    "os:secure_boot": "os_secure_boot",
    "hw:tpm_version": "hw_tpm_version",
    "hw:tpm_model": "hw_tpm_model",
}
"""Flavors and images may both set these, but only to the same value."""


def conflicts(flavor: Flavor, properties: Mapping[str, str]) -> list[str]:
    """The contradictions between the flavor and the image, one sentence for each."""
    image, specs = present(properties), flavor.extra_specs
    reasons = [
        f"{prop}={image[prop]} of the image contradicts {spec}={specs[spec]} of the flavor"
        for spec, prop in _BOTH.items()
        if spec in specs and prop in image and specs[spec].lower() != image[prop]
    ]
    reasons += _machine_conflicts(image, specs)
    tpm = _tpm(image, specs)
    if tpm is None and ("hw_tpm_model" in image or "hw:tpm_model" in specs):
        reasons.append("hw_tpm_model needs hw_tpm_version")
    if tpm is not None and (tpm.version, tpm.model) == ("1.2", "tpm-crb"):
        reasons.append("hw_tpm_model=tpm-crb needs hw_tpm_version=2.0")
    limits = limits_of(specs, image)
    if limits is not None and topology_of(flavor.vcpus, limits) is None:
        reasons.append(f"{flavor.vcpus} vCPUs cannot be arranged within hw_cpu_max_sockets, _cores and _threads")
    return reasons


def _machine_conflicts(image: Mapping[str, str], specs: Mapping[str, str]) -> list[str]:
    machine = image.get("hw_machine_type", Q35)
    reasons = [
        f"{name}=ide needs hw_machine_type={PC}: {machine} has no IDE"
        for name in ("hw_disk_bus", "hw_cdrom_bus")
        if image.get(name) == "ide" and "q35" in machine
    ]
    if _secure_boot(image, specs) == REQUIRED:
        if image.get("hw_firmware_type") != UEFI:
            reasons.append("os_secure_boot=required needs hw_firmware_type=uefi")
        if "q35" not in machine:
            reasons.append(f"os_secure_boot=required needs hw_machine_type={Q35}")
    return reasons


def needs(flavor: Flavor, properties: Mapping[str, str]) -> tuple[Need, ...]:
    """The requirements that a host must fulfil for this server; empty when every host can."""
    image, specs = present(properties), flavor.extra_specs
    found = [Need(name, image[name], of) for name, of in _PLACED.items() if name in image]
    hardware = hardware_of(flavor, properties)
    if hardware.uefi:
        found.append(Need("hw_firmware_type", UEFI, "firmwares"))
    if hardware.secure_boot == REQUIRED:
        name = "os:secure_boot" if "os:secure_boot" in specs else "os_secure_boot"
        found.append(Need(name, REQUIRED, "secure_boot"))
    if hardware.tpm is not None:
        prefix = "hw:tpm" if "hw:tpm_version" in specs else "hw_tpm"
        found.append(Need(f"{prefix}_version", hardware.tpm.version, "tpms"))
        found.append(Need(f"{prefix}_model", hardware.tpm.model, "tpms"))
    return tuple(need for need in found if (need.of, need.value) not in _EVERYWHERE)


_PLACED = {
    "hw_architecture": "architectures",
    "img_hv_type": "hypervisor_types",
    "img_hv_requested_version": VERSION,
    "hw_machine_type": "machines",
    "hw_disk_bus": "disk_buses",
    "hw_cdrom_bus": "disk_buses",
    "hw_video_model": "video_models",
}
_EVERYWHERE = frozenset({("machines", Q35), ("disk_buses", "virtio"), ("video_models", "none")})
"""The hardware of every host, whether it reports it or not."""


def disk_prefix(bus: str) -> str:
    """The prefix of disk names on that bus, on the host and, as a rule, in the guest."""
    return {"virtio": "vd", "ide": "hd"}.get(bus, "sd")


def root_device(properties: Mapping[str, str]) -> str:
    """The name of the root disk of a server whose image has these properties."""
    bus = present(properties).get("hw_disk_bus", "virtio") if properties else "virtio"
    return f"{disk_prefix(bus)}a"
