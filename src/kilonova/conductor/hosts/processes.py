# SPDX-License-Identifier: Apache-2.0
"""One identity, one process: which process a host has, and which process may replace it.

Only one process may change a host's guests.  Each process that registers gets a new epoch, and messages of older
processes are refused (`check_epoch`).  A second process is admitted only when the first is known to be gone
(docs/adr/0012): it ended in an orderly way; the second holds the lock of the same state directory that the first held,
on the same boot of the machine; no heartbeat came for `service_down_time`; or an operator decides it (`adopt`).  Each
function is one transaction, or part of one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from kilonova.base.errors import HostSuperseded, HostTaken, NotFound, StateError
from kilonova.conductor.attempts import check_current
from kilonova.conductor.engine.fencing import NOBODY, check_epoch, described
from kilonova.db.database_time import database_now
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import contests as read_contests
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.hosts import COMPUTE, HostProcess
from kilonova.db.transaction import Transaction
from kilonova.db.writers import contests as write_contests
from kilonova.db.writers import hosts as write_hosts
from kilonova.objects.ids import HostName
from kilonova.rpcapi.host_to_conductor import ConfirmAttempt, Leave, RegisterHost

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sign:
    """Why a process counts as alive: its last heartbeat came `heard_s_ago` seconds ago.  None: no heartbeat since the
    conductor's own start, which is too short a time to judge."""

    heard_s_ago: float | None


Alive = Callable[[HostName, HostProcess], Sign | None]
"""Whether a process that did not end in an orderly way may still be alive, and the reason (see liveness.Liveness)."""


def confirm_attempt(tx: Transaction, request: ConfirmAttempt) -> None:
    """Raises StaleWrite, NotFound."""
    check_epoch(tx, request.host, request.epoch)
    check_current(read_actions.get(tx, request.leg.action_id), request)


def admit(tx: Transaction, request: RegisterHost, alive: Alive) -> None:
    """Check that the process may register.  Raises StateError (see check_identity), HostTaken while the host's process
    is or may be alive, HostSuperseded for a message of an older process that comes late, and while two live processes
    have lost the host (see conflicts)."""
    check_identity(tx, request)
    known = read_hosts.process_of(tx, request.host)
    if known is None or known.process_id == request.process_id:
        return
    conflict = read_contests.contest_of(tx, request.host).conflict
    if conflict is not None:
        raise HostSuperseded(conflict, host=request.host)
    if _same_place(known, request):
        if known.started_s is not None and request.started_s < known.started_s:
            raise HostSuperseded(f"Host '{request.host}' has a newer process: {described(known)}.", host=request.host)
        return
    sign = alive(request.host, known) if known.left_at is None else None
    if sign is not None:
        raise HostTaken(_taken(known, request, sign), host=request.host, heard_s_ago=sign.heard_s_ago)
    if known.left_at is None:
        write_contests.put(tx, request.host, silent_epoch=known.epoch)


def _same_place(known: HostProcess, request: RegisterHost) -> bool:
    """Whether the new process holds the lock that the known process held: then the known process is gone."""
    return bool(request.state_id) and (known.boot_id, known.state_id) == (request.boot_id, request.state_id)


def _taken(known: HostProcess, request: RegisterHost, sign: Sign) -> str:
    heard = (
        "not heard since the conductor's start" if sign.heard_s_ago is None else f"heard {sign.heard_s_ago:.0f} s ago"
    )
    return (
        f"Host '{request.host}' has another process: {described(known)}, {heard}. This is process {request.process_id} "
        f"on boot {request.boot_id}. Two must never work under one name: stop the wrong one, and if that is the other, "
        f"run `kilonova host adopt {request.host}` and start this one again."
    )


def check_identity(tx: Transaction, request: RegisterHost) -> None:
    """Raises StateError for a host with another node id, or a node with another host name, than recorded.  The known
    node id is in the log only and not in the reply, because any process can send the request."""
    node_id = write_hosts.node_id_of(tx, request.host)
    if node_id is not None and node_id != request.node_id:
        log.warning("refused a host under another node id", host=request.host, known=node_id, requested=request.node_id)
        raise StateError(
            f"Host '{request.host}' is known under another node id than {request.node_id}: give it a name of its own "
            "if another machine has this name, or put the known id (the conductor's log names it) into its identity "
            "file if its state directory was lost."
        )
    host = read_hosts.host_of_node(tx, request.node_id)
    if host is not None and host != request.host:
        raise StateError(
            f"Node {request.node_id} is known as host '{host}' and registers as '{request.host}': set host = {host} if "
            "the machine was renamed, or remove its identity file if the state directory was copied."
        )


def leave(tx: Transaction, request: Leave, now: datetime) -> None:
    """The host's process ends in an orderly way.  Raises StaleWrite."""
    check_epoch(tx, request.host, request.epoch)
    write_hosts.update_service(tx, request.host, COMPUTE, now, left_at=now)


def refused(tx: Transaction, request: RegisterHost, now: datetime) -> bool:
    """Record a process that was refused because the host has another process.  Returns whether it is new."""
    before = read_contests.contest_of(tx, request.host).claimant
    claim = {"claimant": request.process_id, "claimant_boot": request.boot_id, "claimed_at": database_now(tx, now)}
    write_contests.put(tx, request.host, **claim)
    return before != request.process_id


def adopt(tx: Transaction, host: HostName, now: datetime) -> HostProcess:
    """Take the host from its process, or end the conflict of two.  The process receives the same error as for a newer
    process; the next process that registers gets the host.  Returns the process that had it.  Raises NotFound.  A
    repeat changes nothing."""
    known = read_hosts.process_of(tx, host)
    if known is None:
        raise NotFound(f"There is no host {host}.")
    if read_contests.contest_of(tx, host).conflict is not None:
        for service in read_hosts.list_services(tx, host=host, binary=COMPUTE):
            if service.disabled_by_host:
                enabled = {"disabled": False, "disabled_by_host": False, "disabled_reason": None}
                write_hosts.update_service(tx, host, COMPUTE, now, **enabled)
    write_contests.put(tx, host, conflict=None, silent_epoch=None)
    if known.process_id != NOBODY:
        values = {"epoch": known.epoch + 1, "process_id": NOBODY, "state_id": None, "left_at": now}
        write_hosts.update_service(tx, host, COMPUTE, now, **values)
    return known
