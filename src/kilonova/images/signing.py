# SPDX-License-Identifier: Apache-2.0
"""Signed URLs of image stores, and the receipts of stores.

A URL is a permission for one use of one image by one peer until a time.  Every holder of the URL has the permission: a
URL never appears in a log.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode

from kilonova.base.errors import Forbidden
from kilonova.objects.ids import ImageId
from kilonova.objects.image import SavedImage
from kilonova.objects.signing_key import SigningKey

PATH = "/image-store/v1/images"
"""The path of the images of a store, below the URL of its API process."""

URL_LIFETIME = timedelta(minutes=5)
"""How long a URL is valid.  A transfer that began in time may take longer."""

GRANT_LIFETIME = timedelta(hours=12)
"""How long a host may fetch an image that an operator requested ahead of time."""


class Use(StrEnum):
    """The permitted use."""

    READ = "read"
    WRITE = "write"
    GRANT = "grant"
    """A host may request URLs for reading (see `grant`)."""


@dataclass(frozen=True, slots=True)
class Permit:
    """`peer` receives the permission: a host, or an API process.  Of a WRITE, `attempt` is the host's attempt at an
    action, and `sha512` the hash of the only bytes that may be written; empty: any."""

    use: Use
    image_id: ImageId
    peer: str
    until: datetime
    attempt: str = ""
    sha512: str = ""


def signed_url(base: str, permit: Permit, key: SigningKey) -> str:
    """The URL of the image at the store that is reached at `base`."""
    return f"{base.rstrip('/')}{PATH}/{permit.image_id}?{_query(permit, key)}"


def check_url(
    use: Use, image_id: ImageId, given: Mapping[str, str], keys: Sequence[SigningKey], at: datetime
) -> Permit:
    """The permission of a URL's query.  Raises Forbidden: another use or image, altered, expired, unknown key."""
    until = given.get("until", "")
    if not (until.isascii() and until.isdigit() and len(until) < 12):
        raise Forbidden("The URL of the image store is not valid.")
    permit = Permit(
        use,
        image_id,
        given.get("peer", ""),
        datetime.fromtimestamp(int(until), tz=at.tzinfo),
        given.get("attempt", ""),
        given.get("sha512", ""),
    )
    key = next((key for key in keys if key.id == given.get("key")), None)
    if key is None or not hmac.compare_digest(_signature(permit, key), given.get("signature", "").encode()):
        raise Forbidden("The signature of the image store's URL is not valid for this request.")
    if at >= permit.until:
        raise Forbidden("The URL of the image store has expired.")
    return permit


def grant(image_id: ImageId, host: str, now: datetime, key: SigningKey) -> str:
    """A permission for the host to request URLs of an image that none of its legs needs."""
    return _query(Permit(Use.GRANT, image_id, host, now + GRANT_LIFETIME), key)


def check_grant(image_id: ImageId, host: str, given: str, keys: Sequence[SigningKey], at: datetime) -> None:
    """Raises Forbidden unless the grant is for this image and host, and valid."""
    if check_url(Use.GRANT, image_id, dict(parse_qsl(given)), keys, at).peer != host:
        raise Forbidden(f"The permission for image {image_id} is for another host.", image_id=image_id)


def receipt(image_id: ImageId, attempt: str, saved: SavedImage, key: SigningKey) -> str:
    """The confirmation of a store that it saved these bytes under the attempt."""
    return f"{key.id}.{_mac(key, *_facts(image_id, attempt, saved)).decode()}"


def check_receipt(image_id: ImageId, attempt: str, saved: SavedImage, keys: Sequence[SigningKey]) -> None:
    """Raises Forbidden unless the receipt is a store's, for this image, attempt, sizes, hashes and stores."""
    key_id, _, mac = saved.receipt.partition(".")
    key = next((key for key in keys if key.id == key_id), None)
    if key is None or not hmac.compare_digest(_mac(key, *_facts(image_id, attempt, saved)), mac.encode()):
        raise Forbidden(f"The receipt for image {image_id} is not of an image store.", image_id=image_id)


def _facts(image_id: ImageId, attempt: str, saved: SavedImage) -> tuple[str, ...]:
    sizes = (str(saved.size), str(saved.virtual_size))
    return ("receipt", image_id, attempt, *sizes, saved.md5, saved.sha512, *saved.stores)


def _query(permit: Permit, key: SigningKey) -> str:
    given = {"peer": permit.peer, "until": str(_seconds(permit.until)), "key": key.id}
    given |= {"attempt": permit.attempt} if permit.attempt else {}
    given |= {"sha512": permit.sha512} if permit.sha512 else {}
    return urlencode({**given, "signature": _signature(permit, key).decode()})


def _signature(permit: Permit, key: SigningKey) -> bytes:
    until = str(_seconds(permit.until))
    return _mac(key, "url", permit.use, permit.image_id, permit.peer, until, permit.attempt, permit.sha512)


def _mac(key: SigningKey, *parts: str) -> bytes:
    """The parts are encoded as JSON, so that no other parts have the same encoding."""
    return hmac.new(key.secret, json.dumps(parts).encode(), hashlib.sha256).hexdigest().encode()


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
