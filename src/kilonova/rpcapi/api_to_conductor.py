# SPDX-License-Identifier: Apache-2.0
"""Calls of the API to the conductor: every write.  All are safe to repeat: the caller makes the ids."""

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
    NoValidHost,
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
    """Complete records with new ids, made by the API; the conductor records one `create` action for each, under the
    context's request id.

    `networks` are names, in the order of the NICs; without any, the first network of the chosen host.  `fixed_ips`: one
    address for each network, empty for any.  `host`: the only permitted host, chosen by an administrator.
    `same_host`: servers whose hosts are permitted; `different_host`: servers whose hosts are not.  `least`: the minimum
    number of servers when the quota does not permit all; None: all or none.  `idempotent`: the client's key, with the
    answer for a repeated request with the same key."""

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
    """`answer`: the answer to the first request with the same key; then this request recorded nothing."""

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
    """`remove` is removed from the stored metadata, then `put` is merged in; `replace` discards the stored metadata."""

    context: RequestContext
    instance_id: InstanceId
    put: Mapping[str, str] = field(default_factory=dict[str, str])
    remove: tuple[str, ...] = ()
    replace: bool = False


@dataclass(frozen=True, slots=True)
class EditTags:
    """Like EditMetadata, for tags; at most `limit` tags."""

    instance_id: InstanceId
    limit: int
    put: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    replace: bool = False


@dataclass(frozen=True, slots=True)
class SetQuotas:
    """Limits of a project by resource; a `forgotten` resource has the default limit again, others do not change.
    Without `force`, no limit may be below what is used."""

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
    """`project_id` is the caller's project; its quota limits the key pairs of a user."""

    keypair: Keypair
    project_id: str


@dataclass(frozen=True, slots=True)
class DeleteKeypair:
    user_id: str
    name: str


@dataclass(frozen=True, slots=True)
class PutImage:
    """The complete record; with `expected`, a compare-and-set against the record that the caller has read.  `stores`
    have a copy of the bytes."""

    image: Image
    expected: Image | None = None
    stores: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteImage:
    image_id: ImageId


@dataclass(frozen=True, slots=True)
class PutImageMember:
    """`new`: Conflict if the member exists; otherwise NotFound if it does not.  `most`: limit of its members."""

    member: ImageMember
    new: bool
    most: int


@dataclass(frozen=True, slots=True)
class DeleteImageMember:
    image_id: ImageId
    project_id: str


@dataclass(frozen=True, slots=True)
class UpdateService:
    """An administrator's changes to a service.  Unset fields do not change; with `disabled`, `disabled_reason` replaces
    the old reason, also when it is None."""

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
    (NotFound, InvalidState, Forbidden, OverQuota, InvalidInput, NoValidHost),
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
    SUBJECT,
    "update_service",
    UpdateService,
    Ack,
    "Enable or disable a service, or force it down. Conflict: the host was given up and may have copies of servers.",
    (NotFound, Conflict),
)
