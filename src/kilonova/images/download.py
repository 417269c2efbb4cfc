# SPDX-License-Identifier: Apache-2.0
"""The download of one image from the stores that have it.

A cut download continues at the next store.  Bytes are the image's only after the reader has compared their hash.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import structlog

from kilonova.base.backoff import Backoff
from kilonova.base.clock import Clock
from kilonova.base.errors import (
    DatabaseUnavailable,
    ImageUnavailable,
    KilonovaError,
    NotFound,
    RpcTimeout,
    RpcUnavailable,
)
from kilonova.images.client import StoreClient
from kilonova.objects.ids import ImageId

log = structlog.get_logger(__name__)

RETRY = Backoff(0.5, 15.0)
AWAY = (RpcTimeout, RpcUnavailable, DatabaseUnavailable)
"""The places cannot be found now."""
PATIENCE_S = 120.0
"""How long the download of a host goes on without a byte from any store."""
NOTE_BYTES = 1 << 30
"""The progress of a download is logged after so many bytes."""


@dataclass(frozen=True, slots=True)
class Place:
    """A store, and the signed URL of the image there."""

    store_id: str
    url: str = field(repr=False)


Find = Callable[[tuple[str, ...]], Awaitable[Sequence[Place]]]
"""The places of the image now.  It receives the stores that sent other bytes."""


@dataclass(frozen=True, slots=True)
class Transport:
    """What downloads of a process share."""

    client: StoreClient
    clock: Clock


NO_STORE_S = 10.0
"""How long a download waits for a store that has the image: an API process that has just started reports its files
within seconds."""


class Download:
    """One image of `size` bytes; it fails when no byte arrives for `patience_s`, from any store.  `wrong` are the
    stores that sent other bytes: they are not read again."""

    def __init__(self, transport: Transport, image_id: ImageId, size: int, find: Find, patience_s: float) -> None:
        self._client, self._clock, self._find = transport.client, transport.clock, find
        self._image_id, self._size, self._patience_s = image_id, size, patience_s
        self.wrong: set[str] = set()
        self._used: set[str] = set()
        self._one_by_one = False

    async def read(self, start: int = 0) -> AsyncGenerator[bytes]:
        """The bytes from offset `start` on.  Raises NotFound (no store has the image), ImageUnavailable (no byte for so
        long), Forbidden (no permission)."""
        self._used = set()
        at, noted, pauses, heard = start, start, RETRY.start(self._clock), self._clock.monotonic()
        while at < self._size:
            before, why = at, "none answers"
            try:
                places = self._choose(await self._places())
            except AWAY as exc:
                places, why = (), exc.message
            except NotFound as exc:
                if self.wrong or self._clock.monotonic() - heard >= min(NO_STORE_S, self._patience_s):
                    raise
                places, why = (), exc.message
            for place in places:
                try:
                    async with aclosing(self._client.read(place.url, at)) as pieces:
                        async for piece in pieces:
                            self._used.add(place.store_id)
                            part = piece[: self._size - at]
                            at += len(part)
                            yield part
                            noted = self._note(at, noted)
                            if at >= self._size:
                                return
                except KilonovaError as exc:
                    why = exc.message
                    log.warning("a download from an image store broke off", image_id=self._image_id, at=at, why=why)
            if at > before:
                pauses, heard = RETRY.start(self._clock), self._clock.monotonic()
            elif self._clock.monotonic() - heard >= self._patience_s:
                raise ImageUnavailable(f"No store sends the image {self._image_id}: {why}")
            await pauses.wait()

    def refuse(self) -> bool:
        """The bytes of the last read were not the image's.  Returns whether another read may bring others.

        When the bytes came from several stores, the next reads use one store each, so that the wrong one is found.
        """
        if len(self._used) > 1:
            self._one_by_one = True
            return True
        self.wrong |= self._used
        return bool(self._used)

    async def _places(self) -> Sequence[Place]:
        found = await self._find(tuple(sorted(self.wrong)))
        good = [place for place in found if place.store_id not in self.wrong]
        if not good:
            why = "every store has other bytes" if found else "no store has it"
            raise NotFound(f"The image {self._image_id} cannot be read: {why}.", image_id=self._image_id)
        return good

    def _choose(self, places: Sequence[Place]) -> Sequence[Place]:
        if not self._one_by_one:
            return places
        used = [place for place in places if place.store_id in self._used]
        return used or places[:1]

    def _note(self, at: int, noted: int) -> int:
        if at - noted < NOTE_BYTES:
            return noted
        log.info("an image is being fetched", image_id=self._image_id, bytes=at, of=self._size)
        return at
