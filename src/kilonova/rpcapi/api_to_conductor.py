# SPDX-License-Identifier: Apache-2.0
"""What the API asks of the conductor: every write."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kilonova.base.context import RequestContext
from kilonova.base.errors import (
    Conflict,
    Forbidden,
    IdempotencyKeyReused,
    InvalidInput,
    InvalidState,
    NotFound,
    OverQuota,
    TooLarge,
)
from kilonova.base.unset import UNSET, OrUnset
from kilonova.objects.action_params import NO_PARAMS, REQUESTED, RequestedParams, check_params
from kilonova.objects.flavor import Flavor
from kilonova.objects.idempotency import Idempotent
from kilonova.objects.ids import FlavorId, HostName, ImageId, InstanceId, ServerGroupId
from kilonova.objects.image import Image, ImageMember
from kilonova.objects.instance import Instance
from kilonova.objects.keypair import Keypair
from kilonova.objects.server_group import ServerGroup
from kilonova.objects.states import Verb
from kilonova.rpcapi.method import Ack, Method

SUBJECT = "conductor.api"


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
class AcceptAction:
    """Params of another verb, unknown ones and missing ones are an error that names the verb."""

    context: RequestContext
    instance_id: InstanceId
    verb: Verb
    params: RequestedParams = NO_PARAMS

    def __post_init__(self) -> None:
        check_params(self.verb, self.params, REQUESTED)


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
    SUBJECT,
    "create_servers",
    CreateServers,
    Created,
    "Record servers and their create actions, on disk, all that the quota permits or none.",
    (OverQuota, InvalidInput, IdempotencyKeyReused),
)
ACCEPT_ACTION = Method(
    SUBJECT,
    "accept_action",
    AcceptAction,
    Ack,
    "Record an action on a server, on disk. InvalidState: the vm_state does not allow it, or the server is locked.",
    (NotFound, InvalidState, Forbidden, OverQuota, InvalidInput),
)
UPDATE_SERVER = Method(
    SUBJECT, "update_server", UpdateServer, Ack, "Update the fields of a server that users edit.", (NotFound,)
)
EDIT_METADATA = Method(
    SUBJECT, "edit_metadata", EditMetadata, Ack, "Edit a server's metadata.", (NotFound, InvalidState, OverQuota)
)
EDIT_TAGS = Method(
    SUBJECT,
    "edit_tags",
    EditTags,
    Ack,
    "Edit a server's tags. InvalidInput: more than the limit.",
    (NotFound, InvalidState, InvalidInput),
)
SET_QUOTAS = Method(
    SUBJECT,
    "set_quotas",
    SetQuotas,
    Ack,
    "Set limits of a project. InvalidInput: a limit is below what is used.",
    (InvalidInput,),
)
DELETE_QUOTAS = Method(SUBJECT, "delete_quotas", DeleteQuotas, Ack, "Reset a project to the default limits.")
CREATE_SERVER_GROUP = Method(
    SUBJECT, "create_server_group", PutServerGroup, Ack, "Record a server group.", (OverQuota,)
)
DELETE_SERVER_GROUP = Method(
    SUBJECT, "delete_server_group", DeleteServerGroup, Ack, "Delete a server group; its servers stay."
)
CREATE_FLAVOR = Method(
    SUBJECT, "create_flavor", PutFlavor, Ack, "Record a flavor. Conflict: the id or the name is taken.", (Conflict,)
)
DELETE_FLAVOR = Method(SUBJECT, "delete_flavor", DeleteFlavor, Ack, "Delete a flavor; servers keep their own copy.")
CREATE_KEYPAIR = Method(
    SUBJECT, "create_keypair", PutKeypair, Ack, "Record a key pair. Conflict: the name is taken.", (Conflict, OverQuota)
)
DELETE_KEYPAIR = Method(SUBJECT, "delete_keypair", DeleteKeypair, Ack, "Delete a key pair.")
CREATE_IMAGE = Method(
    SUBJECT,
    "create_image",
    PutImage,
    Ack,
    "Record an image. Conflict: another image has the id.",
    (Conflict, OverQuota),
)
UPDATE_IMAGE = Method(
    SUBJECT,
    "update_image",
    PutImage,
    Ack,
    "Replace the record of an image. Conflict: the stored record is not the expected one.",
    (NotFound, Conflict, OverQuota),
)
DELETE_IMAGE = Method(
    SUBJECT, "delete_image", DeleteImage, Ack, "Delete the record of an image. Conflict: it is protected.", (Conflict,)
)
PUT_IMAGE_MEMBER = Method(
    SUBJECT,
    "put_image_member",
    PutImageMember,
    Ack,
    "Share an image with a project, or set the status of the share.",
    (NotFound, Conflict, TooLarge),
)
DELETE_IMAGE_MEMBER = Method(
    SUBJECT, "delete_image_member", DeleteImageMember, Ack, "End the sharing of an image with a project."
)
UPDATE_SERVICE = Method(
    SUBJECT, "update_service", UpdateService, Ack, "Enable or disable a service, or force it down.", (NotFound,)
)
