# SPDX-License-Identifier: Apache-2.0
"""Calls of a host to the conductor about images: those that it needs, and those that an action makes."""

from dataclasses import dataclass, field

from kilonova.base.errors import NotFound, OverQuota
from kilonova.objects.ids import AttemptId, HostName, ImageId
from kilonova.objects.leg import LegId
from kilonova.rpcapi.host_to_conductor import STALE, SUBJECT
from kilonova.rpcapi.method import Ack, Method


@dataclass(frozen=True, slots=True)
class BeginImage:
    """The host starts, or continues, to create the image of the action."""

    host: HostName
    leg: LegId
    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class ImageBegun:
    """`saved`: an earlier attempt has completed the image."""

    saved: bool


@dataclass(frozen=True, slots=True)
class CompleteImage:
    """The image's bytes are in a store (see objects.image.SavedImage)."""

    host: HostName
    leg: LegId
    attempt: AttemptId
    size: int
    virtual_size: int
    md5: str
    sha512: str
    stores: tuple[str, ...] = ()
    receipt: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class FindImage:
    """The host needs the bytes of an image for one of its open legs, or has a `grant` (see kilonova.images.signing).
    `wrong`: stores from which it received other bytes."""

    host: HostName
    image_id: ImageId
    grant: str = field(default="", repr=False)
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FindStore:
    """The host has the bytes of the image that the leg makes."""

    host: HostName
    leg: LegId
    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """A signed URL of the image at a store, valid for a few minutes."""

    store_id: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoreUrls:
    """In the order in which the host should try them."""

    urls: tuple[StoreUrl, ...] = ()


@dataclass(frozen=True, slots=True)
class DropImages:
    """The images that the action makes unnecessary: backups beyond the rotation, the image of an unshelved server."""

    host: HostName
    leg: LegId
    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class Dropped:
    """Images without a record: their bytes may be deleted."""

    images: tuple[ImageId, ...] = ()


BEGIN_IMAGE = Method(
    SUBJECT,
    "begin_image",
    BeginImage,
    ImageBegun,
    "Start, or continue, the image of an action. NotFound: the image was deleted.",
    (*STALE, NotFound),
)
COMPLETE_IMAGE = Method(
    SUBJECT,
    "complete_image",
    CompleteImage,
    Ack,
    "The image of an action is complete. NotFound: the image was deleted.",
    (*STALE, NotFound, OverQuota),
)
FIND_IMAGE = Method(
    SUBJECT,
    "find_image",
    FindImage,
    StoreUrls,
    "URLs from which the host may read an image. Forbidden: no open leg of the host needs the image.",
    STALE,
    since=2,
)
FIND_STORE = Method(
    SUBJECT,
    "find_store",
    FindStore,
    StoreUrls,
    "URLs at which the host may store the image that a leg makes. NotFound: the image was deleted.",
    (*STALE, NotFound),
    changes=False,
    since=2,
)
DROP_IMAGES = Method(
    SUBJECT,
    "drop_images",
    DropImages,
    Dropped,
    "Delete the records of images that an action makes unnecessary; the reply lists those whose bytes may be deleted.",
    STALE,
)
