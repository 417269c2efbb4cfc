# SPDX-License-Identifier: Apache-2.0
"""The call to the conductor that cancels an action."""

from dataclasses import dataclass

from kilonova.base.context import RequestContext
from kilonova.base.errors import InvalidState, NotFound
from kilonova.objects.ids import ActionId
from kilonova.rpcapi.api_to_conductor import SUBJECT
from kilonova.rpcapi.method import Method


@dataclass(frozen=True, slots=True)
class CancelAction:
    """Cancel an action.  With `let_go`, an action that was cancelled and whose host has not ended its work yet ends for
    its user."""

    context: RequestContext
    action_id: ActionId
    let_go: bool = False


@dataclass(frozen=True, slots=True)
class CancelReply:
    """`refused`: why the action cannot be cancelled; empty: it ends, or has ended."""

    refused: str = ""


CANCEL_ACTION = Method(
    SUBJECT,
    "cancel_action",
    CancelAction,
    CancelReply,
    "Cancel an open action. A repeat changes nothing. InvalidState: the server is locked.",
    (NotFound, InvalidState),
    since=2,
)
