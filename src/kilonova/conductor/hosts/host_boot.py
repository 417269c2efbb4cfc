# SPDX-License-Identifier: Apache-2.0
"""A host registers; the first registration after a boot of its machine starts the guests that should run.

The start actions are recorded in the transaction that records the new boot.  So they are made once, also if a process
crashes next.  They are handed out like all work, and users can list them (`server event list`).
"""

from collections.abc import Callable
from datetime import datetime

from kilonova.conductor.hosts.register import register
from kilonova.conductor.verbs.start_after_boot import resume_host
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import tombstones as read_tombstones
from kilonova.db.transaction import Transaction
from kilonova.rpcapi.host_to_conductor import Registered, RegisterHost

UNKNOWN_BOOT = "unknown"


def enroll(
    tx: Transaction, request: RegisterHost, service_id: str, new_id: Callable[[], str], now: datetime
) -> Registered:
    """Register a host's process, and resume its guests if the machine has booted since its last one.

    Raises StateError (see hosts.register).
    """
    known = read_hosts.process_of(tx, request.host)
    epoch = register(tx, request, service_id, now)
    rebooted = known is not None and known[2] != request.boot_id and UNKNOWN_BOOT not in (known[2], request.boot_id)
    resumed = 0
    if rebooted and request.resume_guests:
        resumed = resume_host(tx, request.host, new_id, now)
    given_up = read_tombstones.forgotten(tx, request.host) is not None
    return Registered(epoch, rebooted, resumed, given_up=given_up)
