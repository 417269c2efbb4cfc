# SPDX-License-Identifier: Apache-2.0
"""Fencing: each process of a host has an epoch, and messages of older processes are refused.

Each function is part of a transaction.
"""

from kilonova.base.errors import HostSuperseded, StaleWrite
from kilonova.db.readers import contests as read_contests
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.hosts import HostProcess
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import HostName

NOBODY = ""
"""The process id of a host that an operator took from its process."""


def check_epoch(tx: Transaction, host: HostName, epoch: int) -> HostProcess:
    """The host's current process.  Raises StaleWrite unless it is this one; HostSuperseded when the host has a newer
    process.

    If the record has an older process (the database was restored, or an operator deleted the service), the error is
    StaleWrite and the caller registers again.
    """
    return check_process(tx, host, epoch, read_hosts.process_of(tx, host))


def check_process(tx: Transaction, host: HostName, epoch: int, known: HostProcess | None) -> HostProcess:
    """The same, if the host's current process was read already."""
    if known is None or known.epoch < epoch:
        raise StaleWrite(f"Host {host} is not known under epoch {epoch}: register again.", host=host, epoch=epoch)
    if known.epoch > epoch:
        conflict = read_contests.contest_of(tx, host).conflict
        raise HostSuperseded(
            conflict
            or f"Host '{host}' has a newer process than this one (epoch {epoch}): {described(known)}. This one changes "
            f"nothing more; its guests keep running. If this is the right one, stop the other, run `kilonova host "
            f"adopt {host}`, and start this one again.",
            host=host,
            epoch=epoch,
            newer=known.epoch,
            process_id=known.process_id,
        )
    return known


def described(process: HostProcess) -> str:
    """A description of the process for messages."""
    if process.process_id == NOBODY:
        return f"none yet, since an operator took it away (epoch {process.epoch})"
    since = f", registered {process.registered_at:%Y-%m-%d %H:%M:%SZ}" if process.registered_at else ""
    return f"process {process.process_id} on boot {process.boot_id}{since} (epoch {process.epoch})"
