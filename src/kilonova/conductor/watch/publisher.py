# SPDX-License-Identifier: Apache-2.0
"""Publishes the outbox: numbers the committed notifications, and sends them on the bus at least once.

Any conductor may publish.  The row of the outbox says how far some conductor has published; a notification whose
publisher ends between the send and the record is sent again by the next one.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import KilonovaError
from kilonova.db.engine import Database
from kilonova.db.readers import notifications as read_notifications
from kilonova.db.writers import notifications as write_notifications
from kilonova.rpc.bus import Bus, Handler
from kilonova.rpcapi.notifications import NUMBERED, encode, subject_of

log = structlog.get_logger(__name__)

PAUSE_S = 0.1
"""The pause between two looks: notifications of a burst share their transactions."""
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

    def after(self, handler: Handler) -> Handler:
        """The handler, with a look after each message."""

        async def handled(subject: str, payload: bytes) -> bytes:
            try:
                return await handler(subject, payload)
            finally:
                self.look()

        return handled

    async def keep(self) -> None:
        """Publish without an end."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self.publish()
            except KilonovaError as exc:
                self._report("notifications wait for their publication", str(exc))
            except Exception as exc:
                self._report("notifications could not be published", repr(exc))
            else:
                self._reported = ""
            await self._clock.sleep(PAUSE_S)

    def _report(self, event: str, error: str) -> None:
        """Log the first failure; later ones at debug level, until a publication succeeds."""
        level = logging.DEBUG if self._reported else logging.WARNING
        self._reported = event
        log.log(level, event, error=error)

    async def publish(self) -> None:
        """Number and publish everything that is committed now.  Raises KilonovaError: the rest is published later."""
        while await self._db.read(read_notifications.is_work_left):
            alone = self._confirm is None
            sent, numbered = await self._db.write(write_notifications.number, alone)
            if self._confirm is None:
                await self._bus.publish(NUMBERED, b"")
            else:
                await self._send(self._confirm, sent)
                # What was deleted before it could be sent does not come back.
                await self._db.write(write_notifications.record_published, numbered)

    async def _send(self, confirm: Callable[[], Awaitable[None]], sent: int) -> None:
        while found := await self._db.read(read_notifications.after, sent, BATCH):
            for one in found:
                await self._bus.publish(subject_of(one.notification.event_type), encode(one))
            await confirm()
            sent = found[-1].number
            if len(found) < BATCH:
                return
