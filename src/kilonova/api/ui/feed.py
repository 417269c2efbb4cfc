# SPDX-License-Identifier: Apache-2.0
"""The events of all open pages of a process, from one reader of the outbox (docs/adr/0034).

While a page is open, the reader looks at the outbox at each wake-up and every `interval_s`.  It gives each event to the
streams that may see it, in memory: what a change costs the database does not depend on the number of pages.  The newest
KEPT events stay in memory, for pages that come back.
"""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain

import structlog

from kilonova.api.ui.changes import Change, Kind, change, encoded
from kilonova.base.errors import KilonovaError, Overloaded
from kilonova.config.ui import UiSettings
from kilonova.db.engine import Database
from kilonova.db.readers import notifications as readers
from kilonova.db.transaction import Snapshot
from kilonova.objects.notification import EVERY_PROJECT

log = structlog.get_logger(__name__)

KEPT = 2000
"""Events in memory; a page that missed more reads everything again, which costs it less."""
WAITING = KEPT + 500
"""Events that a stream may have unsent, those before its beginning included.  A page that reads more slowly is
disconnected.  Streams share the events, so this costs a pointer each."""
AT_ONCE = 64
"""Events that are sent together, before the next wait for the client."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who reads a stream.  `project_id` None: all projects.  `whole`: with what only administrators may see; they see
    the images of all projects, as in the Image API.  `images`: with events of images."""

    user_id: str
    project_id: str | None
    whole: bool
    images: bool

    def may_see(self, one: Change) -> bool:
        """Whether policy permits the event to the viewer."""
        if one.kind is Kind.IMAGE:
            return self.images and (self.whole or not one.projects.isdisjoint({EVERY_PROJECT, self.project_id}))
        return self.project_id in (None, *one.projects)


@dataclass(eq=False, slots=True)
class Stream:
    """The unsent events of one page.  `cut`: it was too slow, and receives nothing more."""

    viewer: Viewer
    unsent: deque[bytes] = field(default_factory=deque[bytes])
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    cut: bool = False

    async def next(self) -> bytes:
        """Wait for the next events, and take them; nothing if the stream was cut."""
        await self.woken.wait()
        piece = b"".join(self.unsent.popleft() for _ in range(min(AT_ONCE, len(self.unsent))))
        if not self.unsent:
            self.woken.clear()
        return piece

    def put(self, event: bytes) -> None:
        """Add an event."""
        if self.cut:
            return
        if len(self.unsent) >= WAITING:
            self.cut = True
            self.unsent.clear()
        else:
            self.unsent.append(event)
        self.woken.set()

    def form_of(self, one: Change) -> bytes:
        """The event as its viewer sees it."""
        return one.whole if self.viewer.whole else one.shown


class EventFeed:
    """One per process.  `keep` reads the outbox; `look` wakes it."""

    def __init__(self, db: Database, settings: UiSettings, interval_s: float) -> None:
        self._db, self._settings, self._interval_s = db, settings, interval_s
        self._kept: deque[Change] = deque(maxlen=KEPT)
        self._last = 0
        self._is_current = False
        self._streams: dict[str | None, set[Stream]] = {}
        self._of_users: Counter[str] = Counter()
        self._waiting: list[asyncio.Future[None]] = []
        self._wanted, self._woken = asyncio.Event(), asyncio.Event()
        self._reported = False

    @property
    def count(self) -> int:
        """Open streams."""
        return self._of_users.total()

    def look(self) -> None:
        """The outbox may have something new."""
        self._woken.set()

    async def keep(self) -> None:
        """Read the outbox without an end, while there are streams."""
        while True:
            await self._wanted.wait()
            self._woken.clear()
            if not self._streams and not self._waiting:
                self._wanted.clear()
                self._is_current = False
                continue
            waiting, self._waiting = self._waiting, []
            _finish(waiting, await self._round())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await self._woken.wait()

    async def prepare(self, user_id: str, last: int | None) -> None:
        """Check that the user may have another stream, and read what is new unless the reader is at work.  Raises
        Overloaded, DatabaseUnavailable."""
        if self.count >= self._settings.max_streams:
            raise Overloaded(f"There are {self.count} event streams ([ui] max_streams).")
        if self._of_users[user_id] >= self._settings.max_streams_per_user:
            raise Overloaded("The user has too many event streams ([ui] max_streams_per_user): close some pages.")
        if self._is_current and (last is None or last <= self._last):
            return
        # Another process may have sent a number that this one has not read yet.
        read = asyncio.get_running_loop().create_future()
        self._waiting.append(read)
        self._wanted.set()
        self._woken.set()
        await read

    @contextmanager
    def stream(self, viewer: Viewer, last: int | None) -> Generator[Stream]:
        """A stream after `prepare`.  It begins with `ready`, and the events after the number `last`; or with `reset`
        when they are not known any more.  None: from now on."""
        stream = Stream(viewer)
        if last is None or self._can_resume(last):
            stream.put(encoded(self._last if last is None else last, "ready", {}))
            for one in self._kept:
                if last is not None and one.number > last and viewer.may_see(one):
                    stream.put(stream.form_of(one))
        else:
            stream.put(self._reset())
        self._streams.setdefault(viewer.project_id, set()).add(stream)
        self._of_users[viewer.user_id] += 1
        self._wanted.set()
        try:
            yield stream
        finally:
            self._remove(stream)

    def _can_resume(self, last: int) -> bool:
        return last == self._last or (last < self._last and bool(self._kept) and self._kept[0].number <= last + 1)

    def _remove(self, stream: Stream) -> None:
        viewer = stream.viewer
        others = self._streams[viewer.project_id]
        others.discard(stream)
        if not others:
            del self._streams[viewer.project_id]
        self._of_users[viewer.user_id] -= 1
        if not self._of_users[viewer.user_id]:
            del self._of_users[viewer.user_id]

    def _reset(self) -> bytes:
        return encoded(self._last, "reset", {})

    async def _round(self) -> KilonovaError | None:
        """Read what is new and give it to the streams.  Returns why that was not possible."""
        try:
            numbered, changes = await self._db.read(_changes_since, self._last)
        except KilonovaError as exc:
            return self._failed(exc)
        except Exception as exc:
            return self._failed(KilonovaError(f"The events cannot be read: {exc!r}"))
        self._reported, self._is_current = False, True
        is_next = not changes or changes[0].number == self._last + 1
        if numbered < self._last or not is_next:  # the database was restored, or more is new than is kept
            self._begin_again(numbered, changes)
        else:
            self._give(numbered, changes)
        return None

    def _failed(self, exc: KilonovaError) -> KilonovaError:
        self._is_current = False
        log.log(logging.DEBUG if self._reported else logging.WARNING, "events wait for the database", error=exc.message)
        self._reported = True
        return exc

    def _begin_again(self, numbered: int, changes: Iterable[Change]) -> None:
        self._last = numbered
        self._kept = deque(changes, maxlen=KEPT)
        for streams in self._streams.values():
            for stream in streams:
                stream.put(self._reset())

    def _give(self, numbered: int, changes: Iterable[Change]) -> None:
        self._last = numbered
        for one in changes:
            self._kept.append(one)
            for stream in self._readers(one):
                stream.put(stream.form_of(one))

    def _readers(self, one: Change) -> Iterable[Stream]:
        """The streams that may see an event."""
        if one.kind is Kind.IMAGE:  # administrators of one project see the images of all
            return [each for each in chain.from_iterable(self._streams.values()) if each.viewer.may_see(one)]
        return chain.from_iterable(self._streams.get(key, ()) for key in (None, *one.projects))


def _changes_since(snapshot: Snapshot, number: int) -> tuple[int, list[Change]]:
    """Runs in a thread of the database's readers: encoding many events would stop the event loop."""
    numbered, found = readers.since(snapshot, number, KEPT)
    return numbered, [change(one) for one in found]


def _finish(waiting: Iterable[asyncio.Future[None]], why: KilonovaError | None) -> None:
    for future in waiting:
        if future.done():  # the request was cancelled
            continue
        if why is None:
            future.set_result(None)
        else:
            future.set_exception(why)
