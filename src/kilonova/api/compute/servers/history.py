# SPDX-License-Identifier: Apache-2.0
"""What was done to a server, step by step: GET /servers/{id}/os-instance-actions.

Source: Compute API reference, "Servers - run an action: list, show" (os-instance-actions).
"""

from datetime import datetime
from typing import Any

from kilonova.api.compute.servers.resource import server_id_of
from kilonova.api.compute.servers.view import host_id
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.query import Changes
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import micros
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.readers import actions, instances
from kilonova.db.transaction import Snapshot
from kilonova.objects.action import Action, ActionEvent
from kilonova.objects.ids import InstanceId
from kilonova.objects.messages import member_message
from kilonova.objects.states import ActionState, Verb

ARGUMENTS = frozenset({"limit", "marker", "changes-since", "changes-before"})

_SAID = frozenset(ActionState) - {ActionState.DONE}
"""What ended so has a message for people; what changed by itself always has one."""


async def list_actions(call: Call) -> Reply:
    """Newest first; from 2.58 page by page, from 2.21 of deleted servers too."""
    found = await call.db.read(_actions_of, server_id_of(call), call)
    if call.version < v2(58):
        return json_reply({"instanceActions": [_action(action, call) for action in found]})
    window = call.query.page(call.deps.settings.max_limit)
    if call.query.text("changes-before") is not None and call.version < v2(66):
        message = "Additional properties are not allowed ('changes-before' was unexpected)"
        raise InvalidInput(message, path="changes-before")
    changes = call.query.changes()
    found = [action for action in found if _is_within(action.updated_at, changes)]
    if window.marker is not None:
        at = next((at for at, action in enumerate(found) if action.request_id == window.marker), None)
        if at is None:
            raise InvalidInput(f"marker [{window.marker[:255]}] not found", path="marker")
        found = found[at + 1 :]
    page = found[: window.limit]
    answer: dict[str, Any] = {"instanceActions": [_action(action, call) for action in page]}
    if page and len(page) == window.limit:
        answer.update(call.next_page("links", page[-1].request_id))
    return json_reply(answer)


def _is_within(at: datetime, changes: Changes) -> bool:
    return (changes.since is None or at >= changes.since) and (changes.before is None or at <= changes.before)


async def show_action(call: Call) -> Reply:
    """One action with its events; those are for administrators only before 2.51."""
    action, events = await call.db.read(_action_of, server_id_of(call), call.params["request_id"], call)
    shown = _action(action, call)
    if call.context.is_admin or call.version >= v2(51):
        shown["events"] = [_event(event, action, call) for event in events]
    return json_reply({"instanceAction": shown})


def _check_visible(snapshot: Snapshot, instance_id: InstanceId, call: Call) -> None:
    if call.version >= v2(21):
        instances.get_known(snapshot, instance_id, call.scope)
    else:
        instances.get(snapshot, instance_id, call.scope)


def _actions_of(snapshot: Snapshot, instance_id: InstanceId, call: Call) -> list[Action]:
    _check_visible(snapshot, instance_id, call)
    return actions.of_instance(snapshot, instance_id)


def _action_of(
    snapshot: Snapshot, instance_id: InstanceId, request_id: str, call: Call
) -> tuple[Action, list[ActionEvent]]:
    _check_visible(snapshot, instance_id, call)
    try:
        action = actions.by_request(snapshot, instance_id, request_id)
    except NotFound as exc:
        raise NotFound(f"Action {request_id[:64]} not found") from exc
    return action, actions.events(snapshot, action.id)


def _action(action: Action, call: Call) -> dict[str, Any]:
    is_said = action.state in _SAID or action.verb is Verb.POWER_UPDATE
    message = _told(action.message, call, action) if is_said else None
    shown: dict[str, Any] = {
        "action": action.verb,
        "instance_uuid": action.instance_id,
        "request_id": action.request_id,
        "user_id": action.user_id,
        "project_id": action.project_id,
        "start_time": micros(action.started_at),
        "message": message,
    }
    if call.version >= v2(58):
        shown["updated_at"] = micros(action.updated_at)
    return shown


def _told(text: str | None, call: Call, action: Action) -> str | None:
    return text if text is None or call.context.is_admin else member_message(text, action.hosts)


def _event(event: ActionEvent, action: Action, call: Call) -> dict[str, Any]:
    """`details` says what went wrong; before it existed, administrators found that in `traceback`."""
    shown: dict[str, Any] = {
        "event": event.name,
        "start_time": micros(event.start_time),
        "finish_time": micros(event.finish_time),
        "result": event.result,
    }
    if call.context.is_admin:
        shown["traceback"] = event.details if event.result == "Error" else None
    if call.version >= v2(84):
        shown["details"] = _told(event.details, call, action)
    if call.version >= v2(62):
        shown["hostId"] = host_id(action.project_id, event.host) if event.host else ""
        if call.context.is_admin:
            shown["host"] = event.host
    return shown


ROUTES = (
    Route("GET", "/servers/{server_id}/os-instance-actions", list_actions, "os_compute_api:os-instance-actions:list",
        DefaultPolicy.READER, note="{instanceActions: [...]}", query=ARGUMENTS, strict=v2(58)),
    Route("GET", "/servers/{server_id}/os-instance-actions/{request_id}", show_action,
        "os_compute_api:os-instance-actions:show", DefaultPolicy.READER,
        note="{instanceAction}; events from 2.51, before for admins"),
)  # fmt: skip
