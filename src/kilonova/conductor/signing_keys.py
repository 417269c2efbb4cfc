# SPDX-License-Identifier: Apache-2.0
"""The keys that the processes of a fleet share: the first one, and rotation."""

from datetime import datetime, timedelta

from kilonova.db.readers import signing_keys as read
from kilonova.db.transaction import Transaction
from kilonova.db.writers import signing_keys as write
from kilonova.objects.signing_key import FIRST, SigningKey

KEPT = timedelta(days=30)
"""After this time the row of a retired key is deleted by the next rotation.  Processes stop accepting it earlier."""
SECRET_BYTES = 48


def ensure(tx: Transaction, purpose: str, secret: str, now: datetime) -> None:
    """Record the first key of a purpose, unless there is a key."""
    if not read.of_purpose(tx, purpose):
        write.insert(tx, purpose, SigningKey(FIRST, secret.encode(), now))


def rotate(tx: Transaction, purpose: str, key: SigningKey, *, revoke: bool) -> None:
    """Record a new key.  The former keys are retired, or, to `revoke` what they signed, deleted.  A repeat with the
    same key id changes nothing."""
    if any(key.id == one.id for one in read.of_purpose(tx, purpose)):
        return
    if revoke:
        write.delete(tx, purpose)
    else:
        write.delete(tx, purpose, retired_before=key.created_at - KEPT)
        write.retire(tx, purpose, key.created_at)
    write.insert(tx, purpose, key)
