# SPDX-License-Identifier: Apache-2.0
"""An instance's record as a libvirt domain."""

from dataclasses import replace

from kilonova import __version__
from kilonova.base.threads import Workers
from kilonova.objects.hardware import Hardware, Offer, hardware_of
from kilonova.objects.instance import Instance
from kilonova.virt.driver import DriverSettings
from kilonova.virt.libvirt import hardware
from kilonova.virt.libvirt.disks import block_devices
from kilonova.virt.libvirt.disks.disks import Disks
from kilonova.virt.libvirt.host import capabilities
from kilonova.virt.libvirt.host.resources import HostFacts
from kilonova.virt.libvirt.network import network
from kilonova.virt.libvirt.network.guest_networks import GuestNetworks
from kilonova.virt.libvirt.xml.domain import Disk, Domain, Metadata
from kilonova.virt.libvirt.xml.platform import Cpu, SystemInfo

SIMULATED = "test"
"""The type of libvirt's own simulated guests."""


class Definitions:
    """Domains for this host's guests."""

    def __init__(
        self, settings: DriverSettings, disks: Disks, files: Workers, facts: HostFacts, networks: GuestNetworks
    ) -> None:
        self._settings, self._vnc = settings.libvirt, settings.vnc.enabled
        self._disks, self._files = disks, files
        self._facts, self._networks = facts, networks

    async def domain(self, instance: Instance) -> Domain:
        """The definition of the guest; while it is rescued, with the hardware that the rescue image requires, as in
        Nova.  Raises HypervisorError for an address on a network that this host does not have."""
        kind = await self._facts.kind()
        wanted = _hardware(instance, kind)
        bare = await self._files.run(self._bare, instance, kind, wanted)
        if kind == SIMULATED:
            return bare
        found, offer = await self._networks.found(), await self._facts.offer()
        return self._with_hardware(bare, instance, wanted, found, offer)

    async def disks(self, instance: Instance) -> tuple[Disk, ...]:
        """The guest's disks, by the names of `domain`."""
        wanted = _hardware(instance, await self._facts.kind())
        return await self._disks.blocking(instance.id, block_devices.devices, self._disks, instance, wanted)

    def _bare(self, instance: Instance, kind: str, wanted: Hardware) -> Domain:
        """The parts of a domain that simulated guests have too. Blocks."""
        return Domain(
            kind=kind,
            uuid=instance.id,
            name=f"kilonova-{instance.id}",
            metadata=Metadata(instance.id, instance.project_id, instance.name),
            memory_mib=instance.flavor.memory_mib,
            vcpus=instance.flavor.vcpus,
            machine=None,
            arch=None,
            cpu=self._cpu(kind),
            disks=block_devices.devices(self._disks, instance, wanted),
        )

    def _with_hardware(
        self, bare: Domain, instance: Instance, wanted: Hardware, found: network.Found, offer: Offer
    ) -> Domain:
        agent = self._disks.agent_socket(instance.id)
        log = str(self._disks.console_log(instance.id))
        return replace(
            bare,
            machine=wanted.machine,
            arch=capabilities.ARCH,
            topology=wanted.topology,
            firmware=hardware.firmware(wanted, can_secure_boot=bool(offer.secure_boot)),
            clock=hardware.clock(wanted),
            system=SystemInfo(__version__, instance.id),
            nics=network.interfaces(instance, found, wanted),
            devices=hardware.devices(wanted, log, None if agent is None else str(agent), vnc=self._vnc),
        )

    def _cpu(self, kind: str) -> Cpu | None:
        mode = self._settings.cpu_mode or ("host-passthrough" if kind == "kvm" else "none")
        return Cpu(mode, self._settings.cpu_models) if mode != "none" else None


def _hardware(instance: Instance, kind: str) -> Hardware:
    image = instance.rescue_image or instance.image
    return hardware_of(instance.flavor, {} if kind == SIMULATED else image.properties)
