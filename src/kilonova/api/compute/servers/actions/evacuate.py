# SPDX-License-Identifier: Apache-2.0
"""evacuate: build a server again on another host, because its host was given up.

The disks are local, and the lost host may still run the server: without `kilonova host forget` the request is refused.
A forced destination must pass the filters, too.

Source: Compute API reference, "Evacuate Server (evacuate Action)", with Nova's checks of the states.
"""

from typing import ClassVar

from pydantic import Field

from kilonova.api.compute.fields import AdminPassText, Boolean, HostText
from kilonova.api.compute.servers import resource as servers
from kilonova.api.compute.servers.actions.moves import named, require_state
from kilonova.api.compute.servers.actions.rescue import ADMIN_PASS
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.readers import hosts
from kilonova.db.readers.hosts import COMPUTE
from kilonova.objects.action_params import EvacuateRequest
from kilonova.objects.ids import HostName
from kilonova.objects.messages import not_given_up
from kilonova.objects.states import Verb, VmState
from kilonova.rpcapi.api_to_conductor import ACCEPT_ACTION, AcceptAction

ALLOWED = frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.ERROR})


class Evacuation(Body):
    host: HostText | None = None
    admin_pass: AdminPassText | None = Field(default=None, alias="adminPass")


class Evacuate(Body):
    request: Evacuation = Field(alias="evacuate")


class OldEvacuation(Evacuation):
    on_shared_storage: Boolean = Field(alias="onSharedStorage")


class OldEvacuate(Body):
    request: OldEvacuation = Field(alias="evacuate")


class ForcedEvacuation(Evacuation):
    since: ClassVar = {"force": v2(29)}

    force: Boolean = False


class EvacuateByForce(Body):
    request: ForcedEvacuation = Field(alias="evacuate")


async def evacuate_with_password(call: Call, body: OldEvacuate) -> Reply:
    """Evacuate a server.  The password is in the answer only: the guest does not receive it."""
    if body.request.on_shared_storage:
        raise InvalidInput("Disks are not on shared storage here.", path="evacuate.onSharedStorage")
    await _evacuate(call, body.request)
    return ADMIN_PASS.reply(body.request.admin_pass or call.deps.clock.new_secret(9), call)


async def evacuate(call: Call, body: Evacuate | EvacuateByForce) -> Reply:
    """Evacuate a server: build it again from its image on another host, because its host was given up."""
    request = body.request
    if isinstance(request, ForcedEvacuation) and request.force and not request.host:
        raise InvalidInput("Can't force to a non-provided destination", path="evacuate.force")
    await _evacuate(call, request)
    return Reply()


async def _evacuate(call: Call, request: Evacuation) -> None:
    instance = await servers.find(call)
    services = await call.db.read(hosts.list_services, binary=COMPUTE)
    if request.host is not None and named(services, request.host) is None:
        raise NotFound(f"Compute host {request.host} not found.")
    if request.host is not None and request.host == instance.host:
        raise InvalidInput("The target host can't be the same one.", path="evacuate.host")
    require_state(instance, "evacuate", ALLOWED)
    source = named(services, instance.host)
    if source is not None and source.up and not source.forced_down:
        raise InvalidInput(f"Compute service of {source.host} is still in use.", path="evacuate")
    if instance.host is not None:
        raise InvalidInput(not_given_up(instance.id, instance.host), path="evacuate")
    wanted = None if request.host is None else HostName(request.host)
    await call.deps.rpc.call(
        ACCEPT_ACTION, AcceptAction(call.context, instance.id, Verb.EVACUATE, EvacuateRequest(wanted))
    )


_P = "os_compute_api:os-evacuate"
ROUTES: ActionRoutes = {
    "evacuate": (
        ActionRoute(
            OldEvacuate, evacuate_with_password, _P, DefaultPolicy.ADMIN, success=200, reply=ADMIN_PASS, max=v2(13)
        ),
        ActionRoute(EvacuateByForce, evacuate, _P, DefaultPolicy.ADMIN, success=200, min=v2(14), max=v2(67)),
        ActionRoute(Evacuate, evacuate, _P, DefaultPolicy.ADMIN, success=200, min=v2(68)),
    ),
}
