# SPDX-License-Identifier: Apache-2.0
"""rescue and unrescue."""

from pydantic import Field

from kilonova.api.compute.fields import AdminPassText
from kilonova.api.compute.image_fitness import bootable, get_image
from kilonova.api.compute.servers.actions.simple import simple
from kilonova.api.compute.servers.hardware import check_hardware, check_rescue
from kilonova.api.compute.servers.resource import find
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.ids import require_uuid
from kilonova.api.http.views import Member, View
from kilonova.objects.action_params import RescueParams
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import ACCEPT_ACTION, AcceptAction


class RescueRequest(Body):
    admin_pass: AdminPassText | None = Field(default=None, alias="adminPass")
    image: str | None = Field(default=None, alias="rescue_image_ref")


class Rescue(Body):
    rescue: RescueRequest | None


ADMIN_PASS = View[str, Call]("", Member("adminPass", str, lambda password, _: password))
_IMAGE = "rescue.rescue_image_ref"


async def rescue(call: Call, body: Rescue) -> Reply:
    """Boot the server from a fresh disk of an image, with its own disk attached as well: to RESCUE.

    Without an image in the request, the server's own image is used.  The password is in the answer only; as in a
    create, the guest does not receive it.
    """
    request = body.rescue or RescueRequest()
    instance = await find(call)
    image = instance.image
    if request.image is not None:
        image_id = require_uuid(_IMAGE, request.image)
        image = bootable(await call.db.read(get_image, image_id, call.context, _IMAGE), _IMAGE)
    check_rescue(image.properties, _IMAGE)
    check_hardware(instance.flavor, image.properties, _IMAGE)
    await call.deps.rpc.call(ACCEPT_ACTION, AcceptAction(call.context, instance.id, Verb.RESCUE, RescueParams(image)))
    return ADMIN_PASS.reply(request.admin_pass or call.deps.clock.new_secret(9), call)


ROUTES: ActionRoutes = {
    "rescue": (ActionRoute(Rescue, rescue, "os_compute_api:os-rescue", success=200, reply=ADMIN_PASS),),
    **simple("unrescue", Verb.UNRESCUE, "os_compute_api:os-unrescue", "RESCUE to ACTIVE, from its own disk."),
}
