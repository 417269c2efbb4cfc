# SPDX-License-Identifier: Apache-2.0
"""Show, update and delete one server."""

from dataclasses import replace

from kilonova.api.compute.servers.models import UpdateServer
from kilonova.api.compute.servers.view import ONE_SERVER, UPDATED_SERVER, Viewer
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.ids import is_uuid
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.readers import images as read_images
from kilonova.db.readers import instances, servers
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import ImageId, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import Verb
from kilonova.rpcapi import api_to_conductor as methods


def server_id_of(call: Call) -> InstanceId:
    """The server id in the path.  Raises NotFound for text that is not an id, for example a name."""
    text = call.params["server_id"]
    if not is_uuid(text):
        raise NotFound(f"Instance {text[:255]} could not be found.")
    return InstanceId(text)


async def find(call: Call) -> Instance:
    """The server of the path, if the caller may see it.  Raises NotFound."""
    return await call.db.read(instances.get, server_id_of(call), call.scope)


def viewer_of(call: Call) -> Viewer:
    """The caller as a viewer of servers."""
    return Viewer(call.links, call.version, call.context.is_admin)


def informed(snapshot: Snapshot, viewer: Viewer, found: list[Instance]) -> Viewer:
    """The viewer with the states of the instances' hosts, if it may see them."""
    if not viewer.is_admin or viewer.version < v2(16):
        return viewer
    hosts = {instance.host for instance in found if instance.host is not None}
    return replace(viewer, hosts=servers.host_statuses(snapshot, hosts))


async def show(call: Call) -> Reply:
    """Show a server."""
    return await call.db.read(_shown, server_id_of(call), call.scope, viewer_of(call))


def _shown(snapshot: Snapshot, instance_id: InstanceId, project_id: str | None, viewer: Viewer) -> Reply:
    """Read and encoded in one thread of the database, off the event loop."""
    instance = instances.get(snapshot, instance_id, project_id)
    return ONE_SERVER.reply(instance, informed(snapshot, viewer, [instance]))


_NULLABLE = frozenset({"description"})


async def update(call: Call, body: UpdateServer) -> Reply:
    """Update a server.  An empty body changes nothing."""
    changes = body.server
    requested = {name: getattr(changes, name) for name in changes.model_fields_set}
    for name, value in requested.items():
        if value is None and name not in _NULLABLE:
            message = f"Invalid input for field/attribute server.{name}. It cannot be null."
            raise InvalidInput(message, path=f"server.{name}")
    instance = await find(call)
    if requested:
        await call.deps.rpc.call(methods.UPDATE_SERVER, methods.UpdateServer(call.context, instance.id, **requested))
    return await call.db.read(_updated, instance.id, viewer_of(call))


def _updated(snapshot: Snapshot, instance_id: InstanceId, viewer: Viewer) -> Reply:
    instance = instances.get(snapshot, instance_id)
    return UPDATED_SERVER.reply(instance, informed(snapshot, viewer, [instance]))


async def delete(call: Call) -> Reply:
    """Delete a server: 204 when the action is stored on disk."""
    instance = await find(call)
    await call.deps.rpc.call(methods.ACCEPT_ACTION, methods.AcceptAction(call.context, instance.id, Verb.DELETE))
    # The image of a shelved server is deleted with it.  The host deletes the bytes; an offloaded server has no host.
    image = instance.shelved_image
    if image is not None and not await call.db.read(_has_record, image.id):
        await call.deps.images.delete(image.id)
    return Reply()


def _has_record(snapshot: Snapshot, image_id: ImageId) -> bool:
    try:
        read_images.get_image(snapshot, image_id, "", admin=True)
    except NotFound:
        return False
    return True


ROUTES = (
    Route("GET", "/servers/{server_id}", show, "os_compute_api:servers:show", DefaultPolicy.READER, reply=ONE_SERVER),
    Route("PUT", "/servers/{server_id}", update, "os_compute_api:servers:update", DefaultPolicy.MEMBER,
        reply=UPDATED_SERVER, body=UpdateServer),
    Route("DELETE", "/servers/{server_id}", delete, "os_compute_api:servers:delete", DefaultPolicy.MEMBER, 204),
)  # fmt: skip
