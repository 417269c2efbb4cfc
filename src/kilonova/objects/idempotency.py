# SPDX-License-Identifier: Apache-2.0
"""A create that a client may send again without making a second one.

Source: the IETF's draft "The Idempotency-Key HTTP Header Field".
"""

from dataclasses import dataclass
from datetime import timedelta

KEPT = timedelta(days=1)
"""How long a key stands for the create that it was first used with."""


@dataclass(frozen=True, slots=True)
class Idempotent:
    """A user's `key` within a project, the `fingerprint` of the request that it stands for, and the `answer` to that
    (JSON, made by the API)."""

    project_id: str
    user_id: str
    key: str
    fingerprint: str
    answer: str = ""
