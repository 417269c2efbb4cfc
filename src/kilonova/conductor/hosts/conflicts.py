# SPDX-License-Identifier: Apache-2.0
"""Two live processes of one identity: a cloned disk, a restored backup.

A process that was silent for `service_down_time` loses its host to the next process that registers.  If it lives and
reports so afterwards, both live, and nothing shows which of them is the right one: each may have changed guests.  Both
lose the host.  The guests run on, and an operator decides (`kilonova host adopt`).
"""

from datetime import datetime

from kilonova.conductor.engine.fencing import NOBODY, described
from kilonova.db.readers import contests as read_contests
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.hosts import COMPUTE, HostProcess
from kilonova.db.transaction import Transaction
from kilonova.db.writers import contests as write_contests
from kilonova.db.writers import hosts as write_hosts
from kilonova.rpcapi.host_to_conductor import Contest, Contested

REASON_CHARACTERS = 255
"""The limit of the reason in the list of services."""


def contest(tx: Transaction, request: Contest, now: datetime) -> Contested:
    """Record a conflict if the newer process has the host because the sender was silent, and is up.  A repeat changes
    nothing.  No conflict: an operator decided, the newer process has proved that the sender was gone, or has ended."""
    known, found = read_hosts.process_of(tx, request.host), read_contests.contest_of(tx, request.host)
    if known is None or found.conflict is not None:
        return Contested(found.conflict or "")
    if found.silent_epoch is None or request.epoch > found.silent_epoch:
        return Contested()
    if not request.epoch < request.newer <= known.epoch or known.process_id == NOBODY or not known.up:
        return Contested()
    conflict = _conflict(request, known)
    write_contests.put(tx, request.host, conflict=conflict)
    nobody = {"epoch": known.epoch + 1, "process_id": NOBODY, "state_id": None, "left_at": now, "up": False}
    write_hosts.update_service(tx, request.host, COMPUTE, now, **nobody)
    (service,) = read_hosts.list_services(tx, host=request.host, binary=COMPUTE)
    if not service.disabled:
        reason = {"disabled": True, "disabled_by_host": True, "disabled_reason": conflict[:REASON_CHARACTERS]}
        write_hosts.update_service(tx, request.host, COMPUTE, now, **reason)
    return Contested(conflict)


def _conflict(request: Contest, known: HostProcess) -> str:
    return (
        f"Host '{request.host}' has two live processes: process {request.process_id} on boot {request.boot_id}, and "
        f"{described(known)}. Both have lost the host and change nothing more; their guests keep running. Stop the "
        f"wrong machine, run `kilonova host adopt {request.host}`, and start the right one again."
    )
