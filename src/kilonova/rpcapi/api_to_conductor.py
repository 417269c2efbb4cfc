# SPDX-License-Identifier: Apache-2.0
"""What the API asks of the conductor: every write."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kilonova.base.context import RequestContext
from kilonova.base.unset import UNSET, OrUnset
from kilonova.objects.flavor import Flavor
from kilonova.objects.idempotency import Idempotent
from kilonova.objects.ids import FlavorId, HostName, ImageId, InstanceId, ServerGroupId
from kilonova.objects.image import Image, ImageMember, ImageRef
from kilonova.objects.instance import InjectedFile, Instance
from kilonova.objects.keypair import Keypair
from kilonova.objects.server_group import ServerGroup
from kilonova.objects.states import Verb
from kilonova.rpcapi.method import Ack, Caller, Method

SUBJECT = "conductor.api"

NETWORKS = "networks"
"""The parameter of a create action that holds their names, with commas."""
FIXED_IPS = "fixed_ips"
"""The parameter of a create action that holds an address for each of those, or nothing, with commas."""
HOST = "host"
"""The parameter of a create action that names the only host that will do."""
SAME_HOST, DIFFERENT_HOST = "same_host", "different_host"
"""The parameters of a create action that hold ids of servers, with commas: one of their hosts will do, or none."""
AVAILABILITY_ZONE = "availability_zone"
"""The parameter of an unshelving that says where to; without it, where it was."""

FLAVOR, DISK_CONFIG = "flavor", "disk_config"
"""Parameters of a resize: the new flavor's id, and the new OS-DCF:diskConfig if one was given."""
KEPT_DISK = "kept_disk"
"""The parameter of a revertResize: under what the resize has kept the old root disk."""


@dataclass(frozen=True, slots=True)
class CreateServers:
    """Whole records, made by the API with fresh ids; one `create` action each, under the context's request id.
    `networks` by name, in the order of their NICs; none means the first of the host that is chosen.  `fixed_ips`: for
    each of them the address, empty where any will do.  `host`: the only
    one that will do, by an administrator's word; so are the hosts of the servers of `same_host`, and those of
    `different_host` will not.  `least`: where the quota does not permit all of them, so many of the
    first ones will do; None means all or none.  `idempotent`: the key that the client gave, with the answer that is
    given again to whoever gives it again."""

    context: RequestContext
    instances: tuple[Instance, ...]
    networks: tuple[str, ...] = ()
    fixed_ips: tuple[str, ...] = ()
    host: HostName | None = None
    same_host: tuple[InstanceId, ...] = ()
    different_host: tuple[InstanceId, ...] = ()
    least: int | None = None
    idempotent: Idempotent | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """`answer`: what the first request under the same key was answered; then nothing was recorded now."""

    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """The fields of a server that a rebuild replaces.  Unset fields do not change."""

    name: OrUnset[str] = UNSET
    hostname: OrUnset[str] = UNSET
    description: OrUnset[str | None] = UNSET
    metadata: OrUnset[Mapping[str, str]] = UNSET
    key_name: OrUnset[str | None] = UNSET
    key_data: OrUnset[str | None] = UNSET
    user_data: OrUnset[str | None] = UNSET
    files: OrUnset[tuple[InjectedFile, ...]] = UNSET
    disk_config: OrUnset[str] = UNSET
    access_ip_v4: OrUnset[str | None] = UNSET
    access_ip_v6: OrUnset[str | None] = UNSET


@dataclass(frozen=True, slots=True)
class AcceptAction:
    """`image` is what a rescue boots, or a rebuild makes the disk of; `new_image` the record of the image that the
    action makes, recorded with it."""

    context: RequestContext
    instance_id: InstanceId
    verb: Verb
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    image: ImageRef | None = None
    changes: Changes = Changes()
    new_image: Image | None = None


@dataclass(frozen=True, slots=True)
class UpdateServer:
    """Unset fields do not change."""

    context: RequestContext
    instance_id: InstanceId
    name: OrUnset[str] = UNSET
    description: OrUnset[str | None] = UNSET
    hostname: OrUnset[str] = UNSET
    disk_config: OrUnset[str] = UNSET
    access_ip_v4: OrUnset[str] = UNSET
    access_ip_v6: OrUnset[str] = UNSET


@dataclass(frozen=True, slots=True)
class EditMetadata:
    """`put` is merged into what is there, after `remove` was taken away; with `replace` nothing of it stays."""

    context: RequestContext
    instance_id: InstanceId
    put: Mapping[str, str] = field(default_factory=dict[str, str])
    remove: tuple[str, ...] = ()
    replace: bool = False


@dataclass(frozen=True, slots=True)
class EditTags:
    """As EditMetadata, of tags; at most `limit` of them."""

    instance_id: InstanceId
    limit: int
    put: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    replace: bool = False


@dataclass(frozen=True, slots=True)
class SetQuotas:
    """Limits of a project by resource; for those that are `forgotten` the default holds again, others stay as they are.
    Without `force` none may be below what is used."""

    project_id: str
    limits: Mapping[str, int]
    force: bool = False
    forgotten: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteQuotas:
    project_id: str


@dataclass(frozen=True, slots=True)
class PutServerGroup:
    group: ServerGroup


@dataclass(frozen=True, slots=True)
class DeleteServerGroup:
    group_id: ServerGroupId


@dataclass(frozen=True, slots=True)
class PutFlavor:
    flavor: Flavor


@dataclass(frozen=True, slots=True)
class DeleteFlavor:
    flavor_id: FlavorId


@dataclass(frozen=True, slots=True)
class PutKeypair:
    """`project_id` is the one that asks, whose quota says how many a user may have."""

    keypair: Keypair
    project_id: str


@dataclass(frozen=True, slots=True)
class DeleteKeypair:
    user_id: str
    name: str


@dataclass(frozen=True, slots=True)
class PutImage:
    """The whole record; with `expected` a compare-and-set on what the caller has read."""

    image: Image
    expected: Image | None = None


@dataclass(frozen=True, slots=True)
class DeleteImage:
    image_id: ImageId


@dataclass(frozen=True, slots=True)
class PutImageMember:
    """`new`: Conflict if there is one already; otherwise NotFound if there is none.  `most`: of an image."""

    member: ImageMember
    new: bool
    most: int


@dataclass(frozen=True, slots=True)
class DeleteImageMember:
    image_id: ImageId
    project_id: str


@dataclass(frozen=True, slots=True)
class UpdateService:
    """What an administrator sets on a service.  Unset fields do not change; with `disabled`, `disabled_reason`
    replaces the old reason, also when it is None."""

    service_id: str
    disabled: OrUnset[bool] = UNSET
    disabled_reason: str | None = None
    forced_down: OrUnset[bool] = UNSET


CREATE_SERVERS = Method(
    "create_servers",
    CreateServers,
    Created,
    "Record servers and their create actions, on disk, all that may be or none.",
)
ACCEPT_ACTION = Method("accept_action", AcceptAction, Ack, "Record an action on a server, on disk, or refuse it.")
UPDATE_SERVER = Method(
    "update_server", UpdateServer, Ack, "Change what a server is called, and what is written down of it."
)
EDIT_METADATA = Method("edit_metadata", EditMetadata, Ack, "Change a server's metadata; OverQuota beyond its limit.")
EDIT_TAGS = Method("edit_tags", EditTags, Ack, "Change a server's tags; InvalidInput beyond the limit.")
SET_QUOTAS = Method("set_quotas", SetQuotas, Ack, "Limit what a project may use; InvalidInput below its usage.")
DELETE_QUOTAS = Method("delete_quotas", DeleteQuotas, Ack, "Give a project back to the default limits.")
CREATE_SERVER_GROUP = Method("create_server_group", PutServerGroup, Ack, "Record a server group; OverQuota beyond.")
DELETE_SERVER_GROUP = Method("delete_server_group", DeleteServerGroup, Ack, "Forget a group; its servers stay.")
CREATE_FLAVOR = Method("create_flavor", PutFlavor, Ack, "Record a flavor; Conflict if its id or name is taken.")
DELETE_FLAVOR = Method("delete_flavor", DeleteFlavor, Ack, "Forget a flavor; servers keep their own copy.")
CREATE_KEYPAIR = Method("create_keypair", PutKeypair, Ack, "Record a key pair; Conflict if its name is taken.")
DELETE_KEYPAIR = Method("delete_keypair", DeleteKeypair, Ack, "Forget a key pair.")
CREATE_IMAGE = Method("create_image", PutImage, Ack, "Record an image.")
UPDATE_IMAGE = Method("update_image", PutImage, Ack, "Replace an image's record.")
DELETE_IMAGE = Method("delete_image", DeleteImage, Ack, "Forget an image; its file goes with it.")
PUT_IMAGE_MEMBER = Method("put_image_member", PutImageMember, Ack, "Share an image, or say what is thought of it.")
DELETE_IMAGE_MEMBER = Method("delete_image_member", DeleteImageMember, Ack, "Share an image no longer.")
UPDATE_SERVICE = Method("update_service", UpdateService, Ack, "Enable, disable or force down a service.")


class ConductorAPI:
    """The API's end.  Each is safe to send again: ids are the caller's, and a repeat of what was done is accepted."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create_servers(self, request: CreateServers) -> Created:
        """Raises OverQuota, InvalidInput (their server group is gone), IdempotencyKeyReused: then none of them is
        recorded."""
        return await self._caller.call(SUBJECT, CREATE_SERVERS, request)

    async def accept_action(
        self,
        context: RequestContext,
        instance_id: InstanceId,
        verb: Verb,
        params: Mapping[str, str] | None = None,
        new_image: Image | None = None,
    ) -> None:
        """Raises NotFound, InvalidState (with the vm_state in the message, or that it is locked), Forbidden,
        OverQuota."""
        await self.accept(AcceptAction(context, instance_id, verb, dict(params or {}), new_image=new_image))

    async def accept(self, request: AcceptAction) -> None:
        """The same, for an action that comes with more than words."""
        await self._caller.call(SUBJECT, ACCEPT_ACTION, request)

    async def update_server(self, request: UpdateServer) -> None:
        await self._caller.call(SUBJECT, UPDATE_SERVER, request)

    async def edit_metadata(self, request: EditMetadata) -> None:
        """Raises NotFound, InvalidState, OverQuota (too many)."""
        await self._caller.call(SUBJECT, EDIT_METADATA, request)

    async def edit_tags(self, request: EditTags) -> None:
        """Raises NotFound, InvalidState, InvalidInput (too many)."""
        await self._caller.call(SUBJECT, EDIT_TAGS, request)

    async def set_quotas(self, request: SetQuotas) -> None:
        """Raises InvalidInput (below what is used)."""
        await self._caller.call(SUBJECT, SET_QUOTAS, request)

    async def delete_quotas(self, project_id: str) -> None:
        """That there are none is no error."""
        await self._caller.call(SUBJECT, DELETE_QUOTAS, DeleteQuotas(project_id))

    async def create_server_group(self, group: ServerGroup) -> None:
        """Raises OverQuota."""
        await self._caller.call(SUBJECT, CREATE_SERVER_GROUP, PutServerGroup(group))

    async def delete_server_group(self, group_id: ServerGroupId) -> None:
        """That there is none is no error."""
        await self._caller.call(SUBJECT, DELETE_SERVER_GROUP, DeleteServerGroup(group_id))

    async def create_flavor(self, flavor: Flavor) -> None:
        """Raises Conflict."""
        await self._caller.call(SUBJECT, CREATE_FLAVOR, PutFlavor(flavor))

    async def delete_flavor(self, flavor_id: FlavorId) -> None:
        """That there is none is no error: whoever cares has looked before."""
        await self._caller.call(SUBJECT, DELETE_FLAVOR, DeleteFlavor(flavor_id))

    async def create_keypair(self, keypair: Keypair, project_id: str) -> None:
        """Raises Conflict, OverQuota."""
        await self._caller.call(SUBJECT, CREATE_KEYPAIR, PutKeypair(keypair, project_id))

    async def delete_keypair(self, user_id: str, name: str) -> None:
        """That there is none is no error."""
        await self._caller.call(SUBJECT, DELETE_KEYPAIR, DeleteKeypair(user_id, name))

    async def create_image(self, image: Image) -> None:
        """Raises Conflict when the id is taken by another image."""
        await self._caller.call(SUBJECT, CREATE_IMAGE, PutImage(image))

    async def update_image(self, image: Image, *, expected: Image) -> None:
        """Raises NotFound, Conflict (the stored one is not the `expected` one)."""
        await self._caller.call(SUBJECT, UPDATE_IMAGE, PutImage(image, expected))

    async def delete_image(self, image_id: ImageId) -> None:
        """Raises Conflict (protected).  That there is none is no error."""
        await self._caller.call(SUBJECT, DELETE_IMAGE, DeleteImage(image_id))

    async def put_image_member(self, request: PutImageMember) -> None:
        """Raises NotFound (the image, the member), Conflict (it is a member already), TooLarge (of members)."""
        await self._caller.call(SUBJECT, PUT_IMAGE_MEMBER, request)

    async def delete_image_member(self, image_id: ImageId, project_id: str) -> None:
        """That there is none is no error."""
        await self._caller.call(SUBJECT, DELETE_IMAGE_MEMBER, DeleteImageMember(image_id, project_id))

    async def update_service(self, request: UpdateService) -> None:
        """Raises NotFound."""
        await self._caller.call(SUBJECT, UPDATE_SERVICE, request)
