# SPDX-License-Identifier: Apache-2.0
"""Where a host's images come from and go to: the protocols, and the one box's own store."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Protocol

from kilonova.images.inspect import MAX_VIRTUAL_BYTES
from kilonova.images.intake import take_in
from kilonova.images.store import ImageStore, Stored
from kilonova.objects.action import Action
from kilonova.objects.ids import ImageId
from kilonova.objects.image import ImageRef, SavedImage

Chunks = Callable[[], AsyncIterator[bytes]]
"""Begins to read the bytes; each call begins anew."""


class ImageFetch(Protocol):
    """One image that the host fetches."""

    def read(self) -> AsyncGenerator[bytes]:
        """All bytes.  Raises NotFound, ImageUnavailable, Forbidden."""
        ...

    def refuse(self) -> bool:
        """The bytes of the last read were not the image's.  Returns whether another read may bring others."""
        ...


class ImageSource(Protocol):
    """Where images come from."""

    def fetch(self, image: ImageRef, grant: str = "") -> ImageFetch:
        """Begin to fetch the image.  `grant` permits an image that no leg of the host needs."""
        ...


class ImageSink(Protocol):
    """Where images go that this host makes."""

    async def save(self, action: Action, image_id: ImageId, chunks: Chunks, disk_format: str) -> SavedImage:
        """Store the bytes.  Raises StorageFull, ImageUnacceptable, ImageUnavailable; nothing is stored then."""
        ...

    async def delete(self, image_id: ImageId) -> None:
        """The image has no record any more.  Missing bytes are not an error."""
        ...


class ImageLibrary(ImageSource, ImageSink, Protocol):
    """Both."""


class LocalImages:
    """The image store of the one box, which the API of the same machine fills."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def fetch(self, image: ImageRef, grant: str = "") -> ImageFetch:
        return _LocalFetch(self._store, image.id)

    async def save(self, action: Action, image_id: ImageId, chunks: Chunks, disk_format: str) -> SavedImage:
        return await take_in(
            self._store, image_id, chunks(), max_bytes=MAX_VIRTUAL_BYTES, disk_format=disk_format, confirm=_accept
        )

    async def delete(self, image_id: ImageId) -> None:
        await self._store.delete(image_id)


class _LocalFetch:
    def __init__(self, store: ImageStore, image_id: ImageId) -> None:
        self._store, self._image_id = store, image_id

    def read(self) -> AsyncGenerator[bytes]:
        return self._store.read(self._image_id)

    def refuse(self) -> bool:
        return False


async def _accept(_stored: Stored) -> None:
    """The host has made these bytes itself."""
