# SPDX-License-Identifier: Apache-2.0
"""The header Range of a GET: a part of an image's bytes, so that an interrupted download can continue.

Source: RFC 9110 section 14.  Invalid ranges, and several ranges at once, are ignored, as the RFC allows.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kilonova.api.http.faults import HttpError

_ONE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`length` bytes from offset `start`, of `size`."""

    start: int
    length: int
    size: int

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.start + self.length - 1}/{self.size}"


def requested(headers: Mapping[str, str], size: int) -> ByteRange | None:
    """The requested range of `size` bytes; None for all.  Raises HttpError 416 for a range beyond the end."""
    found = _ONE.fullmatch(headers.get("range", ""))
    # The service sends no validators, so an If-Range never matches and the whole image is sent.
    if found is None or "if-range" in headers or found[1] == found[2] == "":
        return None
    if found[1] == "":
        length = min(int(found[2]), size)
        start = size - length
    else:
        start = int(found[1])
        end = int(found[2]) if found[2] else size - 1
        if found[2] and end < start:
            return None
        length = min(end, size - 1) - start + 1
    if length <= 0:
        raise HttpError(416, f"The image has only {size} bytes.", (("Content-Range", f"bytes */{size}"),))
    return ByteRange(start, length, size)
