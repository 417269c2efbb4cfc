# SPDX-License-Identifier: Apache-2.0
"""resize, confirmResize, revertResize."""

from pydantic import Field

from kilonova.api.compute.fields import DiskConfig, IdText
from kilonova.api.compute.flavor_lookup import flavor_for_server
from kilonova.api.compute.servers.actions.accept import accept
from kilonova.api.compute.servers.actions.simple import simple
from kilonova.api.compute.servers.hardware import check_hardware
from kilonova.api.compute.servers.resource import find
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.objects.action_params import ResizeParams
from kilonova.objects.ids import FlavorId
from kilonova.objects.states import Verb


class NewSize(Body):
    flavor: IdText = Field(alias="flavorRef")
    disk_config: DiskConfig | None = Field(default=None, alias="OS-DCF:diskConfig")


class Resize(Body):
    resize: NewSize


async def resize(call: Call, body: Resize) -> Reply:
    """Resize a server on its host: ACTIVE or SHUTOFF to VERIFY_RESIZE.

    400 if the host has not enough resources; the server is then unchanged.
    """
    instance = await find(call)  # a server of another project is 404, whatever the flavor
    flavor_id = FlavorId(body.resize.flavor)
    flavor = await call.db.read(flavor_for_server, flavor_id, call.context, "resize.flavorRef")
    check_hardware(flavor, instance.image.properties, "resize.flavorRef")
    return await accept(call, Verb.RESIZE, ResizeParams(flavor_id, body.resize.disk_config))


ROUTES: ActionRoutes = {
    "resize": (ActionRoute(Resize, resize, "os_compute_api:servers:resize"),),
    **simple(
        "confirmResize",
        Verb.CONFIRM_RESIZE,
        "os_compute_api:servers:confirm_resize",
        "Keep the new size and delete what a revert would need.",
        success=204,
    ),
    **simple(
        "revertResize",
        Verb.REVERT_RESIZE,
        "os_compute_api:servers:revert_resize",
        "Restore the old size and the old disk as it was before the resize.",
    ),
}
