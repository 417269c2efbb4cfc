# SPDX-License-Identifier: Apache-2.0
"""Images that this host makes: their bytes go into the image store, and the conductor has their records.

Requests to the conductor are repeated for as long as it takes: a short outage of the conductor must not end an hour of
work.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TypeVar

from kilonova.base.backoff import Backoff
from kilonova.base.clock import Clock
from kilonova.base.errors import NotFound, StaleWrite
from kilonova.base.outage import Outage
from kilonova.compute.local_images import Chunks, ImageSink
from kilonova.objects.action import Action
from kilonova.objects.action_params import image_made_with
from kilonova.objects.ids import AttemptId, HostName, ImageId
from kilonova.rpcapi.host_to_conductor_images import (
    BEGIN_IMAGE,
    COMPLETE_IMAGE,
    DROP_IMAGES,
    BeginImage,
    CompleteImage,
    DropImages,
)
from kilonova.rpcapi.method import ANY_CALL, Method

Q = TypeVar("Q")
R = TypeVar("R")
T = TypeVar("T")

RETRY = Backoff(0.5, 15.0)


class ImageRecords(Protocol):
    """The conductor, which has the images' records (see kilonova.rpcapi.caller.HostCaller)."""

    host: HostName

    async def call(self, method: Method[Q, R], request: Q) -> R: ...


class ImageUploads:
    """All methods raise StaleWrite when the action is no longer this attempt's."""

    def __init__(self, sink: ImageSink, conductor: ImageRecords, clock: Clock, outage: Outage) -> None:
        self._sink, self._conductor, self._clock, self._outage = sink, conductor, clock, outage

    async def begin(self, action: Action) -> bool:
        """Whether the action's image must still be made.  Raises NotFound when it was deleted."""
        attempt = _attempt(action)
        request = BeginImage(self._conductor.host, action.leg_id, attempt)
        return not (await self._ask(action, lambda: self._conductor.call(BEGIN_IMAGE, request))).saved

    async def save(self, action: Action, chunks: Chunks, disk_format: str) -> None:
        """The image is ACTIVE and has these bytes. Raises NotFound when it was deleted meanwhile, and every error of
        the store; the bytes may exist then (see `discard`)."""
        attempt = _attempt(action)
        saved = await self._sink.save(action, image_of(action), chunks, disk_format)
        request = CompleteImage(
            host=self._conductor.host,
            leg=action.leg_id,
            attempt=attempt,
            size=saved.size,
            virtual_size=saved.virtual_size,
            md5=saved.md5,
            sha512=saved.sha512,
            stores=saved.stores,
            receipt=saved.receipt,
        )
        await self._ask(action, lambda: self._conductor.call(COMPLETE_IMAGE, request))

    async def discard(self, action: Action) -> None:
        """Remove the bytes of an image that was not completed."""
        try:
            unfinished = await self.begin(action)
        except NotFound:
            unfinished = True
        except StaleWrite:
            return  # they belong to another attempt now
        if unfinished:
            await self.forget([image_of(action)])

    async def drop(self, action: Action) -> None:
        """Neither record nor bytes exist of the images that the action makes unnecessary."""
        attempt = _attempt(action)
        request = DropImages(self._conductor.host, action.leg_id, attempt)
        dropped = await self._ask(action, lambda: self._conductor.call(DROP_IMAGES, request))
        await self.forget(dropped.images)

    async def forget(self, images: Iterable[ImageId]) -> None:
        """No bytes of these images exist."""
        for image_id in images:
            await self._sink.delete(image_id)

    async def _ask(self, action: Action, ask: Callable[[], Awaitable[T]]) -> T:
        who = f"image of {action.id}"
        with self._outage.ends_with(who):
            return await self._until_answered(who, ask)

    async def _until_answered(self, who: str, ask: Callable[[], Awaitable[T]]) -> T:
        pauses = RETRY.start(self._clock)
        while True:
            try:
                return await ask()
            except ANY_CALL as exc:
                self._outage.waits(who, exc)
            await pauses.wait()


def image_of(action: Action) -> ImageId:
    """The image that an action makes."""
    image_id = image_made_with(action.params)
    assert image_id is not None
    return image_id


def _attempt(action: Action) -> AttemptId:
    assert action.attempt is not None
    return action.attempt
