# SPDX-License-Identifier: Apache-2.0
"""How a host fetches its actions (see kilonova.rpcapi.host_to_conductor)."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError, model_validator

from kilonova.objects.action import Action
from kilonova.objects.ids import ActionId, AttemptId, HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.rpcapi.batch import reason


@dataclass(frozen=True, slots=True)
class Fetch:
    """`attempt` is the token under which the host will run the actions that it receives; `running` are those that it
    runs already."""

    host: HostName
    epoch: int
    attempt: AttemptId
    running: tuple[ActionId, ...]


@dataclass(frozen=True, slots=True)
class WorkItem:
    action: Action
    instance: Instance


@dataclass(frozen=True, slots=True)
class Unread:
    """An action that this code version cannot read: its readable fields, and the reason."""

    action_id: ActionId
    instance_id: InstanceId
    verb: str
    reason: str


@cache
def _work_item() -> TypeAdapter[WorkItem]:
    return TypeAdapter(WorkItem)


@dataclass(frozen=True, slots=True)
class Fetched:
    """`items` are open actions of the host that it does not run yet, oldest first: all of them, or with `more` as many
    as one message takes.  `revoked` are those of `running` that are no longer open: stop them.  `expired` are those whose
    deadline is over: end them, undo their steps, and report the state of the guest.  The receiver fills `unread`."""

    items: tuple[WorkItem, ...]
    revoked: tuple[ActionId, ...]
    more: bool = False
    expired: tuple[ActionId, ...] = ()
    unread: tuple[Unread, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _one_by_one(cls, raw: Any) -> Any:
        """Read each item by itself: an unreadable one goes to `unread`."""
        if not isinstance(raw, dict) or not isinstance(raw.get("items"), list):  # pyright: ignore[reportUnknownMemberType]
            return raw  # pyright: ignore[reportUnknownVariableType]
        items: list[WorkItem] = []
        unread: list[Unread] = []
        found: list[Any] = raw["items"]
        for item in found:
            try:
                items.append(_work_item().validate_python(item))
            except ValidationError as exc:
                unread.append(_unread(item, exc))
        return {**raw, "items": items, "unread": unread}


def _unread(item: Any, exc: ValidationError) -> Unread:
    action = item.get("action") if isinstance(item, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    fields: dict[str, Any] = action if isinstance(action, dict) else {}

    def text(name: str) -> str:
        value = fields.get(name)
        return value if isinstance(value, str) else ""

    return Unread(ActionId(text("id")), InstanceId(text("instance_id")), text("verb"), reason(exc))
