# SPDX-License-Identifier: Apache-2.0
"""A user's public key or certificate."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Keypair:
    """`type` is "ssh" or "x509", `public_key` the text as received.  `fingerprint` in colon hex is the MD5 of a key's
    blob, or the SHA-1 of a certificate, as the Compute API shows it."""

    user_id: str
    name: str
    type: str
    public_key: str
    fingerprint: str
    created_at: datetime
    id: int = 0
