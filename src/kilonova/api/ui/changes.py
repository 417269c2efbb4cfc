# SPDX-License-Identifier: Apache-2.0
"""A notification as an event of the page's stream, in the form of server-sent events (WHATWG HTML, section 9.2).

An event says which object changed, and what the page needs to show the change at once; the page reads the rest by the
API, under the policy of its user.  Events contain no text of users: no names, no metadata, no faults.
"""

from dataclasses import dataclass

from pydantic_core import to_json

from kilonova.objects.notification import Numbered

MEDIA_TYPE = "text/event-stream"
KEEP_ALIVE = b":\n\n"

_SHOWN = ("state", "task_state", "power_state", "action", "request_id")


@dataclass(frozen=True, slots=True)
class Change:
    """An encoded event.  Without a project only administrators of all projects see it; only they see `whole`."""

    number: int
    project_id: str
    shown: bytes
    whole: bytes


def change(numbered: Numbered) -> Change:
    """The event of a notification."""
    notification = numbered.notification
    payload, kind = notification.payload, notification.event_type.partition(".")[0]
    project_id = payload.get("tenant_id", "") if kind == "instance" else ""
    facts = {"type": notification.event_type, "at": notification.created_at.isoformat()}
    if kind == "instance":
        facts |= {"id": payload["uuid"], "project_id": project_id}
        facts |= {name: payload[name] for name in _SHOWN if name in payload}
        event, whole = "server", {**facts, "host": notification.host}
    else:
        event, whole = "host", {**facts, "id": notification.host}
    number = numbered.number
    return Change(number, project_id, encoded(number, event, facts), encoded(number, event, whole))


def encoded(number: int, event: str, data: object) -> bytes:
    """One event.  JSON has no line feed outside of texts, and escapes those inside."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, event.encode(), to_json(data))
