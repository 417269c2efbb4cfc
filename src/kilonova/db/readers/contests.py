# SPDX-License-Identifier: Apache-2.0
"""Reading which other processes claim a host."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from kilonova.db.schema import contests
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import HostName


class HostContest(NamedTuple):
    """`claimant` is the process that was refused last, on boot `claimant_boot`, at `claimed_at`.  `silent_epoch` is the
    epoch of the newest process that lost the host by its silence alone.  `conflict` describes two live processes that
    have both lost the host; None without a conflict."""

    claimant: str | None = None
    claimant_boot: str | None = None
    claimed_at: datetime | None = None
    silent_epoch: int | None = None
    conflict: str | None = None


_OF_HOST = sa.select(*(contests.c[name] for name in HostContest._fields)).where(
    contests.c.host == sa.bindparam("of_host")
)


def contest_of(snapshot: Snapshot, host: HostName) -> HostContest:
    """The contest of a host; an empty one for a host that no other process has claimed."""
    row = snapshot.execute(_OF_HOST, {"of_host": host}).first()
    return HostContest() if row is None else HostContest(*row)
