# SPDX-License-Identifier: Apache-2.0
"""The images of a host in a fleet: over HTTP from and to the stores of the API processes (docs/adr/0028).

The conductor gives a signed URL for each image that an open leg of the host needs, and for the image that a leg makes.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import structlog
from pydantic import TypeAdapter, ValidationError

from kilonova.base.clock import Clock
from kilonova.base.errors import ImageUnacceptable, ImageUnavailable, KilonovaError, NotFound, StorageFull
from kilonova.compute.local_images import Chunks, ImageFetch
from kilonova.images.client import StoreClient
from kilonova.images.download import AWAY, PATIENCE_S, RETRY, Download, Place, Transport
from kilonova.images.store import ImageStore
from kilonova.objects.action import Action
from kilonova.objects.ids import ImageId
from kilonova.objects.image import ImageRef, SavedImage
from kilonova.rpcapi.caller import HostCaller
from kilonova.rpcapi.host_to_conductor_images import FIND_IMAGE, FIND_STORE, FindImage, FindStore, StoreUrls

log = structlog.get_logger(__name__)

SAVE_PATIENCE_S = 300.0
"""No attempt at storing an image begins later, so that a short outage does not end an hour of work."""

_SAVED = TypeAdapter(SavedImage)


class FleetImages:
    """`local`: the directory of a store that this machine has too, whose files are read without a transfer."""

    def __init__(self, conductor: HostCaller, client: StoreClient, clock: Clock, local: ImageStore) -> None:
        self._conductor, self._client, self._clock, self._local = conductor, client, clock, local

    def fetch(self, image: ImageRef, grant: str = "") -> ImageFetch:
        async def find(wrong: tuple[str, ...]) -> Sequence[Place]:
            request = FindImage(self._conductor.host, image.id, grant, wrong)
            return _places(await self._conductor.call(FIND_IMAGE, request))

        return _FleetFetch(
            Download(Transport(self._client, self._clock), image.id, image.size, find, PATIENCE_S), self._local, image
        )

    async def save(self, action: Action, image_id: ImageId, chunks: Chunks, disk_format: str) -> SavedImage:
        assert action.attempt is not None
        request = FindStore(self._conductor.host, action.leg_id, action.attempt)
        pauses, begun = RETRY.start(self._clock), self._clock.monotonic()
        while True:
            try:
                return await self._save(request, image_id, chunks)
            except (ImageUnavailable, *AWAY) as exc:
                if self._clock.monotonic() - begun >= SAVE_PATIENCE_S:
                    raise
                log.warning("an image waits for a store", image_id=image_id, why=exc.message)
            await pauses.wait()

    async def _save(self, request: FindStore, image_id: ImageId, chunks: Chunks) -> SavedImage:
        """Send the bytes to the first store that takes them: each attempt at a store begins anew."""
        last: KilonovaError = ImageUnavailable("No image store of the fleet is there now.")
        for place in _places(await self._conductor.call(FIND_STORE, request)):
            try:
                return _SAVED.validate_json(await self._client.write(place.url, chunks()))
            except (ImageUnavailable, StorageFull, NotFound) as exc:
                log.warning("an image store did not take an image", image_id=image_id, why=exc.message)
                last = exc
            except ValidationError as exc:
                raise ImageUnacceptable("An image store sent an answer that cannot be read.") from exc
        raise last

    async def delete(self, image_id: ImageId) -> None:
        """The stores delete the bytes themselves, when the record is gone."""


class _FleetFetch:
    def __init__(self, download: Download, local: ImageStore, image: ImageRef) -> None:
        self._download, self._local, self._image = download, local, image
        self._try_local, self._was_local = True, False

    async def read(self) -> AsyncGenerator[bytes]:
        self._was_local = self._try_local and await self._local.size_of(self._image.id) == self._image.size
        pieces = self._local.read(self._image.id) if self._was_local else self._download.read()
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    def refuse(self) -> bool:
        if self._was_local:
            self._try_local = False
            return True
        return self._download.refuse()


def _places(found: StoreUrls) -> Sequence[Place]:
    return tuple(Place(one.store_id, one.url) for one in found.urls)
