# SPDX-License-Identifier: Apache-2.0
"""The actions on a server and their events: GET /servers/{id}/os-instance-actions.

Source: Compute API reference, "Servers - run an action: list, show" (os-instance-actions).
"""

from dataclasses import dataclass
from datetime import datetime

from kilonova.api.compute.servers.resource import server_id_of
from kilonova.api.compute.servers.view import host_id
from kilonova.api.http.call import Call, Page, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.query import Changes
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import micros
from kilonova.api.http.views import ListOf, Member, View, one, paged
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.readers import actions, instances
from kilonova.db.transaction import Snapshot
from kilonova.objects.action import Action, ActionEvent
from kilonova.objects.ids import InstanceId
from kilonova.objects.messages import member_message
from kilonova.objects.states import ActionState, Verb

ARGUMENTS = frozenset({"limit", "marker", "changes-since", "changes-before"})

_WITH_MESSAGE = frozenset(ActionState) - {ActionState.DONE}
"""States of actions whose message is shown.  The message of a power update is always shown."""


@dataclass(frozen=True, slots=True)
class _Event:
    """An event with its action."""

    event: ActionEvent
    action: Action


@dataclass(frozen=True, slots=True)
class _Action:
    """An action, with its events where they are shown."""

    action: Action
    events: tuple[_Event, ...] = ()


def message_of(action: Action, call: Call) -> str | None:
    """How the action has failed, or what it waits for, as the caller may see it."""
    has_message = action.state in _WITH_MESSAGE or action.verb is Verb.POWER_UPDATE
    return _for_caller(action.message, call, action) if has_message else None


def _for_caller(text: str | None, call: Call, action: Action) -> str | None:
    return text if text is None or call.is_admin else member_message(text, action.hosts)


def _host_id(shown: _Event, _call: Call) -> str:
    return host_id(shown.action.project_id, shown.event.host) if shown.event.host else ""


def _traceback(shown: _Event, _call: Call) -> str | None:
    """Before `details` existed, administrators found the error here."""
    return shown.event.details if shown.event.result == "Error" else None


def _details(shown: _Event, call: Call) -> str | None:
    return _for_caller(shown.event.details, call, shown.action)


EVENT = View[_Event, Call](
    "InstanceActionEvent",
    Member("event", str, lambda shown, _: shown.event.name),
    Member("start_time", str | None, lambda shown, _: micros(shown.event.start_time)),
    Member("finish_time", str | None, lambda shown, _: micros(shown.event.finish_time)),
    Member("result", str | None, lambda shown, _: shown.event.result),
    Member("traceback", str | None, _traceback, admin=True),
    Member("details", str | None, _details, since=v2(84)),
    Member("hostId", str, _host_id, since=v2(62)),
    Member("host", str | None, lambda shown, _: shown.event.host, since=v2(62), admin=True),
)
ACTION = View[_Action, Call](
    "InstanceAction",
    Member("action", str, lambda shown, _: shown.action.verb),
    Member("instance_uuid", str, lambda shown, _: shown.action.instance_id),
    Member("request_id", str, lambda shown, _: shown.action.request_id),
    Member("user_id", str, lambda shown, _: shown.action.user_id),
    Member("project_id", str, lambda shown, _: shown.action.project_id),
    Member("start_time", str, lambda shown, _: micros(shown.action.started_at)),
    Member("message", str | None, lambda shown, call: message_of(shown.action, call)),
    Member("updated_at", str, lambda shown, _: micros(shown.action.updated_at), since=v2(58)),
)
ACTIONS = paged("instanceActions", ACTION, "links", since=v2(58))
ONE_ACTION = one(
    "instanceAction",
    ACTION.but(
        "InstanceActionWithEvents",
        Member("events", ListOf(EVENT), lambda shown, _: shown.events, until=v2(50), admin=True),
        Member("events", ListOf(EVENT), lambda shown, _: shown.events, since=v2(51)),
    ),
)


async def list_actions(call: Call) -> Reply:
    """List the actions on a server, newest first; in pages from 2.58 on, also of deleted servers from 2.21 on."""
    found = await call.db.read(_actions_of, server_id_of(call), call)
    if call.version < v2(58):
        return ACTIONS.reply(Page([_Action(action) for action in found]), call)
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
    shown = [_Action(action) for action in found[: window.limit]]
    return ACTIONS.reply(call.page(shown, window.limit, lambda one: one.action.request_id), call)


def _is_within(at: datetime, changes: Changes) -> bool:
    return (changes.since is None or at >= changes.since) and (changes.before is None or at <= changes.before)


async def show_action(call: Call) -> Reply:
    """Show an action on a server and its events; before 2.51 only administrators see the events."""
    action, events = await call.db.read(_action_of, server_id_of(call), call.params["request_id"], call)
    return ONE_ACTION.reply(_Action(action, tuple(_Event(event, action) for event in events)), call)


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


ROUTES = (
    Route("GET", "/servers/{server_id}/os-instance-actions", list_actions, "os_compute_api:os-instance-actions:list",
        DefaultPolicy.READER, reply=ACTIONS, query=ARGUMENTS, strict=v2(58)),
    Route("GET", "/servers/{server_id}/os-instance-actions/{request_id}", show_action,
        "os_compute_api:os-instance-actions:show", DefaultPolicy.READER,
        reply=ONE_ACTION),
)  # fmt: skip
