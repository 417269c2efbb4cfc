# SPDX-License-Identifier: Apache-2.0
"""The methods that a driver may call on the service above it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from kilonova.base.clock import Clock
from kilonova.objects.guest import GuestEvent

log = structlog.get_logger(__name__)


class ComputeVirtAPI:
    """Passes the driver's reports on.  The manager sets the hooks. Earlier reports are not lost: the hypervisor's state
    is kept as a level, and guests are read in bulk at the start."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.enabled: bool | None = None
        """Whether the hypervisor is in service; None before its first report."""
        self.reason = "the hypervisor has not answered yet"
        self.on_event: Callable[[GuestEvent], None] = lambda event: None
        self.on_enabled: Callable[[], None] = lambda: None
        self.on_error: Callable[[str, Mapping[str, Any]], None] = lambda event_type, payload: None

    @property
    def clock(self) -> Clock:
        return self._clock

    def emit_event(self, event: GuestEvent) -> None:
        self.on_event(event)

    def set_host_enabled(self, enabled: bool, reason: str = "") -> None:
        self.enabled, self.reason = enabled, reason
        self.on_enabled()

    def while_in_service(self, work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """`work` as a periodic task that skips its rounds while the hypervisor is known to be away, so that each outage
        is reported once.  Everything is read again when it is back."""

        async def work_if_there() -> None:
            if self.enabled is not False:
                await work()

        return work_if_there

    def notify_error(self, event_type: str, payload: Mapping[str, Any]) -> None:
        log.error(event_type, **payload)
        self.on_error(event_type, payload)
