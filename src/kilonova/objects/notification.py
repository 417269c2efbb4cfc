# SPDX-License-Identifier: Apache-2.0
"""A notification: an event that an operator, or a program of an operator, should know of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kilonova.objects.ids import HostName

INFO, ERROR = "INFO", "ERROR"
"""Priorities, as in oslo.messaging."""
EVERY_PROJECT = "*"
"""In the place of the projects that may see an image: all of them may."""


@dataclass(frozen=True, slots=True)
class Notification:
    """`event_type` is dotted ("compute.libvirt.error"), `payload` its facts.  `host` is empty when the event has no
    host."""

    host: HostName
    created_at: datetime
    event_type: str
    priority: str
    payload: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Numbered:
    """A notification with its id, which is the same in each repetition, and its number.  Numbers grow by one, in the
    order in which the notifications were committed."""

    number: int
    id: str
    notification: Notification
