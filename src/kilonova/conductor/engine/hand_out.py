# SPDX-License-Identifier: Apache-2.0
"""Hand a host its open actions, under the attempt token that the host sends."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from operator import itemgetter

import structlog

from kilonova.conductor.engine.fencing import check_process
from kilonova.db.readers import work as read_work
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.objects.action import Action
from kilonova.objects.ids import ActionId, AttemptId
from kilonova.objects.instance import Instance
from kilonova.objects.states import VERBS
from kilonova.rpc.bus import USUAL_PAYLOAD
from kilonova.rpcapi.host_to_conductor import FETCH
from kilonova.rpcapi.method import fitting, reply_bytes
from kilonova.rpcapi.work import Fetch, Fetched, WorkItem

log = structlog.get_logger(__name__)

ROOM = 4096
"""Bytes of a reply besides its items."""


def hand_out(tx: Transaction, request: Fetch, now: datetime, max_payload: int = USUAL_PAYLOAD) -> Fetched:
    """Three lists for a host.  The first has open actions whose current leg belongs to the host and does not run yet,
    as many as one message takes, now under the host's attempt.  The second has legs that the host runs and that are no
    longer current.  The third has legs that it runs and whose deadline has passed.  A host that an operator has forced
    down gets nothing.  Actions of a newer version are in none of the lists.  Raises StaleWrite for an older process of
    the host."""
    work = read_work.of_host(tx, request.host)
    if check_process(tx, request.host, request.epoch, work.process).forced_down:
        return Fetched((), ())
    open_actions = [action for action, _ in work.open_actions]
    running = frozenset(request.running)
    fresh = [one for one in work.open_actions if one[0].leg_id not in running]
    readable, unreadable = _items(fresh, request.attempt, max_payload)
    items = tuple(item for item, _ in fitting(readable, itemgetter(1), reply_bytes(max_payload)))
    write_actions.hand_out(tx, [item.action for item in items], now)
    current = {action.leg_id for action in open_actions}
    revoked = tuple(leg for leg in request.running if leg not in current and leg.action_id not in work.others)
    expired = tuple(action.leg_id for action in open_actions if action.leg_id in running and is_overdue(action))
    return Fetched(items, revoked, more=len(items) + len(unreadable) < len(fresh), expired=expired)


def _items(
    work: list[tuple[Action, Instance | None]], attempt: AttemptId, max_payload: int
) -> tuple[Iterator[tuple[WorkItem, int]], list[ActionId]]:
    """The actions with their instances, and the size of each in a message; and the skipped actions, whose instances
    could not be read or are larger than a message."""
    passed_over: list[ActionId] = []

    def items() -> Iterator[tuple[WorkItem, int]]:
        for action, instance in work:
            if instance is None:
                passed_over.append(action.id)
                continue
            handed = action.with_leg(action.leg.under(attempt))
            bookkeeping = replace(action.bookkeeping, former=None)
            item = WorkItem(replace(handed, bookkeeping=bookkeeping), instance)
            size = len(FETCH.reply_form.dump_json(Fetched((item,), ())))
            if size + ROOM > max_payload:
                limits = {"bytes": size, "max_payload": max_payload}
                log.error("an action is held back: it is larger than a message of the bus", action=action.id, **limits)
                passed_over.append(action.id)
                continue
            yield item, size

    return items(), passed_over


def is_overdue(action: Action) -> bool:
    """Whether the deadline has passed, by the time that was counted: the clock may have jumped since.  A delete has
    none."""
    counted = action.counted_at
    return not VERBS[action.verb].until_done and counted is not None and action.deadline <= counted
