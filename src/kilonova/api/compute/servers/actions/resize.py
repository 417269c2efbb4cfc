# SPDX-License-Identifier: Apache-2.0
"""resize, confirmResize, revertResize."""

from typing import Any

from pydantic import Field

from kilonova.api.compute.catalog import flavors
from kilonova.api.compute.fields import DiskConfig, IdText
from kilonova.api.compute.servers.actions.accept import accept
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


class ConfirmResize(Body):
    nothing: Any = Field(alias="confirmResize")


class RevertResize(Body):
    nothing: Any = Field(alias="revertResize")


async def resize(call: Call, body: Resize) -> Reply:
    """ACTIVE or SHUTOFF to VERIFY_RESIZE, on the same host.  400 at once when that has no room: then nothing has
    happened to the server."""
    instance = await find(call)  # what is another's is not there, whatever the flavor
    flavor_id = FlavorId(body.resize.flavor)
    flavor = await call.db.read(flavors.for_server, flavor_id, call.context, "resize.flavorRef")
    check_hardware(flavor, instance.image.properties, "resize.flavorRef")
    return await accept(call, Verb.RESIZE, ResizeParams(flavor_id, body.resize.disk_config))


async def confirm(call: Call, _body: ConfirmResize) -> Reply:
    """The new size stays; what was kept for the way back goes."""
    return await accept(call, Verb.CONFIRM_RESIZE)


async def revert(call: Call, _body: RevertResize) -> Reply:
    """The old size and the old disk are back, with what was on it before the resize."""
    return await accept(call, Verb.REVERT_RESIZE)


ROUTES: ActionRoutes = {
    "resize": (ActionRoute(Resize, resize, "os_compute_api:servers:resize"),),
    "confirmResize": (ActionRoute(ConfirmResize, confirm, "os_compute_api:servers:confirm_resize", success=204),),
    "revertResize": (ActionRoute(RevertResize, revert, "os_compute_api:servers:revert_resize"),),
}
