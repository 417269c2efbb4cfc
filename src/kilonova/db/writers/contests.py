# SPDX-License-Identifier: Apache-2.0
"""Writing which other processes claim a host."""

from typing import Any

import sqlalchemy as sa

from kilonova.db.schema import contests
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import HostName


def put(tx: Transaction, host: HostName, **values: Any) -> None:
    """Change columns of the contest of a host, which is recorded with the first change.  The caller has the host's
    service in this transaction."""
    if tx.execute(sa.update(contests).where(contests.c.host == host).values(**values)).rowcount == 0:
        tx.execute(sa.insert(contests).values(host=host, **values))


def forget(tx: Transaction, host: HostName) -> None:
    """Delete the contest of a host."""
    tx.execute(sa.delete(contests).where(contests.c.host == host))
