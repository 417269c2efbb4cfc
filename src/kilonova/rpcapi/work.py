# SPDX-License-Identifier: Apache-2.0
"""How work is asked for and handed out (see kilonova.rpcapi.host_to_conductor)."""

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
    """`attempt` is the token under which the host will work on what it gets; `running` what it works on already."""

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
    """An action that was handed out in a form that this code cannot read: what could be read of it, and why not all."""

    action_id: ActionId
    instance_id: InstanceId
    verb: str
    reason: str


@cache
def _work_item() -> TypeAdapter[WorkItem]:
    return TypeAdapter(WorkItem)


@dataclass(frozen=True, slots=True)
class Fetched:
    """`items` are open actions of the host that it does not run yet, the oldest first: all of them, or with `more` as
    many as one message takes; `revoked` those of `running` that are no longer open: stop them; `expired` those whose
    time is up: end them, undo what was made, and report what became of the guest; `unread` is made where the message
    is read."""

    items: tuple[WorkItem, ...]
    revoked: tuple[ActionId, ...]
    more: bool = False
    expired: tuple[ActionId, ...] = ()
    unread: tuple[Unread, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _one_by_one(cls, raw: Any) -> Any:
        """The items by themselves: one that cannot be read goes to `unread`."""
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
    said: dict[str, Any] = action if isinstance(action, dict) else {}

    def text(name: str) -> str:
        value = said.get(name)
        return value if isinstance(value, str) else ""

    return Unread(ActionId(text("id")), InstanceId(text("instance_id")), text("verb"), reason(exc))
