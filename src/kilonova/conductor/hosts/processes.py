# SPDX-License-Identifier: Apache-2.0
"""One identity, one process: which process a host has, and who may take its place.

A host's guests are touched by one process.  Each that registers gets a new epoch, and what comes from an older one is
refused (`check_epoch`).  A second process is let in only when the first is known to be gone (docs/adr/0012): it ended
in order; the second holds the lock of the very state directory that the first held, on the same boot of the machine;
it was silent for `service_down_time`; or an operator says so (`adopt`).  Each function is one transaction, or part of
one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from kilonova.base.errors import HostSuperseded, HostTaken, NotFound, StateError
from kilonova.conductor.attempts import check_current
from kilonova.conductor.engine.fencing import NOBODY, check_epoch, described
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.hosts import COMPUTE, HostProcess
from kilonova.db.transaction import Transaction
from kilonova.db.writers import hosts as write_hosts
from kilonova.objects.ids import HostName
from kilonova.rpcapi.host_to_conductor import ConfirmAttempt, Leave, RegisterHost

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sign:
    """Why a process counts as alive: it was heard `heard_s_ago` seconds ago; None: not since the conductor's own start,
    which is too short a time to judge."""

    heard_s_ago: float | None


Alive = Callable[[HostName, HostProcess], Sign | None]
"""Whether a process that did not end in order may still live, and by what sign (see liveness.Liveness)."""


def confirm_attempt(tx: Transaction, request: ConfirmAttempt) -> None:
    """Raises StaleWrite, NotFound."""
    check_epoch(tx, request.host, request.epoch)
    check_current(read_actions.get(tx, request.leg.action_id), request)


def admit(tx: Transaction, request: RegisterHost, alive: Alive) -> None:
    """Whether the process may register.  Raises StateError (see check_identity), HostTaken while the host's process
    lives or may live, HostSuperseded for a message of an older process that comes late."""
    check_identity(tx, request)
    known = read_hosts.process_of(tx, request.host)
    if known is None or known.process_id == request.process_id:
        return
    if _same_place(known, request):
        if known.started_s is not None and request.started_s < known.started_s:
            raise HostSuperseded(f"Host '{request.host}' has a newer process: {described(known)}.", host=request.host)
        return
    sign = alive(request.host, known) if known.left_at is None else None
    if sign is not None:
        raise HostTaken(_taken(known, request, sign), host=request.host, heard_s_ago=sign.heard_s_ago)


def _same_place(known: HostProcess, request: RegisterHost) -> bool:
    """The asker holds the lock that the known process held: that one is gone."""
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
    """Raises StateError for a host under another node id, or a node under another host's name, than it has reported.
    The known node id is told to the log and not to the asker, who may be anybody."""
    node_id = write_hosts.node_id_of(tx, request.host)
    if node_id is not None and node_id != request.node_id:
        log.warning("refused a host under another node id", host=request.host, known=node_id, asked=request.node_id)
        raise StateError(
            f"Host '{request.host}' is known under another node id than {request.node_id}: give it a name of its own "
            "if another machine bears this one, or put the known id (the conductor's log names it) into its identity "
            "file if its state directory was lost."
        )
    host = read_hosts.host_of_node(tx, request.node_id)
    if host is not None and host != request.host:
        raise StateError(
            f"Node {request.node_id} is known as host '{host}' and registers as '{request.host}': set host = {host} if "
            "the machine was renamed, or remove its identity file if the state directory was copied."
        )


def leave(tx: Transaction, request: Leave, now: datetime) -> None:
    """The host's process ends in order.  Raises StaleWrite."""
    check_epoch(tx, request.host, request.epoch)
    write_hosts.update_service(tx, request.host, COMPUTE, now, left_at=now)


def adopt(tx: Transaction, host: HostName, now: datetime) -> HostProcess:
    """Take the host from its process, which hears of it as of a newer one; the next that registers has it.  The process
    that had it.  Raises NotFound.  A repeat changes nothing."""
    known = read_hosts.process_of(tx, host)
    if known is None:
        raise NotFound(f"There is no host {host}.")
    if known.process_id != NOBODY:
        values = {"epoch": known.epoch + 1, "process_id": NOBODY, "state_id": None, "left_at": now}
        write_hosts.update_service(tx, host, COMPUTE, now, **values)
    return known
