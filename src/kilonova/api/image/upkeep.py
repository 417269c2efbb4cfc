# SPDX-License-Identifier: Apache-2.0
"""The upkeep of an API process's image store: reports, missing copies, files without an image, uploads that ended.

Every round begins from the files and the database, and remembers nothing: a process that returns after a day does the
same as any other.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from kilonova.api.image.fleet_store import FleetStore, StoreIdentity, StoreParts, is_complete
from kilonova.base.errors import ConfigError, Conflict, KilonovaError, NotFound, StateError, StorageFull
from kilonova.base.tasks import Supervisor
from kilonova.config.load import Settings
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import image_stores as read_stores
from kilonova.db.transaction import Snapshot
from kilonova.images.store import Entry
from kilonova.objects.ids import ImageId
from kilonova.objects.image import Image, ImageStatus
from kilonova.objects.image_store import LOST, REPORT_S, StoreAddress, live_stores
from kilonova.rpcapi.api_to_conductor import UPDATE_IMAGE, PutImage
from kilonova.rpcapi.api_to_conductor_images import REPORT_IMAGE_STORE, ReportImageStore

log = structlog.get_logger(__name__)

ROUND_LIMIT_S = 3600.0
ABANDONED_S = 600.0
"""An unfinished file, or a file of an image without bytes, is removed when nothing has changed it for so long."""
NEW = timedelta(minutes=1)
"""An upload that is newer may be of a process that has not reported yet."""
CHECK_S = 86400.0
"""Each file is compared with its hash once in this time."""


@dataclass(frozen=True, slots=True)
class _State:
    """What the database says about images, copies and stores at one moment."""

    images: Mapping[ImageId, Image]
    holders: Mapping[ImageId, Mapping[str, bool]]
    addresses: tuple[StoreAddress, ...]
    in_the_making: frozenset[ImageId]


def _state(snapshot: Snapshot) -> _State:
    holders: dict[ImageId, dict[str, bool]] = {}
    for copy in read_stores.all_copies(snapshot):
        holders.setdefault(copy.image_id, {})[copy.store_id] = copy.doubted
    images = {image.id: image for image in read_stores.all_images(snapshot)}
    in_the_making = frozenset(read_actions.images_in_the_making(snapshot))
    return _State(images, holders, tuple(read_stores.addresses(snapshot)), in_the_making)


class Upkeep:
    """The periodic work of one store.  Several processes on one shared directory do the same work; that is harmless."""

    def __init__(self, store: FleetStore, parts: StoreParts, interval_s: float) -> None:
        self._store, self._parts, self._clock, self._interval_s = store, parts, parts.clock, interval_s
        self._files, self._id = parts.files, store.identity.store_id
        self.reporting_since: float | None = None
        """When the reports of this process began to reach a conductor, on the monotonic clock."""
        self._next_check: dict[ImageId, float] = {}
        self._first_check_s = CHECK_S

    def start(self, tasks: Supervisor) -> None:
        """Report now, and work periodically.  The database must be readable."""
        tasks.spawn("first image upkeep", self._begin())
        tasks.periodic("image store report", REPORT_S, self.report, limit_s=2 * REPORT_S)
        tasks.periodic("image upkeep", self._interval_s, self.run, limit_s=ROUND_LIMIT_S)

    async def _begin(self) -> None:
        """Report now, and record the files that are in the directory already: hosts find them from then on."""
        await self.report()
        try:
            await self.run()
        except (KilonovaError, OSError) as exc:
            log.info("the first upkeep of the image store failed; it is repeated", why=str(exc))

    async def report(self) -> None:
        """Report to the conductor that this process serves the store, and whether the store is full.  A store whose
        directory is another one (its file system is not mounted) is not reported."""
        identity = self._store.identity
        try:
            await self._check_directory()
            is_full = await self._is_full()
            await self._parts.rpc.call(
                REPORT_IMAGE_STORE, ReportImageStore(identity.url, self._id, identity.process_id, is_full)
            )
        except (KilonovaError, OSError) as exc:
            self.reporting_since = None
            log.warning("the image store cannot be reported", why=str(exc))
            return
        if self.reporting_since is None:
            self.reporting_since = self._clock.monotonic()
            log.info("the image store is reported", url=identity.url, store=self._id)

    async def _is_full(self) -> bool:
        try:
            await self._files.check_room(0)
        except StorageFull:
            return True
        return False

    async def _check_directory(self) -> None:
        """Raises StateError."""
        if await self._files.identity() != self._id:
            raise StateError("The directory of the image store is not the one of the start: is it mounted?")

    async def run(self) -> None:
        """One round.  The files are listed before the database is read: the record of an image is older than its
        file, so a file without a record is of a deleted image."""
        await self._check_directory()
        entries = await self._files.entries(self._clock.now().timestamp())
        state = await self._parts.db.read(_state)
        for image in state.images.values():
            await self._end_lost_upload(image, state)
        for entry in entries:
            try:
                await self._look_at(entry, state)
            except (OSError, NotFound) as exc:  # an unreadable file is not a damaged one, and others go on
                log.error("a file of the image store cannot be read", file=entry.name, why=str(exc))
        for image in state.images.values():
            if is_complete(image):
                await self._ensure_copies(image, state)

    async def _end_lost_upload(self, image: Image, state: _State) -> None:
        """Set an image back to queued whose upload ended with its process."""
        if image.status is not ImageStatus.SAVING or image.id in state.in_the_making or not self._may_judge():
            return
        now = self._clock.now()
        processes = {address.process_id for address in state.addresses if now - address.seen_at < LOST}
        if image.uploader in {*processes, self._store.uploader} or now - image.updated_at < NEW:
            return
        queued = replace(image, status=ImageStatus.QUEUED, reserved=0, uploader="", updated_at=now)
        try:
            await self._parts.rpc.call(UPDATE_IMAGE, PutImage(queued, expected=image))
        except (Conflict, NotFound):
            return  # the upload goes on, or the image was deleted
        log.info("an upload had ended with its process", image_id=image.id)

    def _may_judge(self) -> bool:
        """Whether other processes had time to report: not right after an outage of the conductors."""
        since = self.reporting_since
        return since is not None and self._clock.monotonic() - since >= LOST.total_seconds() / 2

    async def _look_at(self, entry: Entry, state: _State) -> None:
        if entry.writer is not None:
            known = {address.process_id for address in state.addresses} | {self._store.uploader}
            if entry.writer not in known and entry.age_s > ABANDONED_S:
                await self._files.remove(entry)
            return
        if len(entry.name) != 36:
            return  # not a file of this service
        image = state.images.get(ImageId(entry.name))
        if image is None:
            log.info("the file of a deleted image is removed", image_id=entry.name)
            await self._files.remove(entry)
        elif is_complete(image):
            await self._check(entry, image, state)
        elif image.status is not ImageStatus.SAVING and entry.age_s > ABANDONED_S:
            await self._files.remove(entry)

    async def _check(self, entry: Entry, image: Image, state: _State) -> None:
        """Compare the file with the image's record: its size always, its hash when the copy is new, doubted, or was not
        compared for a day."""
        holders = state.holders.get(image.id, {})
        doubted = holders.get(self._id)
        if entry.size == image.size and doubted is False and not self._is_due(image.id):
            return
        if entry.size == image.size and await self._files.digest(image.id) == image.os_hash_value:
            if doubted is not False:
                await self._record(image, exists=True)
        elif doubted is None or any(holders[one] is False for one in holders if one != self._id):
            log.error("the file of an image is damaged and is replaced", image_id=image.id)
            await self._files.remove(entry)
        else:
            log.error("the only file of an image is damaged", image_id=image.id)

    def check_all(self) -> None:
        """Compare every file with its hash in the next round."""
        self._next_check.clear()
        self._first_check_s = 0.0

    def _is_due(self, image_id: ImageId) -> bool:
        now = self._clock.monotonic()
        due = self._next_check.setdefault(image_id, now + self._clock.random.uniform(0, self._first_check_s))
        if now < due:
            return False
        self._next_check[image_id] = now + CHECK_S
        return True

    async def _ensure_copies(self, image: Image, state: _State) -> None:
        holders = set(state.holders.get(image.id, {}))
        has_file = await self._files.size_of(image.id) == image.size
        if self._id in holders and not has_file:
            log.error("the file of an image is missing and is copied again", image_id=image.id)
            await self._record(image, exists=False)
            holders.discard(self._id)
        live = live_stores(state.addresses, self._clock.now())
        missing = min(self._store.identity.copies, len(live)) - len(holders & set(live))
        free = [one for one in live.values() if one.store_id not in holders and not one.is_full]
        chosen = sorted(free, key=lambda one: _rank(image.id, one.store_id))[: max(0, missing)]
        if self._id in {one.store_id for one in chosen} and not has_file:
            await self._store.fetch(image)

    async def _record(self, image: Image, *, exists: bool) -> None:
        try:
            await self._store.record(image, exists=exists)
        except KilonovaError as exc:
            log.warning("a copy of an image could not be recorded", image_id=image.id, why=exc.message)


def _rank(image_id: ImageId, store_id: str) -> bytes:
    """The order in which stores take the copies of an image: all processes calculate the same."""
    return hashlib.sha256(f"{image_id} {store_id}".encode()).digest()


async def open_store(settings: Settings, parts: StoreParts, process_id: str) -> tuple[FleetStore, Upkeep]:
    """The store of an API process, and its upkeep, which the caller starts when the database can be read.  Raises
    ConfigError, OSError."""
    store_id = await parts.files.identify(parts.clock.new_id())
    identity = StoreIdentity(store_id, process_id, _internal_url(settings), settings.image.copies)
    store = FleetStore(identity, parts, settings.api.max_image_bytes)
    return store, Upkeep(store, parts, settings.image.upkeep_interval)


def _internal_url(settings: Settings) -> str:
    """[image] internal_url, or the address on which the API listens."""
    api = settings.api
    if settings.image.internal_url:
        return settings.image.internal_url
    if api.listen in ("0.0.0.0", "::") or not api.port:
        raise ConfigError(
            "[image] internal_url is empty: set the URL at which hosts and other API processes reach this process."
        )
    address = f"[{api.listen}]" if ":" in api.listen else api.listen
    return f"{'https' if api.ssl_cert_file else 'http'}://{address}:{api.port}"
