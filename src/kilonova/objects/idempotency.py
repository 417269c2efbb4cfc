# SPDX-License-Identifier: Apache-2.0
"""A create that a client may repeat without a second server.

Source: the IETF's draft "The Idempotency-Key HTTP Header Field".
"""

from dataclasses import dataclass
from datetime import timedelta

KEPT = timedelta(days=1)
"""The time for which a key stands for the create that first used it."""


@dataclass(frozen=True, slots=True)
class Idempotent:
    """A user's `key` within a project, the `fingerprint` of the request of this key, and the `answer` to that request
    (JSON, made by the API)."""

    project_id: str
    user_id: str
    key: str
    fingerprint: str
    answer: str = ""
