# SPDX-License-Identifier: Apache-2.0
"""Changes that replace a value, done once for each request.

A caller sends a request again when it has no reply.  A conductor that stood still may carry out an earlier copy late:
after the caller had its reply, and after another request has changed the value again.
"""

from datetime import datetime

from kilonova.db.readers import idempotency as read
from kilonova.db.transaction import Transaction
from kilonova.db.writers import idempotency as write
from kilonova.objects.idempotency import Idempotent


def is_first(tx: Transaction, change: str, request_id: str, now: datetime) -> bool:
    """Whether this request has not made this change yet; record that it does.  A request without an id is always the
    first.  The record is kept as long as the key of a create."""
    if not request_id:
        return True
    one = Idempotent(project_id="", user_id="", key=f"{change} {request_id}", fingerprint="")
    if read.first_answer(tx, one, now) is not None:
        return False
    write.keep(tx, one, now)
    return True
