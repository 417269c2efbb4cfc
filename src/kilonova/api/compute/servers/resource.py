# SPDX-License-Identifier: Apache-2.0
"""Showing, renaming and deleting one server."""

from dataclasses import replace

from pydantic_core import to_json

from kilonova.api.compute.servers import view as server_view
from kilonova.api.compute.servers.models import UpdateServer
from kilonova.api.compute.servers.view import Viewer
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
from kilonova.rpcapi import api_to_conductor as rows


def server_id_of(call: Call) -> InstanceId:
    """The path's server id; a name or anything else that is no id is 404 without a look."""
    text = call.params["server_id"]
    if not is_uuid(text):
        raise NotFound(f"Instance {text[:255]} could not be found.")
    return InstanceId(text)


async def find(call: Call) -> Instance:
    """The server of the path, if the caller may see it.  Raises NotFound."""
    return await call.db.read(instances.get, server_id_of(call), call.scope)


def viewer_of(call: Call) -> Viewer:
    """How this caller sees servers."""
    return Viewer(call.links, call.version, call.context.is_admin)


def informed(snapshot: Snapshot, viewer: Viewer, found: list[Instance]) -> Viewer:
    """The viewer with what it may see of these instances' hosts."""
    if not viewer.admin or viewer.version < v2(16):
        return viewer
    hosts = {instance.host for instance in found if instance.host is not None}
    return replace(viewer, hosts=servers.host_statuses(snapshot, hosts))


async def show(call: Call) -> Reply:
    """GET /servers/{id}; read and encoded in one hop off the loop."""
    return Reply(await call.db.read(_shown, server_id_of(call), call.scope, viewer_of(call)))


def _shown(snapshot: Snapshot, instance_id: InstanceId, project_id: str | None, viewer: Viewer) -> bytes:
    instance = instances.get(snapshot, instance_id, project_id)
    return to_json({"server": server_view.single(instance, informed(snapshot, viewer, [instance]))})


_NULLABLE = frozenset({"description"})


async def update(call: Call, body: UpdateServer) -> Reply:
    """PUT /servers/{id}: names and what else is written down of a server.  One that names nothing is a look."""
    changes = body.server
    asked = {name: getattr(changes, name) for name in changes.model_fields_set}
    for name, value in asked.items():
        if value is None and name not in _NULLABLE:
            said = f"Invalid input for field/attribute server.{name}. It cannot be null."
            raise InvalidInput(said, path=f"server.{name}")
    instance = await find(call)
    if asked:
        await call.deps.rpc.call(rows.UPDATE_SERVER, rows.UpdateServer(call.context, instance.id, **asked))
    return Reply(await call.db.read(_updated, instance.id, viewer_of(call)))


def _updated(snapshot: Snapshot, instance_id: InstanceId, viewer: Viewer) -> bytes:
    instance = instances.get(snapshot, instance_id)
    view = server_view.single if viewer.version >= v2(75) else server_view.short
    return to_json({"server": view(instance, informed(snapshot, viewer, [instance]))})


async def delete(call: Call) -> Reply:
    """DELETE /servers/{id}: 204 once it is on disk that it will go."""
    instance = await find(call)
    await call.deps.rpc.call(rows.ACCEPT_ACTION, rows.AcceptAction(call.context, instance.id, Verb.DELETE))
    # The image of a shelved server goes with it.  Its bytes are the host's part; this one may have left it.
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
    Route("GET", "/servers/{server_id}", show, "os_compute_api:servers:show", DefaultPolicy.READER, note="{server}"),
    Route("PUT", "/servers/{server_id}", update, "os_compute_api:servers:update", DefaultPolicy.MEMBER,
        note="{server}; the short form below 2.75", body=UpdateServer),
    Route("DELETE", "/servers/{server_id}", delete, "os_compute_api:servers:delete", DefaultPolicy.MEMBER, 204),
)  # fmt: skip
