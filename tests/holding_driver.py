# SPDX-License-Identifier: Apache-2.0
"""A fake hypervisor that keeps calls waiting, for a service that is a process: a file says which."""

from pathlib import Path

from kilonova.config.load import Settings
from kilonova.objects.ids import InstanceId
from kilonova.virt.driver import VirtAPI
from kilonova.virt.fake import FakeDriver
from kilonova.virt.fake.machine import FakeHypervisor

FILE = "held-calls"
"""In the state directory; the names of calls, separated by spaces."""

LOOK_S = 0.02


class HoldingDriver(FakeDriver):
    """A call waits while the file has its name."""

    def __init__(self, virtapi: VirtAPI, settings: Settings, *, read_only: bool = False) -> None:
        hypervisor = FakeHypervisor()
        hypervisor.before_call = self._wait
        super().__init__(virtapi, settings, read_only=read_only, hypervisor=hypervisor)
        self._file = Path(settings.default.state_path) / FILE

    async def _wait(self, name: str, _instance_id: InstanceId | None) -> None:
        while self._file.exists() and name in self._file.read_text().split():
            await self.virtapi.clock.sleep(LOOK_S)
