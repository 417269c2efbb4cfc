# SPDX-License-Identifier: Apache-2.0
"""What stands between the processes of a host and its hypervisor: gates, faults, and two rules of all calls."""

import asyncio
from collections.abc import Callable

from kilonova.objects.ids import InstanceId
from tests.simulation.explore.gates import GATE, Gate
from tests.simulation.explore.journal import Observer
from tests.simulation.explore.weather import Weather
from tests.simulation.explore.work import Work

CHANGES = frozenset(
    {
        "define", "drop_kept_disk", "ensure_config_drive", "ensure_disks", "ensure_network", "fit_local_disks",
        "grow_disk", "keep_disk", "keep_local_disks", "make_rescue_disk", "pause", "power_off", "power_on",
        "remove_disks", "remove_network", "remove_rescue_disk", "remove_snapshot", "replace_root_disk",
        "restore_disk", "restore_local_disks", "resume", "shutdown", "suspend", "take_snapshot", "undefine", "unpause",
    }
)  # fmt: skip
"""Calls that change a guest."""

OF_DOMAINS = frozenset(
    {"define", "undefine", "power_on", "power_off", "shutdown", "pause", "unpause", "suspend", "resume"}
)
"""Calls that a hypervisor executes, also when the caller does not wait any more."""

INTERRUPTED = frozenset({"shutdown", "suspend", "resume"})
"""Those of them that a host leaves when its work is taken back, or when its time is up: a request that a guest answers
later, and transfers of a guest's memory."""

_IDLE = """
SELECT 1 FROM instances AS i WHERE i.id = ? AND i.host = ? AND i.deleted_at IS NULL
AND NOT EXISTS (SELECT 1 FROM actions AS a WHERE a.instance_id = i.id AND a.state IN ('open', 'abandoned'))
AND NOT EXISTS (SELECT 1 FROM services AS s WHERE s.host = i.host AND s.forced_down)
"""

GOES_ON = """
SELECT 1 FROM actions WHERE instance_id = ? AND host = ? AND state = 'open' AND verb != 'delete'
AND (bookkeeping ->> 'cancel' IS NULL OR ? != 'shutdown') AND deadline > coalesce(counted_at, started_at)
"""
"""An action that has neither ended nor used up its time.  Only a shutdown is left for a cancel."""


class Calls:
    """The `before_call` of one host's machine.  `breaches` are sentences, and calls that were cut off: each is a breach
    unless the process ended then."""

    def __init__(self, host: str, weather: Weather, observer: Observer, now: Callable[[], float], work: Work) -> None:
        self._host, self._weather, self._observer, self._now, self._work = host, weather, observer, now, work
        self.breaches: list[str] = []
        self._cut_off: list[tuple[Gate, str]] = []

    async def __call__(self, call: str, guest: InstanceId | None) -> Exception | None:
        gate = GATE.get()
        if gate is None:
            return await self._weather.of_call(call, guest)
        await gate.passed()
        if guest is None or call not in CHANGES:
            return await self._weather.of_call(call, guest)
        if not gate.has_stood and self._observer.rows(_IDLE, guest, self._host):
            self.breaches.append(f"At {self._now():.1f} s {self._host} begins {call} of {guest}, which has no action.")
        self._work.begins(self._host, gate, call, guest)
        began_s, is_over = self._now(), True
        try:
            return await self._weather.of_call(call, guest)
        except asyncio.CancelledError:
            is_over = False
            if call in OF_DOMAINS and not self._may_leave(gate, call, guest):
                text = f"At {self._now():.1f} s {self._host} did not wait for its {call} of guest {guest}."
                self._cut_off.append((gate, text))
            raise
        finally:
            if is_over:
                self._work.ends(self._host, gate, call, guest, began_s)

    def _may_leave(self, gate: Gate, call: str, guest: InstanceId) -> bool:
        """Whether the host need not wait for the call.  A process that stood still may have lost its host."""
        return call in INTERRUPTED and (gate.has_stood or not self._observer.rows(GOES_ON, guest, self._host, call))

    def all(self) -> list[str]:
        """All breaches so far."""
        return [*self.breaches, *(text for gate, text in self._cut_off if not gate.dead)]
