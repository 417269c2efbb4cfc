# SPDX-License-Identifier: Apache-2.0
"""A notification as an event of the page's stream, in the form of server-sent events (WHATWG HTML, section 9.2).

An event says which object changed, and what the page needs to show the change at once; the page reads the rest by the
API, under the policy of its user.  Events contain no text of users: no names, no metadata, no faults.
"""

from dataclasses import dataclass
from enum import StrEnum

from pydantic_core import to_json

from kilonova.objects.notification import Numbered

MEDIA_TYPE = "text/event-stream"
KEEP_ALIVE = b":\n\n"


class Kind(StrEnum):
    """The names of events of changes."""

    SERVER = "server"
    IMAGE = "image"
    HOST = "host"


_SHOWN = ("state", "task_state", "power_state", "action", "request_id")


@dataclass(frozen=True, slots=True)
class Change:
    """An encoded event.  `projects` may see it: those with these ids, or EVERY_PROJECT; administrators see `whole`."""

    number: int
    kind: Kind
    projects: frozenset[str]
    shown: bytes
    whole: bytes


def change(numbered: Numbered) -> Change:
    """The event of a notification."""
    notification = numbered.notification
    payload, number = notification.payload, numbered.number
    facts = {"type": notification.event_type, "at": notification.created_at.isoformat()}
    match notification.event_type.partition(".")[0]:
        case "instance":
            kind, projects = Kind.SERVER, frozenset({payload["tenant_id"]})
            facts |= {"id": payload["uuid"], "project_id": payload["tenant_id"]}
            facts |= {name: payload[name] for name in _SHOWN if name in payload}
            whole = {**facts, "host": notification.host}
        case "image":
            kind, projects = Kind.IMAGE, frozenset(payload["visible_to"].split())
            whole = facts = {**facts, "id": payload["id"]}
        case _:
            kind, projects = Kind.HOST, frozenset[str]()
            whole = {**facts, "id": notification.host}
    return Change(number, kind, projects, encoded(number, kind, facts), encoded(number, kind, whole))


def encoded(number: int, event: str, data: object) -> bytes:
    """One event.  JSON has no line feed outside of texts, and escapes those inside."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, event.encode(), to_json(data))
