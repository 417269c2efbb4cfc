# SPDX-License-Identifier: Apache-2.0
"""Resizes that nobody has confirmed or reverted within `resize_confirm_window` are confirmed."""

from collections.abc import Callable
from datetime import datetime, timedelta

from kilonova.base.context import system_context
from kilonova.base.errors import InvalidState
from kilonova.conductor.engine.accept import accept
from kilonova.db.readers import migrations as read_migrations
from kilonova.db.savepoints import each_in_savepoint
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import ActionId, HostName, InstanceId
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import AcceptAction


def confirm_due(tx: Transaction, window: timedelta, new_id: Callable[[], str], now: datetime) -> list[HostName]:
    """Accept the confirmations that are due; the hosts to wake.  One whose server is busy waits for the next look."""

    def confirm(instance_id: InstanceId) -> HostName | None:
        asked = AcceptAction(system_context(f"req-{new_id()}"), instance_id, Verb.CONFIRM_RESIZE)
        try:
            return accept(tx, asked, ActionId(new_id()), now)
        except InvalidState:
            return None

    due = read_migrations.waiting_since(tx, now - window)
    return [host for host in each_in_savepoint(tx, due, confirm, "a resize to confirm") if host is not None]
