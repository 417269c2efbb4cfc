# SPDX-License-Identifier: Apache-2.0
"""The image stores of a fleet: directories of images, and the API processes through which others reach them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from kilonova.objects.ids import ImageId

REPORT_S = 10.0
"""Seconds between two reports of an API process about its store."""

LIVE = timedelta(seconds=45)
"""A store whose last report is older is not live: no new copy is stored there."""

LOST = timedelta(minutes=5)
"""The uploads of an API process whose last report is older have ended."""


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """An API process that serves a store.  Several processes on one shared directory have the same `store_id`.
    `process_id` is new at each start of the process.  `is_full`: the store has no room for further images."""

    url: str
    store_id: str
    process_id: str
    seen_at: datetime
    is_full: bool = False

    def is_live(self, now: datetime) -> bool:
        return now - self.seen_at < LIVE


@dataclass(frozen=True, slots=True)
class ImageCopy:
    """The store has the bytes of the image.  `doubted`: a reader received other bytes, so the store must check them."""

    image_id: ImageId
    store_id: str
    doubted: bool = False


def live_stores(addresses: Iterable[StoreAddress], now: datetime) -> dict[str, StoreAddress]:
    """An address of each live store, by store id: the address of the last report."""
    by_report = sorted(addresses, key=lambda address: address.seen_at)
    return {address.store_id: address for address in by_report if address.is_live(now)}
