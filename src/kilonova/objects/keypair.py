# SPDX-License-Identifier: Apache-2.0
"""A user's SSH public key."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Keypair:
    """`fingerprint` is the MD5 of the key blob in colon hex, as the Compute API shows it."""

    user_id: str
    name: str
    type: str
    public_key: str
    fingerprint: str
    created_at: datetime
    id: int = 0
