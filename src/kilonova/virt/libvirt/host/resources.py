# SPDX-License-Identifier: Apache-2.0
"""The resources of this host: processors, memory, disk space, networks, and the devices that its libvirt offers
guests."""

from functools import partial
from pathlib import Path

from kilonova.base.threads import Workers
from kilonova.config.default import DefaultSettings, watermark_bytes
from kilonova.objects.hardware import Offer
from kilonova.virt.driver import HostResources
from kilonova.virt.libvirt.connection.hypervisor_connection import HypervisorConnection
from kilonova.virt.libvirt.disks.disks import GIB, Disks, disk_short
from kilonova.virt.libvirt.domain.guests import Guests
from kilonova.virt.libvirt.host import capabilities, checks
from kilonova.virt.libvirt.host.others import Others
from kilonova.virt.libvirt.network.guest_networks import GuestNetworks


class HostFacts:
    """libvirt's type of guests on this host, and the devices that it offers them; looked up once per connection."""

    def __init__(self, connection: HypervisorConnection, files: Workers, state_path: Path, virt_type: str) -> None:
        self._connection, self._files, self._configured = connection, files, virt_type
        self._virt_type = checks.VirtType(state_path)
        self._offer: Offer | None = None

    def forget(self) -> None:
        """Look up again: the host may have been rebooted."""
        self._offer = None

    async def kind(self) -> str:
        """libvirt's type of guests ("kvm")."""
        return await self._files.run(self._virt_type.choose, self._configured)

    async def offer(self) -> Offer:
        """The devices and features that guests may request."""
        if self._offer is None:
            read = partial(capabilities.read_offer, kind=await self.kind())
            self._offer = await self._connection.host.run(read)
        return self._offer


class LibvirtResources:
    """See ComputeDriver.resources."""

    def __init__(
        self,
        connection: HypervisorConnection,
        facts: HostFacts,
        guests: Guests,
        disks: Disks,
        networks: GuestNetworks,
    ) -> None:
        self._connection, self._facts, self._guests = connection, facts, guests
        self._disks, self._networks = disks, networks
        self._others = Others(disks.root)

    async def read(self, settings: DefaultSettings) -> HostResources:
        host = await self._connection.host.run(checks.read_host)
        total, free = await self._disks.space()
        foreign_mib = 0
        if host.kind == "QEMU":  # guests of the test driver have no memory
            foreign_mib = await self._others.memory_mib(self._connection.host.run, stale=self._guests.any_destroyed)
        return HostResources(
            node=host.hostname,
            hypervisor_type=host.kind,
            hypervisor_version=host.version,
            vcpus=host.cpus,
            memory_mib=host.memory_mib,
            disk_gib=total // GIB,
            foreign_memory_mib=foreign_mib,
            arch=host.cpu.get("arch", "x86_64"),
            disk_available_gib=free // GIB,
            disk_short=disk_short(free, watermark_bytes(settings, total), self._disks.root),
            cpu_info=host.cpu,
            networks=(await self._networks.found()).networks,
            offer=await self._facts.offer(),
        )
