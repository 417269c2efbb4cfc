# SPDX-License-Identifier: Apache-2.0
"""Cancelling actions: POST /kilonova/cancel.

The route is not one of Nova's.  docs/cancel.md describes what a cancel does to each action.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import Member, View
from kilonova.base.errors import InvalidState, NotFound
from kilonova.db.readers import actions as read_actions
from kilonova.objects.action import Action
from kilonova.objects.ids import ActionId
from kilonova.objects.messages import member_message
from kilonova.objects.states import ActionState
from kilonova.rpcapi.cancel import CANCEL_ACTION, CancelAction

WAIT_S = 1.3
"""How long the answer waits for hosts.  With the calls to the conductor it comes within two seconds."""
POLL_S = 0.05

CANCELLED, CONTINUES, CLEANING_UP, ENDED = "cancelled", "continues", "cleaning-up", "ended"


class CancelOne(Body):
    """`id` is that of an action, of a request, or of a server whose open action is meant."""

    id: Annotated[str, Field(min_length=1, max_length=64)]


class CancelBody(Body):
    """What to cancel."""

    cancel: CancelOne


class CancelShown(TypedDict):
    """One action.  `result`: "cancelled"; "continues": it cannot be cancelled any more, and `message` says why;
    "cleaning-up": it has ended for its user, and its host has not ended its work yet; "ended": it ended in another way
    before."""

    id: str
    action: str
    server_id: str
    request_id: str
    result: str
    message: str | None


class CancelsShown(TypedDict):
    """The actions with the id."""

    actions: Sequence[CancelShown]


CANCELS = View[CancelsShown, Call]("", Member("cancel", CancelsShown, lambda shown, _: shown))


async def cancel(call: Call, body: CancelBody) -> Reply:
    """Cancel the open actions with an id, within two seconds."""
    name = body.cancel.id
    found = await call.db.read(read_actions.named, name, call.scope)
    if not found:
        raise NotFound(f"There is no action in progress with the id {name}, and no request or server with one.")
    wanted = [action.id for action in found if read_actions.is_open(action)]
    if not wanted:
        raise InvalidState(f"The action {found[0].verb} of {name} has ended ({found[0].state}).")
    refused = {action_id: await _request(call, action_id) for action_id in wanted}
    ended = await _until_ended(call, [action_id for action_id, why in refused.items() if not why])
    for action_id, action in ended.items():
        if _is_pending(action):
            await _request(call, action_id, let_go=True)
    after = [await call.db.read(read_actions.get, action_id) for action_id in wanted]
    return CANCELS.reply({"actions": [_shown(action, refused[action.id], call) for action in after]}, call)


async def _request(call: Call, action_id: ActionId, *, let_go: bool = False) -> str:
    return (await call.deps.rpc.call(CANCEL_ACTION, CancelAction(call.context, action_id, let_go))).refused


async def _until_ended(call: Call, wanted: Sequence[ActionId]) -> dict[ActionId, Action]:
    """The actions, once none is pending, or after WAIT_S."""
    clock = call.deps.clock
    deadline = clock.monotonic() + WAIT_S
    while True:
        found = {action_id: await call.db.read(read_actions.get, action_id) for action_id in wanted}
        if not any(map(_is_pending, found.values())) or clock.monotonic() >= deadline:
            return found
        await clock.sleep(POLL_S)


def _is_pending(action: Action) -> bool:
    """Whether its host has neither ended nor refused the work, and the user still waits for that."""
    requested = action.bookkeeping.cancel
    return read_actions.is_open(action) and action.is_cancelled and (requested is None or not requested.let_go_from)


def _shown(action: Action, refused: str, call: Call) -> CancelShown:
    requested = action.bookkeeping.cancel
    why = refused or (requested and requested.refused)
    if action.state is ActionState.CANCELLED:
        result, message = CANCELLED, action.message
    elif not read_actions.is_open(action):
        result, message = ENDED, action.message
    elif why:
        result, message = CONTINUES, why
    else:
        result, message = CLEANING_UP, action.message
    return {
        "id": action.id,
        "action": action.verb,
        "server_id": action.instance_id,
        "request_id": action.request_id,
        "result": result,
        "message": message if message is None or call.is_admin else member_message(message, action.hosts),
    }


ROUTES = (
    Route("POST", "/kilonova/cancel", cancel, "kilonova:actions:cancel", DefaultPolicy.MEMBER, 200, reply=CANCELS,
        body=CancelBody),
)  # fmt: skip
