# SPDX-License-Identifier: Apache-2.0
"""Calls of the API to the conductor about the image stores of a fleet."""

from dataclasses import dataclass

from kilonova.base.errors import NotFound
from kilonova.objects.ids import ImageId
from kilonova.rpcapi.api_to_conductor import SUBJECT
from kilonova.rpcapi.method import Ack, Method


@dataclass(frozen=True, slots=True)
class ReportImageStore:
    """The API process that is reached at `url` serves the store (see objects.image_store.StoreAddress)."""

    url: str
    store_id: str
    process_id: str
    is_full: bool = False


@dataclass(frozen=True, slots=True)
class RecordCopy:
    """Whether the store has the bytes of the image; `sha512` is their hash."""

    image_id: ImageId
    store_id: str
    exists: bool
    sha512: str = ""


REPORT_IMAGE_STORE = Method(
    SUBJECT,
    "report_image_store",
    ReportImageStore,
    Ack,
    "An API process serves an image store. The first report of a day also makes a new key for URLs of stores.",
    timeout_s=8,
    attempt_s=4,
    since=2,
)
RECORD_COPY = Method(
    SUBJECT,
    "record_copy",
    RecordCopy,
    Ack,
    "A store has a copy of an image, or has it no more. NotFound: no image has these bytes.",
    (NotFound,),
    since=2,
)
