# SPDX-License-Identifier: Apache-2.0
"""A server's record as a libvirt domain."""

from dataclasses import replace

from kilonova import __version__
from kilonova.config.load import Settings
from kilonova.objects.hardware import Hardware, Offer, hardware_of
from kilonova.objects.instance import Instance
from kilonova.virt.libvirt import hardware
from kilonova.virt.libvirt.disks import block_devices
from kilonova.virt.libvirt.disks.disks import Disks
from kilonova.virt.libvirt.host import capabilities
from kilonova.virt.libvirt.network import network
from kilonova.virt.libvirt.xml.domain import Disk, Domain, Metadata
from kilonova.virt.libvirt.xml.platform import Cpu, SystemInfo

SIMULATED = "test"
"""The type of libvirt's own simulated guests."""


def domain_of(
    instance: Instance, kind: str, settings: Settings, disks: Disks, found: network.Found, offer: Offer
) -> Domain:
    """The definition of the guest, of libvirt's type `kind`; while it is rescued, by what the rescue image asks for, as
    Nova does.  Blocks; raises HypervisorError for an address on a network that this host has not."""
    wish = _wish(instance, kind)
    common = Domain(
        kind=kind,
        uuid=instance.id,
        name=f"kilonova-{instance.id}",
        metadata=Metadata(instance.id, instance.project_id, instance.name),
        memory_mib=instance.flavor.memory_mib,
        vcpus=instance.flavor.vcpus,
        machine=None,
        arch=None,
        cpu=_cpu(settings, kind),
        disks=block_devices.devices(disks, instance, wish),
    )
    if kind == SIMULATED:
        return common
    agent = disks.agent_socket(instance.id)
    return replace(
        common,
        machine=wish.machine,
        arch=capabilities.ARCH,
        topology=wish.topology,
        firmware=hardware.firmware(wish, can_secure_boot=bool(offer.secure_boot)),
        clock=hardware.clock(wish),
        system=SystemInfo(__version__, instance.id),
        nics=network.interfaces(instance, found, wish),
        devices=hardware.devices(wish, str(disks.console_log(instance.id)), None if agent is None else str(agent)),
    )


def disks_of(instance: Instance, kind: str, disks: Disks) -> tuple[Disk, ...]:
    """The guest's disks, as `domain_of` names them.  Blocks."""
    return block_devices.devices(disks, instance, _wish(instance, kind))


def _wish(instance: Instance, kind: str) -> Hardware:
    named = instance.rescue_image or instance.image
    return hardware_of(instance.flavor, {} if kind == SIMULATED else named.properties)


def render(domain: Domain, mark: str | None) -> str:
    """The document, with the mark of the guest's last start."""
    return replace(domain, metadata=replace(domain.metadata, mark=mark)).xml()


def _cpu(settings: Settings, kind: str) -> Cpu | None:
    mode = settings.libvirt.cpu_mode or ("host-passthrough" if kind == "kvm" else "none")
    return Cpu(mode, settings.libvirt.cpu_models) if mode != "none" else None
