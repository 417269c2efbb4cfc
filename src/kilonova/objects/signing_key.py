# SPDX-License-Identifier: Apache-2.0
"""A secret key that the processes of a fleet share, to sign and to verify."""

from dataclasses import dataclass, field
from datetime import datetime

TOKENS = "token"
"""The purpose of the keys that sign tokens."""

IMAGE_URLS = "image-url"
"""The purpose of the keys that sign URLs and receipts of image stores."""

FIRST = "first"
"""The id of the first key of a purpose, and of the only key of a one box."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """`retired_at` is the time at which another key took over; None: no other key did."""

    id: str
    secret: bytes = field(repr=False)
    created_at: datetime
    retired_at: datetime | None = None
