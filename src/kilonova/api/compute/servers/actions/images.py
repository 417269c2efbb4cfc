# SPDX-License-Identifier: Apache-2.0
"""createImage and createBackup: the complete record of the image is made here and stored with the action.

Source: Compute API reference, "Create Image (createImage Action)" and "Create Server Back Up (createBackup Action)".
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from kilonova.api.compute.fields import Metadata, Name, NotNegative
from kilonova.api.compute.servers.resource import find
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.views import Member, View
from kilonova.api.image.fields import refuse_reserved
from kilonova.base.errors import OverQuota
from kilonova.db.readers import quotas
from kilonova.objects.action_params import BackupRequest, SnapshotRequest
from kilonova.objects.ids import ImageId
from kilonova.objects.image import Image, ImageStatus
from kilonova.objects.instance import Instance
from kilonova.objects.quota import UNLIMITED
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import ACCEPT_ACTION, AcceptAction

_NOT_INHERITED = frozenset(
    {"cache_in_nova", "bittorrent", "img_signature", "img_signature_hash_method", "img_signature_key_type"}
    | {"img_signature_certificate_uuid"}
)
"""Properties that describe the bytes of the original image, not those of the new one."""


class NewImage(Body):
    name: Name
    metadata: Metadata = Field(default={})


class CreateImage(Body):
    wanted: NewImage = Field(alias="createImage")


class NewBackup(Body):
    name: Name
    backup_type: Annotated[str, StringConstraints(max_length=255)]
    rotation: NotNegative
    metadata: Metadata = Field(default={})


class CreateBackup(Body):
    wanted: NewBackup = Field(alias="createBackup")


IMAGE_ID = View[str, Call]("", Member("image_id", str, lambda image_id, _: image_id, since=v2(45)))


async def create_image(call: Call, body: CreateImage) -> Reply:
    """Create an image of the root disk; the server does not change."""
    instance = await find(call)
    image = await image_of_server(call, instance, body.wanted.name, body.wanted.metadata)
    await call.deps.rpc.call(
        ACCEPT_ACTION, AcceptAction(call.context, instance.id, Verb.CREATE_IMAGE, SnapshotRequest(image))
    )
    return _made(call, image)


async def create_backup(call: Call, body: CreateBackup) -> Reply:
    """Create an image as a backup, and delete the oldest backups of its type beyond `rotation`.

    With a rotation of 0 no backup stays, so the answer names none.
    """
    wanted, instance = body.wanted, await find(call)
    image = await image_of_server(call, instance, wanted.name, wanted.metadata, backup_type=wanted.backup_type)
    params = BackupRequest(image, wanted.backup_type, wanted.rotation)
    await call.deps.rpc.call(ACCEPT_ACTION, AcceptAction(call.context, instance.id, Verb.CREATE_BACKUP, params))
    return _made(call, image) if wanted.rotation else Reply()


def _made(call: Call, image: Image) -> Reply:
    if IMAGE_ID.is_in(call.version):
        return IMAGE_ID.reply(image.id, call)
    return Reply(headers=(("Location", f"{call.links.base}/image/v2/images/{image.id}"),))


async def image_of_server(
    call: Call, instance: Instance, name: str, metadata: Mapping[str, str], backup_type: str | None = None
) -> Image:
    """The record of an image that the host will make of the server's disk.  Raises OverQuota (too much metadata),
    Forbidden (a reserved name)."""
    if metadata:
        limits = await call.db.read(quotas.limits, call.deps.quotas.defaults, call.context.project_id)
        _check_count(metadata, limits["metadata_items"])
    for key in metadata:
        refuse_reserved(key)
    now, context = call.deps.clock.now(), call.context
    kind = {"image_type": "snapshot"} if backup_type is None else {"image_type": "backup", "backup_type": backup_type}
    inherited = {k: v for k, v in instance.image.properties.items() if k not in _NOT_INHERITED}
    properties = {
        **inherited,
        **kind,
        "instance_uuid": instance.id,
        "base_image_ref": instance.image.id,
        "user_id": context.user_id,
        "owner_id": context.project_id,
        "owner_user_name": context.user_name,
        "owner_project_name": context.project_name,
        "boot_roles": ",".join(context.roles),
        "image_location": "snapshot",
        "image_state": "available",
        **metadata,
    }
    return Image(
        id=ImageId(call.deps.clock.new_id()),
        name=name,
        status=ImageStatus.QUEUED,
        owner=context.project_id,
        visibility="private",
        disk_format="qcow2",
        container_format="bare",
        created_at=now,
        updated_at=now,
        min_disk=max(instance.flavor.disk_gib, instance.image.min_disk),
        min_ram=instance.image.min_ram,
        properties=properties,
    )


def _check_count(metadata: Mapping[str, str], limit: int) -> None:
    if limit != UNLIMITED and len(metadata) > limit:
        raise OverQuota(
            f"Image metadata limit exceeded: {len(metadata)} of {limit} items.", resource="metadata_items", limit=limit
        )


ROUTES: ActionRoutes = {
    "createImage": (ActionRoute(CreateImage, create_image, "os_compute_api:servers:create_image", reply=IMAGE_ID),),
    "createBackup": (ActionRoute(CreateBackup, create_backup, "os_compute_api:os-create-backup", reply=IMAGE_ID),),
}
