# SPDX-License-Identifier: Apache-2.0
"""GET /ui/api/servers/{server_id}/why: why a server has no host.

Who may see a placement sees all of it (GET /kilonova/servers/{server_id}/placement).  Other readers of the project see
which filters refused hosts, without hosts, numbers and sizes: these are facts about other projects and the cloud.
"""

from collections.abc import Sequence

from pydantic_core import to_json
from typing_extensions import TypedDict

from kilonova.api.compute.servers.placement import RULE as WHOLE
from kilonova.api.compute.servers.placement import PlacementShown, TryShown, last_placement
from kilonova.api.compute.servers.resource import server_id_of
from kilonova.api.http.call import Call, Reply
from kilonova.api.ui.files import FRESH
from kilonova.base.errors import NotFound
from kilonova.objects.messages import member_message

RULE = "kilonova:servers:why"
QUERY = frozenset({"request_id"})
NO_HOSTS, LOST, LEFT_OUT = "NoHosts", "Lost", "LeftOut"
"""Reasons that are no filter: there is no host; other servers took the room meanwhile; the database left hosts out,
which have no room or are out of service."""


class WhyShown(TypedDict):
    """Why there was no host.  `reasons`: names of filters, or the names above, each once.  `tries`: the whole record,
    for those who may see it."""

    action: str
    request_id: str
    state: str
    message: str | None
    reasons: Sequence[str]
    tries: Sequence[TryShown] | None


async def show(call: Call) -> Reply:
    """Show why the last placement of a server, or that of the request `request_id`, has found no host; null when no
    placement is recorded."""
    server_id = server_id_of(call)
    try:
        placement = await call.db.read(last_placement, server_id, call.scope, call.query.text("request_id"))
    except NotFound as exc:
        if exc.details.get("instance_id"):
            raise
        return _reply(None)
    return _reply(_shown(placement, whole=call.may(WHOLE)))


def _reply(shown: WhyShown | None) -> Reply:
    return Reply(to_json({"why": shown}), headers=FRESH)


def _shown(placement: PlacementShown, *, whole: bool) -> WhyShown:
    message = placement["message"]
    names = (host for one in placement["tries"] for host in (one["host"], *(lost["host"] for lost in one["lost"])))
    return {
        "action": placement["action"],
        "request_id": placement["request_id"],
        "state": placement["state"],
        "message": message if whole or message is None else member_message(message, names),
        "reasons": list(dict.fromkeys(reason for one in placement["tries"] for reason in _reasons(one))),
        "tries": placement["tries"] if whole else None,
    }


def _reasons(one: TryShown) -> list[str]:
    """Why this try has found no host; none when it has found one."""
    if one["host"] is not None:
        return []
    if one["hosts"] == 0:
        return [NO_HOSTS]
    found = [refused["filter"] for refused in one["refused"]]
    return [*found, *([LOST] if one["lost"] else []), *([LEFT_OUT] if one["left_out"] else [])]
