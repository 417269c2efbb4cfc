# SPDX-License-Identifier: Apache-2.0
"""How a host fetches its actions (see kilonova.rpcapi.host_to_conductor)."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError, model_validator

from kilonova.base.open_enum import OpenStrEnum
from kilonova.objects.action import Action
from kilonova.objects.action_params import UnshelveParams
from kilonova.objects.ids import ActionId, AttemptId, HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.leg import LegId, LegState
from kilonova.rpcapi.batch import reason


@dataclass(frozen=True, slots=True)
class Fetch:
    """`attempt` is the token under which the host will run the legs that it receives; `running` are those that it runs
    already."""

    host: HostName
    epoch: int
    attempt: AttemptId
    running: tuple[LegId, ...]


@dataclass(frozen=True, slots=True)
class WorkItem:
    """The current leg of an action, under its attempt.  `again`: an earlier attempt received the leg, and may have done
    some of its steps; False: also from a conductor that is older than this field."""

    action: Action
    instance: Instance
    again: bool = False


@dataclass(frozen=True, slots=True)
class Unread:
    """An action that this code version cannot read: its readable fields, and the reason."""

    leg: LegId
    instance_id: InstanceId
    verb: str
    reason: str


@cache
def _work_item() -> TypeAdapter[WorkItem]:
    return TypeAdapter(WorkItem)


@dataclass(frozen=True, slots=True)
class Fetched:
    """`items` are open actions whose current leg is the host's and does not run yet, oldest first: all of them, or with
    `more` as many as one message takes.  `revoked` are those of `running` that are no longer current: stop them.
    `expired` are those whose deadline is over: end them, undo their steps, and report the state of the guest.  The
    receiver fills `unread`.  `conductors` is the lowest code version of the live conductors, `now` the time of the
    conductor; None: it is older than this field."""

    items: tuple[WorkItem, ...]
    revoked: tuple[LegId, ...]
    more: bool = False
    expired: tuple[LegId, ...] = ()
    unread: tuple[Unread, ...] = ()
    conductors: int = 1
    now: datetime | None = None

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
                read = _work_item().validate_python(item)
            except ValidationError as exc:
                unread.append(_unread(item, reason(exc)))
                continue
            if (lack := _lack(read)) is None:
                items.append(read)
            else:
                unread.append(_unread(item, lack))
        return {**raw, "items": items, "unread": unread}


def _lack(item: WorkItem) -> str | None:
    """What this version does not have, of all that an operation decides by."""
    action, instance = item.action, item.instance
    decides: list[tuple[str, OpenStrEnum | None]] = [
        ("verb", action.verb),
        ("state", action.state),
        *(("leg", leg.state) for leg in action.legs),
        ("vm_state", instance.vm_state),
        ("old_vm_state", instance.old_vm_state),
        ("source", action.params.source if isinstance(action.params, UnshelveParams) else None),
    ]
    unknown = ((name, member) for name, member in decides if member is not None and not member.is_known)
    return next((f"{name}: this version does not have {member}" for name, member in unknown), None)


def _unread(item: Any, why: str) -> Unread:
    action = item.get("action") if isinstance(item, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    found: dict[str, Any] = action if isinstance(action, dict) else {}

    def text(name: str) -> str:
        value = found.get(name)
        return value if isinstance(value, str) else ""

    leg = LegId(ActionId(text("id")), _open_leg(found.get("legs")))
    return Unread(leg, InstanceId(text("instance_id")), text("verb"), why)


def _open_leg(legs: Any) -> int:
    """The index of the open leg, of legs that may have a form that this code does not know; 0 where it is not found."""
    found: list[Any] = legs if isinstance(legs, list) else []
    is_open = (isinstance(leg, dict) and leg.get("state") == LegState.OPEN for leg in found)  # pyright: ignore[reportUnknownMemberType]
    return next((index for index, this in enumerate(is_open) if this), 0)
