# SPDX-License-Identifier: Apache-2.0
"""forceDelete and restore.  A delete is never deferred here, so nothing can be restored.

Source: Compute API reference, "Force-Delete Server" and "Restore Soft-Deleted Instance".
"""

from kilonova.api.compute.servers import resource as servers
from kilonova.api.compute.servers.actions.simple import empty_body
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.base.errors import InvalidState


async def force_delete(call: Call, _body: Body) -> Reply:
    """Delete a server, as DELETE does."""
    return await servers.delete(call)


async def restore(call: Call, _body: Body) -> Reply:
    """Restore a soft-deleted server: always 409, because none is."""
    instance = await servers.find(call)
    raise InvalidState(
        f"Cannot 'restore' instance {instance.id} while it is in vm_state {instance.vm_state}",
        vm_state=instance.vm_state,
    )


ROUTES: ActionRoutes = {
    "forceDelete": (ActionRoute(empty_body("forceDelete"), force_delete, "os_compute_api:os-deferred-delete:force"),),
    "restore": (ActionRoute(empty_body("restore"), restore, "os_compute_api:os-deferred-delete:restore"),),
}
