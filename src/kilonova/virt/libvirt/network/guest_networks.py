# SPDX-License-Identifier: Apache-2.0
"""This host's networks as the driver uses them: looked up once per connection, and made ready for each guest."""

from functools import partial

from kilonova.base.clock import Clock
from kilonova.config.network import NetworkSettings
from kilonova.objects.host_contents import NetworkContents
from kilonova.objects.instance import Instance
from kilonova.virt.libvirt.connection.in_doubt import InDoubtCalls
from kilonova.virt.libvirt.network import network
from kilonova.virt.libvirt.network.leases import Leases

CALLS = "network"
"""Calls on networks exclude each other under this key."""


class GuestNetworks:
    """See ComputeDriver.ensure_network and remove_network."""

    def __init__(
        self, settings: NetworkSettings, uri: str, in_doubt: InDoubtCalls, clock: Clock, *, read_only: bool
    ) -> None:
        self._settings, self._in_doubt, self._read_only = settings, in_doubt, read_only
        self._backend = network.backend_of(settings.backend, uri)
        self._leases = Leases(settings.name if self._backend == "nat" else "", in_doubt, clock)
        self._found: network.Found | None = None
        self._warned_of: network.Found | None = None

    def forget(self) -> None:
        """Look the networks up again: the host may have been rebooted."""
        self._found = None

    async def found(self) -> network.Found:
        """The host's networks."""
        if self._found is None:
            look = partial(network.look, settings=self._settings, backend=self._backend, read_only=self._read_only)
            found = await self._in_doubt.run(CALLS, look)
            if not found.networks:  # one may be made meanwhile
                return found
            if found != self._warned_of:
                network.warn(found)
                self._warned_of = found
            if not self._read_only:
                await self._leases.sweep()
            self._found = found
        return self._found

    async def contents(self) -> NetworkContents:
        """The networks as they are now; nothing is made."""
        look = partial(network.contents, settings=self._settings, backend=self._backend)
        return await self._in_doubt.run(CALLS, look)

    async def ensure(self, instance: Instance) -> None:
        """The guest's networks are ready to give it its addresses."""
        await self._in_doubt.run(CALLS, partial(network.plug, instance=instance, found=await self.found()))
        await self._leases.free(instance)

    async def remove(self, instance: Instance) -> None:
        """The host has no reservation for the guest's addresses."""
        await self._leases.give_back(instance)
