# SPDX-License-Identifier: Apache-2.0
"""Notifications on the bus: one message each, on the subject `notifications.<event type>`, for any subscriber.

The body is a JSON object with the members of oslo.messaging's notifications (message_id, publisher_id, event_type,
priority, timestamp, payload), and `number`.  A message may arrive twice (the number and the id are the same), and the
bus may lose it.  A subscriber that misses a number reads it from the database: `kilonova notifications --after NUMBER`.
"""

import json
from typing import TypedDict

from kilonova.objects.notification import Numbered
from kilonova.rpc.bus import token

PREFIX = "notifications"
NUMBERED = "outbox"
"""On the bus of one process: notifications have received numbers.  The message is empty."""


class Message(TypedDict):
    """A notification as subscribers receive it."""

    number: int
    message_id: str
    publisher_id: str
    event_type: str
    priority: str
    timestamp: str
    payload: dict[str, str]


def subject_of(event_type: str) -> str:
    """The subject of an event type; each part between dots is one token."""
    return ".".join((PREFIX, *(token(part) or "_" for part in event_type.split("."))))


def encode(numbered: Numbered) -> bytes:
    """The body of a message."""
    return json.dumps(message(numbered)).encode()


def message(numbered: Numbered) -> Message:
    """The members of a message."""
    notification = numbered.notification
    service = "compute" if notification.event_type.startswith("compute.") else "conductor"
    return {
        "number": numbered.number,
        "message_id": numbered.id,
        "publisher_id": f"{service}.{notification.host}" if notification.host else service,
        "event_type": notification.event_type,
        "priority": notification.priority,
        "timestamp": notification.created_at.isoformat(),
        "payload": dict(notification.payload),
    }
