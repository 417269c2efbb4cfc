# SPDX-License-Identifier: Apache-2.0
"""Notifications on their way to the conductor, which stores them for operators."""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import KilonovaError
from kilonova.base.outage import Outage
from kilonova.base.tasks import Supervisor
from kilonova.compute.session import AWAY
from kilonova.rpcapi.caller import HostCaller
from kilonova.rpcapi.host_to_conductor import NOTIFY, Notice, Notify

log = structlog.get_logger(__name__)

MOST_WAITING = 100
"""The number of notifications that wait while the conductor is away; beyond it the oldest are dropped. All of them are
in the log."""
NOTICES = "notifications"
RETRY_S = 1.0


class Notifier:
    """Sends notifications to the conductor, in order, each once, and retries without a limit."""

    def __init__(self, conductor: HostCaller, clock: Clock, outage: Outage) -> None:
        self._conductor, self._clock, self._outage = conductor, clock, outage
        self._waiting: deque[Notice] = deque(maxlen=MOST_WAITING)
        self._wake = asyncio.Event()

    def start(self, tasks: Supervisor) -> None:
        """Send present and future notifications, under `tasks`."""
        tasks.spawn("notifier", self._send_forever())

    def error(self, event_type: str, payload: Mapping[str, Any]) -> None:
        """Returns at once; never fails."""
        values = {name: str(value) for name, value in payload.items()}
        self._waiting.append(Notice(self._clock.new_id(), self._clock.now(), event_type, "ERROR", values))
        self._wake.set()

    async def _send_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                notice = self._waiting[0]
                try:
                    await self._conductor.call(NOTIFY, Notify(self._conductor.host, notice))
                except AWAY as exc:
                    self._outage.waits(NOTICES, exc)
                    await self._clock.sleep(RETRY_S)
                    continue
                except KilonovaError as exc:  # the conductor will never accept it, and it must not block others
                    log.warning("a notification was refused", event_type=notice.event_type, error=str(exc))
                except Exception:
                    log.exception("a notification could not be sent", event_type=notice.event_type)
                self._outage.answered(NOTICES)
                if self._waiting and self._waiting[0] is notice:  # it may have been dropped meanwhile
                    self._waiting.popleft()
