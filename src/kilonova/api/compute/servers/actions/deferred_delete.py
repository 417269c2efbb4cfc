# SPDX-License-Identifier: Apache-2.0
"""forceDelete and restore.  A delete is never put off here, so there is nothing that could be restored.

Source: Compute API reference, "Force-Delete Server" and "Restore Soft-Deleted Instance".
"""

from typing import Any

from pydantic import Field

from kilonova.api.compute.servers import resource as servers
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.base.errors import InvalidState


class ForceDelete(Body):
    nothing: Any = Field(alias="forceDelete")


class Restore(Body):
    nothing: Any = Field(alias="restore")


async def force_delete(call: Call, _body: ForceDelete) -> Reply:
    """As DELETE."""
    return await servers.delete(call)


async def restore(call: Call, _body: Restore) -> Reply:
    """409: it is not soft-deleted."""
    instance = await servers.find(call)
    raise InvalidState(
        f"Cannot 'restore' instance {instance.id} while it is in vm_state {instance.vm_state}",
        vm_state=instance.vm_state,
    )


ROUTES: ActionRoutes = {
    "forceDelete": (ActionRoute(ForceDelete, force_delete, "os_compute_api:os-deferred-delete:force"),),
    "restore": (ActionRoute(Restore, restore, "os_compute_api:os-deferred-delete:restore"),),
}
