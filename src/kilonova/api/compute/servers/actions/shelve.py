# SPDX-License-Identifier: Apache-2.0
"""shelve, shelveOffload and unshelve.

Source: Compute API reference, "Shelve Server", "Shelf-Offload (Remove) Server", "Unshelve (Restore) Shelved Server".
"""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from kilonova.api.compute.servers.actions.accept import accept
from kilonova.api.compute.servers.actions.images import image_of_server
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


class Shelve(Body):
    nothing: Any = Field(alias="shelve")


class ShelveOffload(Body):
    nothing: Any = Field(alias="shelveOffload")


class PlainUnshelve(Body):
    nothing: Any = Field(alias="unshelve")


class Where(Body):
    availability_zone: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Unshelve(Body):
    where: Where | None = Field(alias="unshelve")


async def shelve(call: Call, _body: Shelve) -> Reply:
    """The guest is shut down and becomes an image; then it leaves its host, when the host's cloud says so."""
    instance = await find(call)
    image = await image_of_server(call, instance, f"{instance.name}-shelved"[:255], {})
    await call.deps.rpc.call(
        ACCEPT_ACTION, AcceptAction(call.context, instance.id, Verb.SHELVE, SnapshotRequest(image))
    )
    return Reply()


async def shelve_offload(call: Call, _body: ShelveOffload) -> Reply:
    """Now."""
    return await accept(call, Verb.SHELVE_OFFLOAD)


async def unshelve(call: Call, body: Unshelve | PlainUnshelve) -> Reply:
    """It runs again: where it is, or, once it has left its host, wherever there is room."""
    if not isinstance(body, Unshelve) or body.where is None:
        return await accept(call, Verb.UNSHELVE, UnshelveRequest())
    zone = body.where.availability_zone
    if zone not in await call.db.read(hosts.zones):
        raise InvalidInput(f"The requested availability zone {zone} is not available.", path="unshelve")
    return await accept(call, Verb.UNSHELVE, UnshelveRequest(zone))


ROUTES: ActionRoutes = {
    "shelve": (ActionRoute(Shelve, shelve, "os_compute_api:os-shelve:shelve"),),
    "shelveOffload": (
        ActionRoute(ShelveOffload, shelve_offload, "os_compute_api:os-shelve:shelve_offload", DefaultPolicy.ADMIN),
    ),
    "unshelve": (
        ActionRoute(PlainUnshelve, unshelve, "os_compute_api:os-shelve:unshelve", max=v2(76)),
        ActionRoute(Unshelve, unshelve, "os_compute_api:os-shelve:unshelve", min=WITH_ZONE),
    ),
}
