# SPDX-License-Identifier: Apache-2.0
"""Range of a GET: one stretch of an image's bytes, so that a download that broke off can be taken up again.

Source: RFC 9110 section 14.  What is none, and more than one at a time, is ignored, as that allows.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kilonova.api.http.faults import HttpError

_ONE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")


@dataclass(frozen=True, slots=True)
class Stretch:
    """`length` bytes from `start` on, of `size`."""

    start: int
    length: int
    size: int

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.start + self.length - 1}/{self.size}"


def asked(headers: Mapping[str, str], size: int) -> Stretch | None:
    """What is asked for of `size` bytes; None: all of them.  Raises HttpError 416 for what lies beyond them."""
    found = _ONE.fullmatch(headers.get("range", ""))
    # Nothing that If-Range could name is ever sent, so what it names is not what is here.
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
        raise HttpError(416, f"The image has {size} bytes only.", (("Content-Range", f"bytes */{size}"),))
    return Stretch(start, length, size)
