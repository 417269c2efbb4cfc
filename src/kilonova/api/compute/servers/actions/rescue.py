# SPDX-License-Identifier: Apache-2.0
"""rescue and unrescue."""

from typing import Any

from pydantic import Field

from kilonova.api.compute.fields import AdminPassText
from kilonova.api.compute.servers.actions.accept import accept
from kilonova.api.compute.servers.create import bootable, get_image
from kilonova.api.compute.servers.hardware import check_hardware, check_rescue
from kilonova.api.compute.servers.resource import find
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.ids import require_uuid
from kilonova.objects.action_params import RescueParams
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import ACCEPT_ACTION, AcceptAction


class Wish(Body):
    admin_pass: AdminPassText | None = Field(default=None, alias="adminPass")
    image: str | None = Field(default=None, alias="rescue_image_ref")


class Rescue(Body):
    rescue: Wish | None


class Unrescue(Body):
    nothing: Any = Field(alias="unrescue")


_IMAGE = "rescue.rescue_image_ref"


async def rescue(call: Call, body: Rescue) -> Reply:
    """To RESCUE: it boots from an image's fresh disk, its own image's when none is named, with its own disk beside.
    The password is told and, as at a create, not given to the guest."""
    wish = body.rescue or Wish()
    instance = await find(call)
    image = instance.image
    if wish.image is not None:
        image_id = require_uuid(_IMAGE, wish.image)
        image = bootable(await call.db.read(get_image, image_id, call.context, _IMAGE), _IMAGE)
    check_rescue(image.properties, _IMAGE)
    check_hardware(instance.flavor, image.properties, _IMAGE)
    await call.deps.rpc.call(ACCEPT_ACTION, AcceptAction(call.context, instance.id, Verb.RESCUE, RescueParams(image)))
    return json_reply({"adminPass": wish.admin_pass or call.deps.clock.new_secret(9)})


async def unrescue(call: Call, _body: Unrescue) -> Reply:
    """RESCUE to ACTIVE, from its own disk."""
    return await accept(call, Verb.UNRESCUE)


ROUTES: ActionRoutes = {
    "rescue": (ActionRoute(Rescue, rescue, "os_compute_api:os-rescue", success=200),),
    "unrescue": (ActionRoute(Unrescue, unrescue, "os_compute_api:os-unrescue"),),
}
