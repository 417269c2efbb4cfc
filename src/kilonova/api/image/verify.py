# SPDX-License-Identifier: Apache-2.0
"""The files of this process's image store compared with the records of images, for `kilonova verify`.

In a fleet each API process compares its own store all the time (kilonova.api.image.upkeep) and copies what is missing;
here an operator sees what that could not do.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from kilonova.api.image.fleet_store import is_complete
from kilonova.api.image.upkeep import ABANDONED_S
from kilonova.base.clock import Clock
from kilonova.base.errors import NotFound
from kilonova.db.engine import Database
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import image_stores as read_stores
from kilonova.db.transaction import Snapshot
from kilonova.images.own_store import ImageBytes
from kilonova.images.store import Entry, ImageStore
from kilonova.objects.difference import Difference, difference, in_both
from kilonova.objects.ids import ImageId
from kilonova.objects.image import Image, ImageStatus
from kilonova.rpcapi.verify import MOST_DIFFERENCES, Verified

log = structlog.get_logger(__name__)

AGAIN_S = 1.0
"""Between two looks: an upload that was being recorded is recorded."""
ID_LENGTH = 36


@dataclass(frozen=True, slots=True)
class Records:
    """The images, the stores that have a copy of each (doubted copies do not count), and the writers that may be alive.
    `has_stores`: this is a fleet."""

    images: Mapping[ImageId, Image]
    holders: Mapping[ImageId, frozenset[str]]
    in_the_making: frozenset[ImageId]
    writers: frozenset[str]
    has_stores: bool


def records(snapshot: Snapshot) -> Records:
    """One read transaction."""
    holders: dict[ImageId, set[str]] = {}
    for copy in read_stores.all_copies(snapshot):
        if not copy.doubted:
            holders.setdefault(copy.image_id, set()).add(copy.store_id)
    addresses = read_stores.addresses(snapshot)
    return Records(
        images={image.id: image for image in read_stores.all_images(snapshot)},
        holders={image_id: frozenset(stores) for image_id, stores in holders.items()},
        in_the_making=read_actions.images_in_the_making(snapshot),
        writers=frozenset(address.process_id for address in addresses),
        has_stores=bool(addresses),
    )


@dataclass(frozen=True, slots=True)
class Look:
    """The files of one store, and the records, which were read later.  `store_id` is empty in the one box."""

    entries: Sequence[Entry]
    records: Records
    store_id: str
    writer: str


Found = tuple[Difference, Entry | None]
"""A difference, and the file that its repair removes."""


def compared(look: Look) -> Iterator[Found]:
    """All differences but those of checksums.  Pure."""
    files = {entry.name: entry for entry in look.entries}
    for image in sorted(look.records.images.values(), key=lambda image: image.id):
        if not is_complete(image):
            continue
        if look.records.has_stores and not look.records.holders.get(image.id):
            found = f"No image store has a copy of image {image.id} ({image.name})."
            yield difference("image-without-copy", image.id, found), None
        elif expects(look, image):
            yield from _file_of(image, files.get(image.id))
    for entry in sorted(look.entries, key=lambda entry: entry.name):
        yield from _file(look, entry)


def expects(look: Look, image: Image) -> bool:
    """Whether the store should have the file of the image."""
    return is_complete(image) and (
        not look.store_id or look.store_id in look.records.holders.get(image.id, frozenset[str]())
    )


def _file_of(image: Image, entry: Entry | None) -> Iterator[Found]:
    if entry is None:
        yield difference("image-missing", image.id, f"The file of image {image.id} ({image.name}) is missing."), None
    elif entry.size != image.size:
        found = f"The file of image {image.id} has {entry.size} bytes, and {image.size} are recorded."
        yield difference("image-size", image.id, found), None


def _file(look: Look, entry: Entry) -> Iterator[Found]:
    if entry.writer is not None:
        if entry.writer not in {*look.records.writers, look.writer} and entry.age_s > ABANDONED_S:
            found = f"File {entry.name} is of an upload whose process has ended."
            yield difference("upload-unfinished", entry.name, found), entry
        return
    if len(entry.name) != ID_LENGTH:
        return  # not a file of this service
    image = look.records.images.get(ImageId(entry.name))
    ended = image is not None and image.status not in (ImageStatus.SAVING,) and not is_complete(image)
    if image is None or (ended and image.id not in look.records.in_the_making and entry.age_s > ABANDONED_S):
        why = "no image has" if image is None else "its image does not have"
        yield difference("image-unknown", entry.name, f"There are {entry.size} bytes that {why}: {entry.name}."), entry


@dataclass(frozen=True, slots=True)
class VerifyImages:
    """With `repair`, files are removed that had no image in an earlier look, at least `pause_s` seconds ago, and still
    have none.  `checksums`: all files are read."""

    repair: bool = False
    pause_s: float = 30.0
    checksums: bool = False


async def verify(request: VerifyImages, store: ImageBytes, db: Database, clock: Clock) -> Verified:
    """Two looks, and the repair.  Raises OSError."""
    look = await _look(store, db, clock)
    pairs = list(compared(look))
    if pairs:
        await clock.sleep(AGAIN_S)
        first = [found for found, _ in pairs]
        look = await _look(store, db, clock)
        again = {found.key: (found, entry) for found, entry in compared(look)}
        pairs = [again[one.key] for one in in_both(first, (found for found, _ in again.values()))]
    ages = await store.files.sightings(clock).note([found.subject for found, entry in pairs if entry is not None])
    found = [await _repaired(one, entry, request, ages, store.files) for one, entry in pairs]
    if request.checksums:
        wrong = {one.subject for one in found}
        found += [one async for one in _damaged(look, store.files) if one.subject not in wrong]
    return Verified(tuple(found[:MOST_DIFFERENCES]), len(found))


async def _look(store: ImageBytes, db: Database, clock: Clock) -> Look:
    """The files are listed before the records are read: the record of an image is older than its file."""
    entries = await store.files.entries(clock.now().timestamp())
    return Look(entries, await db.read(records), store.store_id, store.files.writer)


async def _repaired(
    found: Difference, entry: Entry | None, request: VerifyImages, ages: Mapping[str, float], files: ImageStore
) -> Difference:
    if not request.repair or entry is None:
        return found
    if ages[found.subject] < request.pause_s:
        return replace(found, outcome="not removed: no earlier look has found it, or not long enough ago")
    await files.remove(entry)
    log.warning("a file without an image was removed on request", file=entry.name)
    return replace(found, outcome="repaired")


async def _damaged(look: Look, files: ImageStore) -> AsyncIterator[Difference]:
    for image in look.records.images.values():
        if not expects(look, image):
            continue
        try:
            if await files.digest(image.id) != image.os_hash_value:
                yield difference("image-damaged", image.id, f"The file of image {image.id} does not have its checksum.")
        except NotFound:
            continue
