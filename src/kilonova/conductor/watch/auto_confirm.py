# SPDX-License-Identifier: Apache-2.0
"""Confirms resizes that were neither confirmed nor reverted within `resize_confirm_window`."""

from collections.abc import Callable
from datetime import datetime, timedelta

from kilonova.base.context import system_context
from kilonova.base.errors import InvalidState
from kilonova.conductor.engine.accept import accept
from kilonova.db.database_time import database_now
from kilonova.db.readers import migrations as read_migrations
from kilonova.db.savepoints import each_in_savepoint
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import ActionId, HostName, InstanceId
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import AcceptAction


def confirm_due(tx: Transaction, window: timedelta, new_id: Callable[[], str], now: datetime) -> list[HostName]:
    """Accept the confirmations that are due.  Returns the hosts to wake.  If a server is busy, the next round tries
    again."""

    def confirm(instance_id: InstanceId) -> HostName | None:
        request = AcceptAction(system_context(f"req-{new_id()}"), instance_id, Verb.CONFIRM_RESIZE)
        try:
            return accept(tx, request, ActionId(new_id()), now)
        except InvalidState:
            return None

    due = read_migrations.waiting_since(tx, database_now(tx, now) - window)
    return [host for host in each_in_savepoint(tx, due, confirm, "a resize to confirm") if host is not None]
