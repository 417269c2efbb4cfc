# SPDX-License-Identifier: Apache-2.0
"""The image stores of a fleet: their addresses, their copies of images, and who may read or write an image where.

Each function is one transaction, or part of one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from kilonova.base.errors import Conflict, Forbidden, NotFound
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import image_stores as read_stores
from kilonova.db.readers import images as read_images
from kilonova.db.readers import instances as read_instances
from kilonova.db.transaction import Snapshot, Transaction
from kilonova.db.writers import image_stores as write_stores
from kilonova.db.writers import signing_keys as write_keys
from kilonova.images.signing import URL_LIFETIME, Permit, Use, check_grant, check_receipt, signed_url
from kilonova.objects.fleet import FleetStore
from kilonova.objects.ids import HostName, ImageId
from kilonova.objects.image import SavedImage
from kilonova.objects.image_store import StoreAddress, live_stores
from kilonova.objects.instance import Instance
from kilonova.objects.signing_key import IMAGE_URLS, SigningKey
from kilonova.rpcapi.api_to_conductor_fleet import ForgetStore, StoreForgotten
from kilonova.rpcapi.api_to_conductor_images import RecordCopy, ReportImageStore
from kilonova.rpcapi.host_to_conductor_images import CompleteImage, FindImage, StoreUrl, StoreUrls

KEY_AGE = timedelta(days=1)
"""The age of a key at which the next one is made.  A retired key is deleted after the same time: everything that it has
signed has expired by then."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What a transaction may not make itself: the time, and a random number from 0 to 1."""

    now: datetime
    seed: float


def report(tx: Transaction, request: ReportImageStore, key: SigningKey, now: datetime) -> None:
    """The API process is there.  `key` becomes the key of URLs when the current one is old."""
    write_stores.put_address(tx, StoreAddress(request.url, request.store_id, request.process_id, now, request.is_full))
    known = read_stores.keys(tx)
    if not known or now - known[0].created_at >= KEY_AGE:
        write_keys.delete(tx, IMAGE_URLS, retired_before=now - KEY_AGE)
        write_keys.retire(tx, IMAGE_URLS, now)
        write_keys.insert(tx, IMAGE_URLS, key)


def record_copy(tx: Transaction, request: RecordCopy) -> None:
    """Raises NotFound when no complete image has these bytes."""
    if not request.exists:
        write_stores.delete_copy(tx, request.image_id, request.store_id)
        return
    image = read_images.get_image(tx, request.image_id, "", admin=True)
    if not read_stores.has_bytes(tx, image.id) or image.os_hash_value != request.sha512:
        raise NotFound(f"Image {image.id} has other bytes.", image_id=image.id)
    write_stores.put_copy(tx, image.id, request.store_id)


def record_stores(tx: Transaction, image_id: ImageId, stores: Iterable[str]) -> None:
    """The stores have the bytes of the image."""
    for store_id in stores:
        write_stores.put_copy(tx, image_id, store_id)


def record_saved(tx: Transaction, image_id: ImageId, request: CompleteImage) -> None:
    """Record the copies that a host reports.  Raises Forbidden unless a store confirms the report; without any store,
    in the one box, the host has written the bytes itself."""
    if not request.receipt and not read_stores.addresses(tx):
        return
    saved = SavedImage(request.size, request.virtual_size, request.md5, request.sha512, request.stores, request.receipt)
    check_receipt(image_id, request.attempt, saved, read_stores.keys(tx))
    record_stores(tx, image_id, saved.stores)


def stores(snapshot: Snapshot, now: datetime) -> list[FleetStore]:
    """The stores that have an address, by URL, and what they have."""
    newest = {one.store_id: one for one in sorted(read_stores.addresses(snapshot), key=lambda one: one.seen_at)}
    copies = read_stores.copies_by_store(snapshot)
    found = (
        FleetStore(one.store_id, one.url, one.is_live(now), one.seen_at, *copies.get(one.store_id, (0, 0)))
        for one in newest.values()
    )
    return sorted(found, key=lambda store: store.url)


def forget(tx: Transaction, request: ForgetStore, now: datetime) -> StoreForgotten:
    """Delete the store and its copies.  If it returns, it reports itself and its files again, and nothing is lost.
    Raises NotFound, Conflict."""
    known = next((one for one in stores(tx, now) if one.store_id == request.store_id), None)
    if known is None:
        raise NotFound(f"There is no image store {request.store_id}: `kilonova fleet status` lists them.")
    if known.live:
        raise Conflict(f"The image store {known.store_id} is live at {known.url}: stop its API processes first.")
    write_stores.delete_store(tx, known.store_id)
    return StoreForgotten(known.images, known.sole)


def sources(tx: Transaction, request: FindImage, draw: Draw) -> StoreUrls:
    """Where the host may read the image: live stores first, doubted copies last.  Raises Forbidden."""
    keys = read_stores.keys(tx)
    if request.grant:
        check_grant(request.image_id, request.host, request.grant, keys, draw.now)
    elif not _is_needed(tx, request.host, request.image_id):
        raise Forbidden(f"No open action of the host {request.host} needs the image {request.image_id}.")
    for store_id in request.wrong:
        write_stores.doubt_copy(tx, request.image_id, store_id)
    if not keys:
        return StoreUrls()
    doubted = {copy.store_id: copy.doubted for copy in read_stores.copies_of(tx, request.image_id)}
    found = [address for address in read_stores.addresses(tx) if address.store_id in doubted]
    found = _turned(found, draw.seed)
    found.sort(key=lambda address: (doubted[address.store_id], not address.is_live(draw.now)))
    permit = Permit(Use.READ, request.image_id, request.host, draw.now + URL_LIFETIME)
    return StoreUrls(tuple(StoreUrl(one.store_id, signed_url(one.url, permit, keys[0])) for one in found))


def targets(tx: Transaction, image_id: ImageId, host: HostName, attempt: str, draw: Draw) -> StoreUrls:
    """Where the host may store the image under its attempt: an address of each live store."""
    keys = read_stores.keys(tx)
    if not keys:
        return StoreUrls()
    found = _turned(list(live_stores(read_stores.addresses(tx), draw.now).values()), draw.seed)
    found.sort(key=lambda address: address.is_full)
    permit = Permit(Use.WRITE, image_id, host, draw.now + URL_LIFETIME, attempt=attempt)
    return StoreUrls(tuple(StoreUrl(one.store_id, signed_url(one.url, permit, keys[0])) for one in found))


def _turned(found: list[StoreAddress], seed: float) -> list[StoreAddress]:
    """The same addresses from another beginning, so that hosts spread over the stores."""
    first = int(seed * len(found))
    return found[first:] + found[:first]


def _is_needed(tx: Transaction, host: HostName, image_id: ImageId) -> bool:
    for action in read_actions.open_of_host(tx, host):
        try:
            instance = read_instances.get(tx, action.instance_id)
        except NotFound:
            continue
        if image_id in _images_of(instance):
            return True
    return False


def _images_of(instance: Instance) -> set[ImageId]:
    """The images of which a leg may make a disk of the instance."""
    return {ref.id for ref in (instance.image, instance.rescue_image, instance.shelved_image) if ref is not None}
