# SPDX-License-Identifier: Apache-2.0
"""Consoles of guests of this process: no bus between the driver and the user."""

from kilonova.base.errors import InvalidState
from kilonova.objects.console import ConsoleStream
from kilonova.objects.ids import HostName, InstanceId
from kilonova.virt.capabilities import CONSOLES
from kilonova.virt.driver import ComputeDriver


class LocalConsoles:
    """See kilonova.objects.console.Consoles. Serves only the host that has `driver`."""

    def __init__(self, host: HostName, driver: ComputeDriver) -> None:
        self._host, self._driver = host, driver

    async def open(self, host: HostName, instance_id: InstanceId) -> ConsoleStream:
        if host != self._host:
            raise InvalidState(f"Guest {instance_id} is on host {host}, whose consoles cannot be reached from here.")
        return await CONSOLES.of(self._driver).open(instance_id)
