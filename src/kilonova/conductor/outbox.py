# SPDX-License-Identifier: Apache-2.0
"""The notifications of instances: which event of an action, or which edit, becomes which notification.

Each function is part of the transaction that records the event.  The names are those of Nova's notifications.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from kilonova.db.transaction import Transaction
from kilonova.db.writers import notifications as write_notifications
from kilonova.objects.action import Action
from kilonova.objects.ids import HostName
from kilonova.objects.instance import Instance
from kilonova.objects.notification import ERROR, INFO, Notification
from kilonova.objects.states import EVENTS, VERBS, ActionState, PowerState

UPDATED = "instance.update"

_SHOWN = frozenset({"host", "vm_state", "task_state", "power_state"})


def began(tx: Transaction, action: Action, instance: Instance, now: datetime) -> None:
    """An action was recorded."""
    transition = VERBS.get(action.verb)
    phase = "" if transition is None or transition.immediate else ".start"
    _record(tx, action, instance, phase, now, {})


def ended(
    tx: Transaction,
    action: Action,
    instance: Instance,
    now: datetime,
    *,
    state: ActionState = ActionState.DONE,
    message: str | None = None,
) -> None:
    """An action has ended.  `instance` is as the end leaves it."""
    phase = ".end" if state is ActionState.DONE else ".error"
    _record(tx, action, instance, phase, now, {"fault": message} if message else {})


def updated(tx: Transaction, instance: Instance, now: datetime) -> None:
    """It has changed without the begin or the end of an action: a user has edited its name or similar fields, or an
    operator has given up or taken back its host.  `instance` is as the change leaves it."""
    id = f"{instance.id}.{now:%Y%m%d%H%M%S%f}"  # (changes of one instance follow each other: the time makes it unique)
    write_notifications.insert_once(tx, id, _notification(instance, UPDATED, INFO, now, {}))


def changed(instance: Instance, columns: Mapping[str, Any]) -> Instance:
    """The instance with these columns changed, as far as a notification shows them."""
    return replace(instance, **{name: columns[name] for name in _SHOWN & columns.keys()})


def _record(
    tx: Transaction, action: Action, instance: Instance, phase: str, now: datetime, more: Mapping[str, str]
) -> None:
    facts = {
        "action": action.verb,
        "action_initiator_user": action.user_id,
        "request_id": action.request_id,
        **more,
    }
    priority = ERROR if phase == ".error" else INFO
    notification = _notification(instance, f"{EVENTS[action.verb]}{phase}", priority, now, facts)
    write_notifications.insert(tx, f"{action.id}{phase}", notification)


def _notification(
    instance: Instance, event_type: str, priority: str, now: datetime, more: Mapping[str, str]
) -> Notification:
    payload = {
        "uuid": instance.id,
        "tenant_id": instance.project_id,
        "user_id": instance.user_id,
        "host": instance.host or "",
        "state": instance.vm_state,
        "task_state": instance.task_state or "",
        "power_state": PowerState(instance.power_state).name.lower(),
        **more,
    }
    return Notification(instance.host or HostName(""), now, event_type, priority, payload)
