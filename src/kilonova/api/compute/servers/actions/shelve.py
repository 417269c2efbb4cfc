# SPDX-License-Identifier: Apache-2.0
"""shelve, shelveOffload and unshelve.

Source: Compute API reference, "Shelve Server", "Shelf-Offload (Remove) Server", "Unshelve (Restore) Shelved Server".
"""

from typing import Annotated

from pydantic import Field, StringConstraints

from kilonova.api.compute.servers.actions.accept import accept
from kilonova.api.compute.servers.actions.images import image_of_server
from kilonova.api.compute.servers.actions.simple import empty_body, simple
from kilonova.api.compute.servers.resource import find
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy
from kilonova.base.errors import InvalidInput
from kilonova.db.readers import hosts
from kilonova.objects.action_params import SnapshotRequest, UnshelveRequest
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import ACCEPT_ACTION, AcceptAction

WITH_ZONE = v2(77)


class Where(Body):
    availability_zone: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Unshelve(Body):
    where: Where | None = Field(alias="unshelve")


async def shelve(call: Call, _body: Body) -> Reply:
    """Shelve a server: shut it down and make an image of it; it leaves its host after the configured time."""
    instance = await find(call)
    image = await image_of_server(call, instance, f"{instance.name}-shelved"[:255], {})
    await call.deps.rpc.call(
        ACCEPT_ACTION, AcceptAction(call.context, instance.id, Verb.SHELVE, SnapshotRequest(image))
    )
    return Reply()


async def unshelve(call: Call, body: Body) -> Reply:
    """Unshelve a server: on its host, or on any host with resources if it is offloaded."""
    if not isinstance(body, Unshelve) or body.where is None:
        return await accept(call, Verb.UNSHELVE, UnshelveRequest())
    zone = body.where.availability_zone
    if zone not in await call.db.read(hosts.zones):
        raise InvalidInput(f"The requested availability zone {zone} is not available.", path="unshelve")
    return await accept(call, Verb.UNSHELVE, UnshelveRequest(zone))


ROUTES: ActionRoutes = {
    "shelve": (ActionRoute(empty_body("shelve"), shelve, "os_compute_api:os-shelve:shelve"),),
    **simple(
        "shelveOffload",
        Verb.SHELVE_OFFLOAD,
        "os_compute_api:os-shelve:shelve_offload",
        "Remove a shelved server from its host.",
        DefaultPolicy.ADMIN,
    ),
    "unshelve": (
        ActionRoute(empty_body("unshelve", "PlainUnshelve"), unshelve, "os_compute_api:os-shelve:unshelve", max=v2(76)),
        ActionRoute(Unshelve, unshelve, "os_compute_api:os-shelve:unshelve", min=WITH_ZONE),
    ),
}
