# SPDX-License-Identifier: Apache-2.0
"""Integer ids of hosts and services, which the Compute API shows before 2.53.

An integer id is a hash of the UUID, so that it never changes and needs no table.  Two hosts have the same integer id
with a probability of 2^-31 per pair; then only the integer ids of these two are ambiguous.
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
    """The id as a microversion shows it."""
    return uuid if version >= v2(53) else number_of(uuid)


def pick(resources: Iterable[T], wanted: str, version: Microversion, kind: str) -> T:
    """The resource with an id.  Raises NotFound, and from 2.53 InvalidInput unless the id is a UUID."""
    if version >= v2(53):
        require_uuid("id", wanted)
    for resource in resources:
        if wanted == (resource.id if version >= v2(53) else str(number_of(resource.id))):
            return resource
    raise NotFound(f"{kind} {wanted[:255]} could not be found.")
