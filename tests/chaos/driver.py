# SPDX-License-Identifier: Apache-2.0
"""The fake driver of a host in a chaos run: it also appends to a log when a guest begins and ceases to live."""

import json
import os
import time

from kilonova.base.tasks import Supervisor
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.driver import DriverSettings, VirtAPI
from kilonova.virt.fake.durable import DurableFakeDriver

LOG = "KILONOVA_CHAOS_GUESTS"
"""The environment variable with the path of the log, which all hosts share: its lines have one order."""
LIVE = (PowerState.RUNNING, PowerState.PAUSED)


class ChaosDriver(DurableFakeDriver):
    """A guest lives in the log from before it lives in its file until after: a process that dies between the two leaves
    a guest that is said to live, which the next process corrects when it starts."""

    def __init__(self, virtapi: VirtAPI, settings: DriverSettings, *, read_only: bool = False) -> None:
        super().__init__(virtapi, settings, read_only=read_only)
        self._host = settings.default.host
        self._log = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._live: set[InstanceId] = set()
        self._starts: dict[InstanceId, int] = {}

    async def init_host(self, tasks: Supervisor) -> None:
        await super().init_host(tasks)
        guests = self.hypervisor.guests
        self._live = {instance_id for instance_id, guest in guests.items() if guest.power in LIVE}
        self._starts = {instance_id: guest.starts for instance_id, guest in guests.items()}
        self._note("all", guests=sorted(self._live))

    def _save(self, instance_id: InstanceId) -> None:
        guest = self.hypervisor.guests.get(instance_id)
        lives = guest is not None and guest.power in LIVE
        if lives and instance_id not in self._live:
            self._live.add(instance_id)
            self._note("live", guest=instance_id)
        super()._save(instance_id)
        if guest is not None and guest.starts > self._starts.get(instance_id, 0):
            self._note("start", guest=instance_id, token=guest.start_token)
        self._starts[instance_id] = guest.starts if guest is not None else 0
        if not lives and instance_id in self._live:
            self._live.discard(instance_id)
            self._note("off", guest=instance_id)

    def _note(self, what: str, **more: object) -> None:
        line = json.dumps({"at": time.monotonic(), "host": self._host, "what": what, **more})
        os.write(self._log, f"{line}\n".encode())
