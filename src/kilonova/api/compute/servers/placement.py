# SPDX-License-Identifier: Apache-2.0
"""Why a server is on its host, or on none: GET /kilonova/servers/{id}/placement.

The route is not one of Nova's.  It shows what the scheduler recorded when it placed the server last.
"""

from collections.abc import Sequence

from typing_extensions import TypedDict

from kilonova.api.compute.servers.resource import server_id_of
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import micros
from kilonova.api.http.views import Member, View
from kilonova.base.errors import NotFound
from kilonova.db.readers import actions, instances, placements
from kilonova.db.transaction import Snapshot
from kilonova.objects.action import Action
from kilonova.objects.ids import InstanceId
from kilonova.objects.leg import Leg, LegState
from kilonova.objects.placement import PlacementRecord
from kilonova.objects.states import VERBS

RULE = "kilonova:servers:placement"


class RefusedHostsShown(TypedDict):
    """How many hosts a filter refused, the names of some, and the most frequent reason."""

    filter: str
    count: int
    hosts: Sequence[str]
    reason: str


class WeighedHostShown(TypedDict):
    """A host that passed the filters, and its weight."""

    host: str
    weight: float


class LostHostShown(TypedDict):
    """A host that was chosen and could not take the server after all."""

    host: str
    reason: str


class TryShown(TypedDict):
    """One choice of a host.  `host` null: there was none.  `failure`: why the build failed there.  `left_out`: how many
    of the hosts the database left out, because others are better or they cannot take it."""

    at: str | None
    hosts: int
    left_out: int
    candidates: int
    host: str | None
    refused: Sequence[RefusedHostsShown]
    weighed: Sequence[WeighedHostShown]
    lost: Sequence[LostHostShown]
    failure: str | None


class PlacementShown(TypedDict):
    """The last placement of a server.  `message`: how its action ended, or what it waits for."""

    server_id: str
    action: str
    request_id: str
    state: str
    started_at: str | None
    message: str | None
    tries: Sequence[TryShown]


PLACEMENT = View[PlacementShown, Call]("", Member("placement", PlacementShown, lambda shown, _: shown))


async def show(call: Call) -> Reply:
    """Show why a server is on its host, or on none."""
    return PLACEMENT.reply(await call.db.read(last_placement, server_id_of(call), call.scope), call)


def last_placement(
    snapshot: Snapshot, instance_id: InstanceId, project_id: str | None, request_id: str | None = None
) -> PlacementShown:
    """The last placement of a server; with `request_id` that of this request.  `project_id` None: of any project.
    Raises NotFound; its details have `instance_id` when there is no such server."""
    instances.get_known(snapshot, instance_id, project_id)
    placed = (one for one in actions.of_instance(snapshot, instance_id) if VERBS[one.verb].needs_placement)
    for action in placed:
        if request_id not in (None, action.request_id):
            continue
        records = placements.of_action(snapshot, action.id)
        if records or actions.is_open(action):
            return _shown(action, [_try(record, action.legs[leg]) for leg, record in records.items()])
    raise NotFound(f"No placement of server {instance_id} is recorded: it was placed by an earlier version.")


def _shown(action: Action, tries: Sequence[TryShown]) -> PlacementShown:
    return {
        "server_id": action.instance_id,
        "action": action.verb,
        "request_id": action.request_id,
        "state": action.state,
        "started_at": micros(action.started_at),
        "message": action.message,
        "tries": tries,
    }


def _try(record: PlacementRecord, leg: Leg) -> TryShown:
    failed = leg.state is LegState.FAILED and leg.host is not None
    return {
        "at": micros(record.at),
        "hosts": record.hosts,
        "left_out": record.left_out,
        "candidates": record.candidates,
        "host": record.chosen,
        "refused": [
            {"filter": one.filter, "count": one.count, "hosts": list(one.hosts), "reason": one.reason}
            for one in record.refused
        ],
        "weighed": [{"host": one.host, "weight": one.weight} for one in record.weighed],
        "lost": [{"host": one.host, "reason": one.reason} for one in record.lost],
        "failure": leg.message if failed else None,
    }


ROUTES = (
    Route("GET", "/kilonova/servers/{server_id}/placement", show, RULE,
        DefaultPolicy.ADMIN, reply=PLACEMENT),
)  # fmt: skip
