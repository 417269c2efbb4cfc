# SPDX-License-Identifier: Apache-2.0
"""Publishes the outbox: numbers the committed notifications, and sends them on the bus at least once.

A conductor publishes soon after it has committed a transaction that recorded a notification.  Every conductor also
looks periodically: what another one could not publish is found then.

The row of the outbox says how far some conductor has published; a notification whose publisher ends between the send
and the record is sent again by the next one.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import KilonovaError
from kilonova.db.engine import Database
from kilonova.db.readers import notifications as read_notifications
from kilonova.db.writers import notifications as write_notifications
from kilonova.db.writers.notifications import Batch
from kilonova.objects.notification import Numbered
from kilonova.rpc.bus import Bus
from kilonova.rpcapi.notifications import NUMBERED, encode, subject_of

log = structlog.get_logger(__name__)

PAUSE_S = 0.1
"""The time from the first notification of a burst to the look: all of the burst share its transactions."""
BATCH = 500


class Publisher:
    """Publishes what is committed, soon after `look`, and every `interval_s`.

    `confirm` returns when everything that was sent before has reached the bus, and raises a KilonovaError otherwise.
    Without `confirm` the bus ends in this process: notifications are only numbered, and subscribers of NUMBERED read
    them from the database.
    """

    def __init__(
        self, db: Database, bus: Bus, clock: Clock, interval_s: float, confirm: Callable[[], Awaitable[None]] | None
    ) -> None:
        self._db, self._bus, self._clock = db, bus, clock
        self._interval_s, self._confirm = interval_s, confirm
        self._reported = ""
        self._changed = asyncio.Event()

    def look(self) -> None:
        """Something may have been recorded: look at the outbox soon."""
        self._changed.set()

    async def keep(self) -> None:
        """Publish without an end."""
        self._db.on_recorded(self.look)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await self._changed.wait()
            await self._clock.sleep(PAUSE_S)
            self._changed.clear()
            try:
                await self.publish()
            except KilonovaError as exc:
                self._report("notifications wait for their publication", str(exc))
            except Exception as exc:
                self._report("notifications could not be published", repr(exc))
            else:
                self._reported = ""

    def _report(self, event: str, error: str) -> None:
        """Log the first failure; later ones at debug level, until a publication succeeds."""
        level = logging.DEBUG if self._reported else logging.WARNING
        self._reported = event
        log.log(level, event, error=error)

    async def publish(self) -> None:
        """Number and publish everything that is committed now.  Raises KilonovaError: the rest is published later."""
        while await self._db.read(read_notifications.is_work_left):
            batch = await self._db.write(write_notifications.number, self._confirm is None)
            if self._confirm is None:
                await self._bus.publish(NUMBERED, b"")
            elif batch.published != batch.numbered:
                await self._send(self._confirm, batch)
                # What was deleted before it could be sent does not come back.
                await self._db.write(write_notifications.record_published, batch.numbered)
            if not batch.is_full:
                return

    async def _send(self, confirm: Callable[[], Awaitable[None]], batch: Batch) -> None:
        sent = batch.published
        if sent + len(batch.fresh) == batch.numbered:  # every earlier one is published
            return await self._publish(confirm, batch.fresh)
        while found := await self._db.read(read_notifications.after, sent, BATCH):
            await self._publish(confirm, found)
            sent = found[-1].number
            if len(found) < BATCH:
                return None
        return None

    async def _publish(self, confirm: Callable[[], Awaitable[None]], found: Sequence[Numbered]) -> None:
        for one in found:
            await self._bus.publish(subject_of(one.notification.event_type), encode(one))
        await confirm()
