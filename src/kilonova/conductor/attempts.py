# SPDX-License-Identifier: Apache-2.0
"""Which messages of hosts about an action are accepted: those of the attempt that was current when the leg was last
handed out."""

from typing import Protocol

from kilonova.base.errors import NotInThisVersion, StaleWrite
from kilonova.objects.action import Action
from kilonova.objects.ids import AttemptId, HostName
from kilonova.objects.leg import LegId


class LegMessage(Protocol):
    """A message of a host about a leg."""

    @property
    def host(self) -> HostName: ...
    @property
    def leg(self) -> LegId: ...
    @property
    def attempt(self) -> AttemptId: ...


def check_attempt(action: Action, message: LegMessage) -> None:
    """Raises StaleWrite unless the leg in the message belongs to the sender, under the attempt in the message."""
    index = message.leg.index
    leg = action.legs[index] if 0 <= index < len(action.legs) else None
    if leg is None or leg.host != message.host or leg.attempt != message.attempt:
        raise StaleWrite(f"Action {action.id} is owned by a newer attempt.", action_id=action.id)


def check_current(action: Action, message: LegMessage) -> None:
    """Also raises StaleWrite if the leg in the message is not the current leg."""
    check_attempt(action, message)
    if message.leg.index != action.current:
        raise StaleWrite(f"Action {action.id} is in another leg.", action_id=action.id)


def check_known(action: Action) -> None:
    """Raises NotInThisVersion for an action of a newer version: the sender tries another conductor."""
    if not action.is_known:
        raise NotInThisVersion(f"This conductor's version does not have the verb or a state of action {action.id}.")
