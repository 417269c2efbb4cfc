# SPDX-License-Identifier: Apache-2.0
"""rebuild: another image on the same server.

Source: Compute API reference, "Rebuild Server (rebuild Action)".
"""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from kilonova.api.compute.fields import (
    AdminPassText,
    Boolean,
    Description,
    HostnameText,
    IPv4Text,
    IPv6Text,
    Metadata,
    Name,
)
from kilonova.api.compute.image_fitness import bootable, check_sizes, get_image, missing_is_invalid
from kilonova.api.compute.servers.create import check_user_data
from kilonova.api.compute.servers.hardware import check_hardware
from kilonova.api.compute.servers.models import USER_DATA_CHARACTERS
from kilonova.api.compute.servers.personality import PersonalityFile, files_of
from kilonova.api.compute.servers.resource import find, informed, viewer_of
from kilonova.api.compute.servers.view import REBUILT_SERVER, Viewer
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.ids import require_uuid
from kilonova.api.http.microversion import v2
from kilonova.base.context import RequestContext
from kilonova.base.errors import InvalidInput
from kilonova.db.readers import instances
from kilonova.db.readers import keypairs as read_keypairs
from kilonova.db.transaction import Snapshot
from kilonova.objects.action_params import RebuildChanges, RebuildParams
from kilonova.objects.ids import InstanceId
from kilonova.objects.image import ImageRef
from kilonova.objects.instance import Instance
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import ACCEPT_ACTION, AcceptAction


class RebuildRequest(Body):
    """A member that is not given leaves the value unchanged."""

    since: ClassVar = {
        "description": v2(19),
        "key_name": v2(54),
        "user_data": v2(57),
        "certificates": v2(63),
        "hostname": v2(90),
    }
    until: ClassVar = {"personality": v2(56)}

    image: str = Field(alias="imageRef")
    name: Name | None = None
    metadata: Metadata | None = None
    personality: list[PersonalityFile] = Field(default=[])
    description: Description | None = None
    key_name: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    user_data: Annotated[str, StringConstraints(max_length=USER_DATA_CHARACTERS)] | None = None
    hostname: HostnameText | None = None
    preserve_ephemeral: Boolean = False
    admin_pass: AdminPassText | None = Field(default=None, alias="adminPass")
    access_ip_v4: IPv4Text | None = Field(default=None, alias="accessIPv4")
    access_ip_v6: IPv6Text | None = Field(default=None, alias="accessIPv6")
    disk_config: Literal["AUTO", "MANUAL"] | None = Field(default=None, alias="OS-DCF:diskConfig")
    certificates: None = Field(default=None, alias="trusted_image_certificates")


class Rebuild(Body):
    request: RebuildRequest = Field(alias="rebuild")


NULLABLE = frozenset({"description", "user_data"})
"""Members that null removes.  For the others null is refused; for a key it has its own meaning."""
KEPT = NULLABLE | {"name", "metadata", "hostname", "access_ip_v4", "access_ip_v6", "disk_config"}


async def rebuild(call: Call, body: Rebuild) -> Reply:
    """Rebuild a server: a new disk from the image; id, addresses and flavor stay.  202 with the server after it."""
    request = body.request
    _check(request)
    instance = await find(call)
    files = await files_of(call, request.personality, "rebuild.personality")
    image, changes = await call.db.read(_parts, request, instance, call.context)
    if "personality" in request.model_fields_set:
        changes = replace(changes, files=files)
    await call.deps.rpc.call(
        ACCEPT_ACTION, AcceptAction(call.context, instance.id, Verb.REBUILD, RebuildParams(image, changes))
    )
    viewer = replace(viewer_of(call), admin_pass=request.admin_pass or call.deps.clock.new_secret(9))
    return await call.db.read(_shown, instance.id, viewer, call.links.to(f"/servers/{instance.id}"))


def _check(request: RebuildRequest) -> None:
    require_uuid("rebuild.imageRef", request.image)
    for name in KEPT - NULLABLE:
        if name in request.model_fields_set and getattr(request, name) is None:
            raise InvalidInput(f"Invalid input for field/attribute rebuild.{name}. It cannot be null.", path=name)
    if request.preserve_ephemeral:
        raise InvalidInput("An ephemeral disk cannot be preserved here.", path="rebuild.preserve_ephemeral")
    if request.user_data is not None:
        check_user_data(request.user_data, "rebuild.user_data")


def _parts(
    snapshot: Snapshot, request: RebuildRequest, instance: Instance, context: RequestContext
) -> tuple[ImageRef, RebuildChanges]:
    image = get_image(snapshot, request.image, context, "rebuild.imageRef")
    ref = bootable(image, "rebuild.imageRef")
    check_sizes(instance.flavor, image, ref, "rebuild.imageRef")
    check_hardware(instance.flavor, ref.properties, "rebuild.imageRef")
    changes = replace(RebuildChanges(), **{name: getattr(request, name) for name in KEPT & request.model_fields_set})
    if "key_name" in request.model_fields_set:
        changes = replace(changes, **_key(snapshot, request, instance))
    return ref, changes


def _key(snapshot: Snapshot, request: RebuildRequest, instance: Instance) -> dict[str, str | None]:
    """A key of the server's user, not of the caller; null removes it."""
    if request.key_name is None:
        return {"key_name": None, "key_data": None}
    with missing_is_invalid("rebuild.key_name"):
        found = read_keypairs.get_keypair(snapshot, instance.user_id, request.key_name)
    return {"key_name": found.name, "key_data": found.public_key}


def _shown(snapshot: Snapshot, instance_id: InstanceId, viewer: Viewer, location: str) -> Reply:
    instance = instances.get(snapshot, instance_id)
    return REBUILT_SERVER.reply(instance, informed(snapshot, viewer, [instance]), headers=(("Location", location),))


ROUTES: ActionRoutes = {
    "rebuild": (ActionRoute(Rebuild, rebuild, "os_compute_api:servers:rebuild", reply=REBUILT_SERVER),),
}
