# SPDX-License-Identifier: Apache-2.0
"""Which messages of hosts about an action are accepted: those of the attempt that a leg was last handed out under."""

from typing import Protocol

from kilonova.base.errors import StaleWrite
from kilonova.objects.action import Action
from kilonova.objects.ids import AttemptId, HostName
from kilonova.objects.leg import LegId


class LegMessage(Protocol):
    """What a host sends about a leg."""

    @property
    def host(self) -> HostName: ...
    @property
    def leg(self) -> LegId: ...
    @property
    def attempt(self) -> AttemptId: ...


def check_attempt(action: Action, message: LegMessage) -> None:
    """Raises StaleWrite unless the leg that the message names is the sender's, under the attempt that it names."""
    index = message.leg.index
    leg = action.legs[index] if 0 <= index < len(action.legs) else None
    if leg is None or leg.host != message.host or leg.attempt != message.attempt:
        raise StaleWrite(f"Action {action.id} is owned by a newer attempt.", action_id=action.id)


def check_current(action: Action, message: LegMessage) -> None:
    """Raises StaleWrite, too, when the leg that the message names is not the current one."""
    check_attempt(action, message)
    if message.leg.index != action.current:
        raise StaleWrite(f"Action {action.id} is in another leg.", action_id=action.id)
