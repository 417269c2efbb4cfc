# SPDX-License-Identifier: Apache-2.0
"""The image store of an API process in a fleet (docs/adr/0028).

Bytes are first in this process's own store, then in others, until enough stores have them.  The database says which
copies count; a file without a record counts for nothing.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

import structlog
from pydantic import TypeAdapter

from kilonova.base.clock import Clock
from kilonova.base.errors import (
    Conflict,
    Forbidden,
    ImageUnacceptable,
    ImageUnavailable,
    KilonovaError,
    NotFound,
    StorageFull,
)
from kilonova.base.metrics import Metrics
from kilonova.db.engine import Database
from kilonova.db.readers import image_stores as read_stores
from kilonova.db.readers import images as read_images
from kilonova.db.transaction import Snapshot
from kilonova.images.client import StoreClient
from kilonova.images.download import Download, Place, Transport
from kilonova.images.intake import take_in
from kilonova.images.own_store import Upload
from kilonova.images.signing import URL_LIFETIME, Permit, Use, check_url, receipt, signed_url
from kilonova.images.store import ImageStore, Stored
from kilonova.objects.ids import ImageId
from kilonova.objects.image import WITH_BYTES, Image, ImageStatus, SavedImage
from kilonova.objects.image_store import ImageCopy, StoreAddress, live_stores
from kilonova.objects.signing_key import SigningKey
from kilonova.rpcapi.api_to_conductor_images import RECORD_COPY, RecordCopy
from kilonova.rpcapi.caller import Caller

log = structlog.get_logger(__name__)

OPEN_PATIENCE_S = 5.0
"""How long a client's download waits for a byte of another store."""

SAVED = TypeAdapter(SavedImage)


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    """The store of this process: see objects.image_store.StoreAddress.  `copies` is [image] copies."""

    store_id: str
    process_id: str
    url: str
    copies: int


@dataclass(frozen=True, slots=True)
class StoreParts:
    """What the store receives from its process."""

    files: ImageStore
    db: Database
    rpc: Caller
    client: StoreClient
    clock: Clock
    metrics: Metrics


class FleetStore:
    """The bytes of all images of the fleet, as one API process reaches them (see images.own_store.ImageBytes)."""

    def __init__(self, identity: StoreIdentity, parts: StoreParts, max_bytes: int) -> None:
        self.identity, self.uploader, self.store_id = identity, identity.process_id, identity.store_id
        self._files = self.files = parts.files
        self._db, self._rpc, self._client = parts.db, parts.rpc, parts.client
        self._clock, self._metrics, self._max_bytes = parts.clock, parts.metrics, max_bytes

    async def check_room(self, more_bytes: int) -> None:
        """Raises StorageFull when neither this store nor another live one has room."""
        try:
            await self._files.check_room(more_bytes)
        except StorageFull:
            if not any(not other.is_full for other in await self._others()):
                raise

    async def save(self, upload: Upload) -> SavedImage:
        """Store in this process's store and in others; in others only when this one is full."""
        try:
            await self._files.check_room(upload.declared or 0)
        except StorageFull:
            return await self._relay(upload)
        return await self._take_in(upload)

    async def open(self, image: Image, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        if await self._files.size_of(image.id) == image.size:
            return self._files.read(image.id, start, length)
        end = (image.size or 0) if length is None else start + length
        stream = self._download(image.id, end, OPEN_PATIENCE_S)
        pieces = stream.read(start)
        try:
            first = await anext(pieces, b"")  # before the answer's head: a failure is still an error message
        except NotFound as exc:
            raise ImageUnavailable(f"No image store has the bytes of image {image.id} now.") from exc
        return _continued(first, pieces)

    async def delete(self, image_id: ImageId) -> None:
        """Here at once; other stores find the deletion in their upkeep."""
        await self._files.delete(image_id)

    async def receive(self, image_id: ImageId, query: Mapping[str, str], chunks: AsyncIterator[bytes]) -> SavedImage:
        permit, keys = await self._permit(Use.WRITE, image_id, query)
        image = await self._saving(image_id)

        async def confirm(stored: Stored) -> None:
            if permit.sha512 and stored.sha512 != permit.sha512:
                raise ImageUnacceptable(f"The bytes of image {image_id} are not those that were announced.")
            await self._saving(image_id)  # a slow upload must not replace the file of a complete image

        upload = Upload(image, chunks, self._max_bytes, None, confirm)
        saved = await self._keep(upload) if permit.sha512 else await self._take_in(upload)
        return replace(saved, receipt=receipt(image_id, permit.attempt, saved, keys[0]))

    async def offer(self, image_id: ImageId, query: Mapping[str, str]) -> int:
        await self._permit(Use.READ, image_id, query)
        size = await self._files.size_of(image_id)
        if size is None:
            raise NotFound(f"This store does not have the image {image_id}.", image_id=image_id)
        return size

    def read_own(self, image_id: ImageId, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        return self._files.read(image_id, start, length)

    async def places(self, image_id: ImageId, wrong: tuple[str, ...] = ()) -> list[Place]:
        """The other stores that have the image, live ones first."""
        key, copies, addresses = await self._db.read(_where, image_id)
        if key is None:
            return []
        having = {copy.store_id for copy in copies if not copy.doubted} - {self.identity.store_id, *wrong}
        found = [address for address in addresses if address.store_id in having]
        found.sort(key=lambda address: not address.is_live(self._clock.now()))
        permit = Permit(Use.READ, image_id, self.identity.process_id, self._clock.now() + URL_LIFETIME)
        return [Place(address.store_id, signed_url(address.url, permit, key)) for address in found]

    async def fetch(self, image: Image) -> bool:
        """Copy a complete image into this process's store, and record the copy.  Returns whether that was done; logs
        why not."""
        assert image.size is not None
        assert image.disk_format is not None
        stream = self._download(image.id, image.size, 0)  # the next round of upkeep tries again

        async def confirm(stored: Stored) -> None:
            if stored.sha512 != image.os_hash_value:
                stream.refuse()
                raise ImageUnacceptable(f"A store has other bytes of image {image.id} than were recorded.")

        try:
            await self._files.check_room(image.size)
            await self._files.write(image.id, stream.read(), image.size, confirm)
            await self.record(image, exists=True)
        except KilonovaError as exc:
            log.warning("a copy of an image could not be made", image_id=image.id, why=exc.message)
            return False
        log.info("a copy of an image was made", image_id=image.id, bytes=image.size)
        return True

    async def record(self, image: Image, *, exists: bool) -> None:
        """Record whether this store has the image.  Raises NotFound."""
        copy = RecordCopy(image.id, self.identity.store_id, exists, image.os_hash_value or "")
        await self._rpc.call(RECORD_COPY, copy)

    def _download(self, image_id: ImageId, size: int, patience_s: float) -> Download:
        transport = Transport(self._client, self._clock)
        return Download(transport, image_id, size, lambda wrong: self.places(image_id, wrong), patience_s)

    async def _take_in(self, upload: Upload) -> SavedImage:
        saved = await self._keep(upload)
        try:
            others = await self._spread(upload.image.id, saved)
        except BaseException:
            await self._files.delete(upload.image.id)
            raise
        return replace(saved, stores=(self.identity.store_id, *others))

    async def _keep(self, upload: Upload) -> SavedImage:
        saved = await take_in(
            self._files,
            upload.image.id,
            upload.chunks,
            max_bytes=upload.max_bytes,
            disk_format=upload.disk_format,
            confirm=upload.confirm,
        )
        return replace(saved, stores=(self.identity.store_id,))

    async def _spread(self, image_id: ImageId, saved: SavedImage) -> list[str]:
        """Copy the stored file to other stores.  A store that does not answer is skipped: its copy is made later.
        Raises StorageFull when there are too few because stores are full."""
        done: list[str] = []
        full: StorageFull | None = None
        for other in await self._others():
            if len(done) + 1 >= self.identity.copies:
                break
            try:
                url = await self._url_to_write(other, image_id, saved.sha512)
                await self._client.write(url, self._files.read(image_id))
                done.append(other.store_id)
            except StorageFull as exc:
                full = exc
            except ImageUnavailable as exc:
                log.warning("an image store was skipped", image_id=image_id, store=other.url, why=exc.message)
        if full is not None and len(done) + 1 < self.identity.copies:
            raise StorageFull(f"No other image store has room for a copy: {full.message}")
        return done

    async def _relay(self, upload: Upload) -> SavedImage:
        """Send the bytes to another store, because this one is full.  Raises StorageFull when all are."""
        others = [other for other in await self._others() if not other.is_full]
        if not others:
            await self._files.check_room(upload.declared or 0)
            raise StorageFull("No image store has room for the image now.")
        url = await self._url_to_write(others[0], upload.image.id, "")
        saved = SAVED.validate_json(await self._client.write(url, upload.chunks))
        await upload.confirm(Stored(saved.size, saved.md5, saved.sha512))
        return saved

    async def _others(self) -> list[StoreAddress]:
        """The other live stores: those with room first."""
        found = live_stores(await self._db.read(read_stores.addresses), self._clock.now())
        others = [address for address in found.values() if address.store_id != self.identity.store_id]
        return sorted(others, key=lambda address: (address.is_full, address.store_id))

    async def _url_to_write(self, other: StoreAddress, image_id: ImageId, sha512: str) -> str:
        keys = await self._db.read(read_stores.keys)
        if not keys:
            raise ImageUnavailable("The image stores have no key yet: no conductor has received a report.")
        until = self._clock.now() + URL_LIFETIME
        permit = Permit(Use.WRITE, image_id, self.identity.process_id, until, sha512=sha512)
        return signed_url(other.url, permit, keys[0])

    async def _permit(self, use: Use, image_id: ImageId, query: Mapping[str, str]) -> tuple[Permit, list[SigningKey]]:
        keys = await self._db.read(read_stores.keys)
        try:
            return check_url(use, image_id, query, keys, self._clock.now()), keys
        except Forbidden as exc:
            self._metrics.image_refused("url")
            log.warning("a URL of the image store was refused", image_id=image_id, why=exc.message)
            raise

    async def _saving(self, image_id: ImageId) -> Image:
        """The record of an image whose bytes may be written.  Raises NotFound, Conflict."""
        image = await self._db.read(_any_image, image_id)
        if image.status is not ImageStatus.SAVING or image.disk_format is None:
            raise Conflict(f"Image {image_id} is {image.status}: its bytes cannot be written.", image_id=image_id)
        return image


def is_complete(image: Image) -> bool:
    """Whether the image's record has the facts of its bytes."""
    return image.status in WITH_BYTES and image.size is not None and image.os_hash_value is not None


def _any_image(snapshot: Snapshot, image_id: ImageId) -> Image:
    return read_images.get_image(snapshot, image_id, "", admin=True)


def _where(snapshot: Snapshot, image_id: ImageId) -> tuple[SigningKey | None, list[ImageCopy], list[StoreAddress]]:
    keys = read_stores.keys(snapshot)
    return (keys[0] if keys else None), read_stores.copies_of(snapshot, image_id), read_stores.addresses(snapshot)


async def _continued(first: bytes, pieces: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(pieces) as rest:
        yield first
        async for piece in rest:
            yield piece
