# SPDX-License-Identifier: Apache-2.0
"""GET /ui/api/actions: the actions of all servers of a project, the newest first.

Compute has lists of the actions of one server only.  What this list shows of an action is what they show.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kilonova.api.compute.servers.history import message_of
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.times import micros_z
from kilonova.api.http.views import ListOf, Member, View
from kilonova.api.ui.files import FRESH
from kilonova.base.errors import InvalidInput
from kilonova.db.readers import action_lists
from kilonova.db.readers.action_lists import Listed, Outcome, Place, Wanted
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import InstanceId

RULE = "os_compute_api:os-instance-actions:list"
EVERY_PROJECT = "os_compute_api:servers:detail:get_all_tenants"
QUERY = frozenset({"all_projects", "state", "action", "server_id", "request_id", "limit", "before"})
USUAL, MOST = 50, 200
"""The number of actions in a page: without a limit, and at most."""

_PLACE = re.compile(r"([0-9]{1,17})\.([\x21-\x7e]{1,36})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Page:
    """`next`: where the next page begins; None when there are no older actions."""

    actions: Sequence[Listed]
    next: str | None


_ACTION = View[Listed, Call](
    "",
    Member("id", str, lambda listed, _: listed.action.id),
    Member("action", str, lambda listed, _: listed.action.verb),
    Member("state", str, lambda listed, _: listed.action.state),
    Member("server_id", str, lambda listed, _: listed.action.instance_id),
    Member("server_name", str, lambda listed, _: listed.instance_name),
    Member("server_deleted", bool, lambda listed, _: listed.is_deleted),
    Member("project_id", str, lambda listed, _: listed.project_id),
    Member("user_id", str, lambda listed, _: listed.action.user_id),
    Member("request_id", str, lambda listed, _: listed.action.request_id),
    Member("started_at", str, lambda listed, _: micros_z(listed.action.started_at)),
    Member("ended_at", str | None, lambda listed, _: _time(listed.action.ended_at)),
    Member("message", str | None, lambda listed, call: message_of(listed.action, call)),
    Member("host", str | None, lambda listed, _: listed.action.host, admin=True),
)
_PAGE = View[_Page, Call](
    "",
    Member("actions", ListOf(_ACTION), lambda page, _: page.actions),
    Member("next", str | None, lambda page, _: page.next),
)


async def list_actions(call: Call) -> Reply:
    """List the actions of the token's project, or of all projects."""
    every = call.query.boolean("all_projects") or False
    if every:
        call.permit(EVERY_PROJECT)
    server_id = call.query.text("server_id")
    wanted = Wanted(
        None if every else call.context.project_id,
        _outcome(call),
        call.query.text("action"),
        None if server_id is None else InstanceId(server_id),
        call.query.text("request_id"),
    )
    limit = min(call.query.integer("limit") or USUAL, MOST)
    return await call.db.read(_listed, wanted, limit, _place(call), call)


def _listed(snapshot: Snapshot, wanted: Wanted, limit: int, before: Place | None, call: Call) -> Reply:
    """Read and encoded in one thread of the database, off the event loop."""
    found = action_lists.newest(snapshot, wanted, limit + 1, before)
    shown = found[:limit]
    return _PAGE.reply(_Page(shown, _text(shown[-1]) if len(found) > limit else None), call, headers=FRESH)


def _outcome(call: Call) -> Outcome | None:
    text = call.query.text("state")
    if text is None:
        return None
    try:
        return Outcome(text)
    except ValueError as exc:
        known = " or ".join(outcome.value for outcome in Outcome)
        raise InvalidInput(f"The query parameter state is {known}.", path="state") from exc


def _place(call: Call) -> Place | None:
    text = call.query.text("before")
    if text is None:
        return None
    found = _PLACE.fullmatch(text)
    if found is None:
        raise InvalidInput("The query parameter before is the `next` of an earlier answer.", path="before")
    try:
        return Place(_EPOCH + int(found[1]) * _MICROSECOND, found[2])
    except OverflowError as exc:
        raise InvalidInput("The query parameter before names a time that does not exist.", path="before") from exc


def _text(listed: Listed) -> str:
    """The place of an action as text, for `before`."""
    return f"{(listed.action.started_at - _EPOCH) // _MICROSECOND}.{listed.action.id}"


def _time(at: datetime | None) -> str | None:
    return None if at is None else micros_z(at)
