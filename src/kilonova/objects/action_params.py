# SPDX-License-Identifier: Apache-2.0
"""The parameters of actions: a frozen class per verb, chosen by the verb that stands beside them.

Params come in two forms.  *Requested* params are what the API sends with a request.  *Recorded* params are what the
action keeps, and what its host reads.  The acceptance makes the second from the first (kilonova.conductor.verbs).  A
verb that is not in the tables below has no parameters.

An unknown or a missing parameter, and params of another verb, are an error where a message or a row is read.  The error
names the verb, and no value: a value may be a secret.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from kilonova.base.open_enum import OpenStrEnum
from kilonova.base.unset import UNSET, OrUnset
from kilonova.objects.ids import ActionId, FlavorId, HostName, ImageId, InstanceId
from kilonova.objects.image import Image, ImageRef
from kilonova.objects.instance import InjectedFile
from kilonova.objects.states import Verb


class ActionParams:
    """The base of all: a parameter that its class does not declare cannot be read."""

    __slots__ = ()
    __pydantic_config__ = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class NoParams(ActionParams):
    """For verbs without parameters."""


NO_PARAMS = NoParams()


@dataclass(frozen=True, slots=True)
class RebootParams(ActionParams):
    """A SOFT reboot sends the guest a shutdown request first."""

    type: Literal["SOFT", "HARD"]


@dataclass(frozen=True, slots=True)
class ResizeParams(ActionParams):
    """`disk_config`: the new OS-DCF:diskConfig; None: as before."""

    flavor_id: FlavorId
    disk_config: str | None = None


@dataclass(frozen=True, slots=True)
class LockParams(ActionParams):
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ResetStateParams(ActionParams):
    state: Literal["active", "error"]


# Requested only.


@dataclass(frozen=True, slots=True)
class RescueParams(ActionParams):
    """The image to boot."""

    image: ImageRef


@dataclass(frozen=True, slots=True)
class RebuildChanges:
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
class RebuildParams(ActionParams):
    """The acceptance writes all of it to the instance's record."""

    image: ImageRef
    changes: RebuildChanges = RebuildChanges()


@dataclass(frozen=True, slots=True)
class SnapshotRequest(ActionParams):
    """The record of the image that the action makes.  The acceptance stores it."""

    image: Image


@dataclass(frozen=True, slots=True)
class BackupRequest(ActionParams):
    """As SnapshotRequest.  Of the project's backups of this server and type the `rotation` newest stay."""

    image: Image
    backup_type: str
    rotation: int


@dataclass(frozen=True, slots=True)
class UnshelveRequest(ActionParams):
    """`availability_zone`: where an offloaded server goes; None: as before."""

    availability_zone: str | None = None


@dataclass(frozen=True, slots=True)
class EvacuateRequest(ActionParams):
    """`host`: the only possible host; None: any."""

    host: HostName | None = None


# Recorded only.


@dataclass(frozen=True, slots=True)
class CreateParams(ActionParams):
    """The request's constraints on the host.  `networks` by name, in the order of their NICs; none: the first network
    of the host.  `fixed_ips`: for each network the requested address, or an empty string.  `host`: the only possible
    host. `same_host`: servers of which one's host is possible; none: any host.  `different_host`: servers whose hosts
    are not."""

    networks: tuple[str, ...] = ()
    fixed_ips: tuple[str, ...] = ()
    host: HostName | None = None
    same_host: tuple[InstanceId, ...] = ()
    different_host: tuple[InstanceId, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteParams(ActionParams):
    """`forgotten_images`: images whose records the acceptance deleted.  The host deletes their bytes."""

    forgotten_images: tuple[ImageId, ...] = ()


@dataclass(frozen=True, slots=True)
class RevertResizeParams(ActionParams):
    """`kept_disk`: the id of the resize, under which the host keeps the old root disk."""

    kept_disk: ActionId


@dataclass(frozen=True, slots=True)
class SnapshotParams(ActionParams):
    """The image that the action makes."""

    image_id: ImageId


@dataclass(frozen=True, slots=True)
class BackupParams(ActionParams):
    """`dropped`: backups beyond the rotation whose records are deleted.  The host deletes their bytes."""

    image_id: ImageId
    backup_type: str
    rotation: int
    dropped: tuple[ImageId, ...] = ()


class UnshelveSource(OpenStrEnum):
    """The place of the disk of a shelved server when it is unshelved."""

    DISK = "disk"
    """On its host, untouched."""
    OFFLOADED = "offloaded"
    """No part of the guest is on any host: the disk is made from the image."""
    OFFLOAD_INCOMPLETE = "offload_incomplete"
    """An offload failed, and its host may have lost the disk: a missing disk is made from the image."""


@dataclass(frozen=True, slots=True)
class UnshelveParams(ActionParams):
    source: UnshelveSource
    availability_zone: str | None = None


@dataclass(frozen=True, slots=True)
class EvacuateParams(ActionParams):
    """`host`: the only possible host; None: any.  `excluded`: hosts that were given up with the server, and may have a
    copy of it."""

    host: HostName | None = None
    excluded: tuple[HostName, ...] = ()


@dataclass(frozen=True, slots=True)
class PowerUpdateParams(ActionParams):
    """`changes`: the number of changes of the guest that this action represents."""

    changes: int = 1


class UnreadParams(ActionParams, dict[str, Any]):
    """The parameters of a verb that this version does not have: as they were read, and as they are written back."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: type[Any], _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.dict_schema(core_schema.str_schema()))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "title": cls.__name__}


_BOTH: Mapping[Verb, type[ActionParams]] = {
    Verb.REBOOT: RebootParams,
    Verb.RESIZE: ResizeParams,
    Verb.LOCK: LockParams,
    Verb.RESET_STATE: ResetStateParams,
}

REQUESTED: Mapping[Verb, type[ActionParams]] = {
    **_BOTH,
    Verb.RESCUE: RescueParams,
    Verb.REBUILD: RebuildParams,
    Verb.CREATE_IMAGE: SnapshotRequest,
    Verb.CREATE_BACKUP: BackupRequest,
    Verb.SHELVE: SnapshotRequest,
    Verb.UNSHELVE: UnshelveRequest,
    Verb.EVACUATE: EvacuateRequest,
}

RECORDED: Mapping[Verb, type[ActionParams]] = {
    **_BOTH,
    Verb.CREATE: CreateParams,
    Verb.DELETE: DeleteParams,
    Verb.REVERT_RESIZE: RevertResizeParams,
    Verb.CREATE_IMAGE: SnapshotParams,
    Verb.CREATE_BACKUP: BackupParams,
    Verb.SHELVE: SnapshotParams,
    Verb.UNSHELVE: UnshelveParams,
    Verb.EVACUATE: EvacuateParams,
    Verb.POWER_UPDATE: PowerUpdateParams,
}


def check_params(verb: Verb, params: ActionParams, kinds: Mapping[Verb, type[ActionParams]]) -> None:
    """Raises ValueError for params of another verb, or of the other form."""
    kind = kinds.get(verb, NoParams)
    if verb.is_known and type(params) is not kind:
        raise ValueError(f"{verb} has {kind.__name__}, not {type(params).__name__}")


def image_made_with(params: ActionParams) -> ImageId | None:
    """The image that an action with these recorded params makes."""
    return params.image_id if isinstance(params, SnapshotParams | BackupParams) else None


@cache
def _form(kind: type[ActionParams]) -> TypeAdapter[ActionParams]:
    return TypeAdapter(kind)


def _of_verb(kinds: Mapping[Verb, type[ActionParams]]) -> Callable[[Any, ValidationInfo], Any]:
    def read(value: Any, info: ValidationInfo) -> Any:
        verb = info.data.get("verb")
        if verb is None or isinstance(value, UnreadParams) or not isinstance(value, Mapping):
            return value  # pyright: ignore[reportUnknownVariableType]
        try:
            return _form(kinds.get(verb, NoParams) if verb.is_known else UnreadParams).validate_python(value)
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
            raise ValueError(f"{verb}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    return read


_Requested = (
    NoParams
    | RebootParams
    | ResizeParams
    | LockParams
    | ResetStateParams
    | RescueParams
    | RebuildParams
    | SnapshotRequest
    | BackupRequest
    | UnshelveRequest
    | EvacuateRequest
    | UnreadParams
)
_Recorded = (
    NoParams
    | RebootParams
    | ResizeParams
    | LockParams
    | ResetStateParams
    | CreateParams
    | DeleteParams
    | RevertResizeParams
    | SnapshotParams
    | BackupParams
    | UnshelveParams
    | EvacuateParams
    | PowerUpdateParams
    | UnreadParams
)
RequestedParams = Annotated[_Requested, BeforeValidator(_of_verb(REQUESTED))]
"""As the field `params` of a dataclass, after its field `verb`."""
RecordedParams = Annotated[_Recorded, BeforeValidator(_of_verb(RECORDED))]
"""As the field `params` of a dataclass, after its field `verb`."""
