# SPDX-License-Identifier: Apache-2.0
"""Numbers for things that had numbers as ids before 2.53.

They are made of the UUID, so that they stay the same and need no table; two hosts share one with a chance of one in
2^31 per pair, and then only the old numbers of those two are ambiguous.
"""

import hashlib
from collections.abc import Iterable
from typing import Protocol, TypeVar

from kilonova.api.http.ids import require_uuid
from kilonova.api.http.microversion import Microversion, v2
from kilonova.base.errors import NotFound


class _WithId(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_WithId)


def number_of(uuid: str) -> int:
    """A positive 31-bit number."""
    return int.from_bytes(hashlib.sha256(uuid.encode()).digest()[:4]) & 0x7FFFFFFF


def shown_id(uuid: str, version: Microversion) -> int | str:
    """The id as that microversion shows it."""
    return uuid if version >= v2(53) else number_of(uuid)


def pick(things: Iterable[T], asked: str, version: Microversion, what: str) -> T:
    """The thing of that id.  Raises NotFound, and from 2.53 InvalidInput for what is no UUID."""
    if version >= v2(53):
        require_uuid("id", asked)
    for thing in things:
        if asked == (thing.id if version >= v2(53) else str(number_of(thing.id))):
            return thing
    raise NotFound(f"{what} {asked[:255]} could not be found.")
