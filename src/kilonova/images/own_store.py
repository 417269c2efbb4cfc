# SPDX-License-Identifier: Apache-2.0
"""Where the API keeps the bytes of images: the protocol, and the one store of the one box."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from kilonova.base.errors import Forbidden
from kilonova.images.intake import take_in
from kilonova.images.store import Confirm, ImageStore
from kilonova.objects.ids import ImageId
from kilonova.objects.image import Image, SavedImage


@dataclass(frozen=True, slots=True)
class Upload:
    """The bytes of an image as they arrive: `declared` of them, if that is known.  `confirm` may refuse them at their
    end."""

    image: Image
    chunks: AsyncIterator[bytes]
    max_bytes: int
    declared: int | None
    confirm: Confirm

    @property
    def disk_format(self) -> str:
        assert self.image.disk_format is not None
        return self.image.disk_format


class ImageBytes(Protocol):
    """The bytes of all images.  `uploader` identifies this process in the records of uploads, `store_id` its store
    (empty in the one box), and `files` are the files of that store."""

    uploader: str
    store_id: str
    files: ImageStore

    async def check_room(self, more_bytes: int) -> None:
        """Check the free space.  Raises StorageFull when no store has room for so many bytes."""
        ...

    async def save(self, upload: Upload) -> SavedImage:
        """Store the bytes.  Raises TooLarge, StorageFull, ImageUnacceptable, and what `confirm` raises; nothing of
        these bytes remains in this process's store then."""
        ...

    async def open(self, image: Image, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The image's bytes from offset `start` on.  Raises NotFound, ImageUnavailable."""
        ...

    async def delete(self, image_id: ImageId) -> None:
        """The image has no record any more: delete its bytes, here at once."""
        ...

    async def receive(self, image_id: ImageId, query: Mapping[str, str], chunks: AsyncIterator[bytes]) -> SavedImage:
        """Store what a host or another API process sends to a signed URL.  Raises Forbidden for a URL that is not
        valid, and what `save` raises."""
        ...

    async def offer(self, image_id: ImageId, query: Mapping[str, str]) -> int:
        """The size of the image's file in this process's store, for a reader with a signed URL.  Raises Forbidden,
        NotFound."""
        ...

    def read_own(self, image_id: ImageId, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of the file that was offered."""
        ...


class OwnStore:
    """The store of the one box: its host reads the same directory, and no URL leads to it."""

    uploader = store_id = ""

    def __init__(self, store: ImageStore) -> None:
        self._store = self.files = store

    async def check_room(self, more_bytes: int) -> None:
        await self._store.check_room(more_bytes)

    async def save(self, upload: Upload) -> SavedImage:
        return await take_in(
            self._store,
            upload.image.id,
            upload.chunks,
            max_bytes=upload.max_bytes,
            disk_format=upload.disk_format,
            confirm=upload.confirm,
        )

    async def open(self, image: Image, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        return self._store.read(image.id, start, length)

    async def delete(self, image_id: ImageId) -> None:
        await self._store.delete(image_id)

    async def receive(self, image_id: ImageId, query: Mapping[str, str], chunks: AsyncIterator[bytes]) -> SavedImage:
        raise _NO_URLS

    async def offer(self, image_id: ImageId, query: Mapping[str, str]) -> int:
        raise _NO_URLS

    def read_own(self, image_id: ImageId, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        return self._store.read(image_id, start, length)


_NO_URLS = Forbidden("This process serves no image store to others.")
