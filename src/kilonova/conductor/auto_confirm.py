# SPDX-License-Identifier: Apache-2.0
"""Resizes that nobody has confirmed or reverted within `resize_confirm_window` are confirmed."""

from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa

from kilonova.base.context import system_context
from kilonova.base.errors import InvalidState
from kilonova.conductor.actions import accept
from kilonova.conductor.one_by_one import each
from kilonova.db.readers import migrations as read_migrations
from kilonova.objects.ids import ActionId, HostName, InstanceId
from kilonova.objects.states import Verb
from kilonova.rpcapi.conductor import AcceptAction


def confirm_due(
    connection: sa.Connection, window: timedelta, new_id: Callable[[], str], now: datetime
) -> list[HostName]:
    """Accept the confirmations that are due; the hosts to wake.  One whose server is busy waits for the next look."""

    def confirm(instance_id: InstanceId) -> HostName | None:
        asked = AcceptAction(system_context(f"req-{new_id()}"), instance_id, Verb.CONFIRM_RESIZE)
        try:
            return accept(connection, asked, ActionId(new_id()), now)
        except InvalidState:
            return None

    due = read_migrations.waiting_since(connection, now - window)
    return [host for host in each(connection, due, confirm, "a resize to confirm") if host is not None]
