# SPDX-License-Identifier: Apache-2.0
"""Administrative calls of the API to the conductor: changes of flavors, host aggregates, services that are down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from kilonova.base.errors import Conflict, InvalidInput, NotFound
from kilonova.base.unset import UNSET, OrUnset
from kilonova.objects.ids import FlavorId, HostName
from kilonova.rpcapi.method import Ack, Method

SUBJECT = "conductor.operators"


@dataclass(frozen=True, slots=True)
class DescribeFlavor:
    flavor_id: FlavorId
    description: str | None


@dataclass(frozen=True, slots=True)
class EditExtraSpecs:
    """`remove` is removed first, then `put` is merged in."""

    flavor_id: FlavorId
    put: Mapping[str, str] = field(default_factory=dict[str, str])
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlavorAccess:
    """Whether a project may use a private flavor."""

    flavor_id: FlavorId
    project_id: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class CreateAggregate:
    """The conductor makes the id, the caller the UUID."""

    uuid: str
    name: str
    availability_zone: str | None


@dataclass(frozen=True, slots=True)
class UpdateAggregate:
    """An unset `name` does not change.  `put` and `remove` are metadata, with the zone among it as in the API."""

    aggregate_id: int
    name: OrUnset[str] = UNSET
    put: Mapping[str, str] = field(default_factory=dict[str, str])
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteAggregate:
    aggregate_id: int


@dataclass(frozen=True, slots=True)
class AggregateHost:
    """Whether a host shall be in an aggregate."""

    aggregate_id: int
    host: HostName
    member: bool


@dataclass(frozen=True, slots=True)
class DeleteService:
    service_id: str


@dataclass(frozen=True, slots=True)
class AdoptHost:
    """Assign the host to another process than its present one."""

    host: HostName


@dataclass(frozen=True, slots=True)
class Adopted:
    """Descriptions of the process that had the host, and of the process that was refused last."""

    former: str
    claimant: str


@dataclass(frozen=True, slots=True)
class ForgetHost:
    """Give up a host that will not return."""

    host: HostName


@dataclass(frozen=True, slots=True)
class Forgotten:
    """When the host was given up; how many servers lost their disks, and how many deletes this ended."""

    at: datetime
    servers: int = 0
    deletes: int = 0


@dataclass(frozen=True, slots=True)
class AskLastHeard:
    """A request without fields."""


@dataclass(frozen=True, slots=True)
class LastHeard:
    """The conductor that replies (its host, its start time, its clock), and the time of each host's last heartbeat.
    Hosts without a heartbeat since the conductor's start are absent."""

    conductor: HostName
    started_at: datetime
    now: datetime
    hosts: Mapping[HostName, datetime]


VALID_INTERVALS = 3


def valid_s(interval_s: float, down_time_s: float) -> float:
    """How long a report is valid that is repeated every `interval_s`."""
    return max(VALID_INTERVALS * interval_s, down_time_s)


@dataclass(frozen=True, slots=True)
class ReportService:
    """An API process or a conductor is up for the next `valid_s` seconds.  Each has a `host` name of its own."""

    host: HostName
    binary: Literal["kilonova-api", "kilonova-conductor"]
    process_id: str
    version: int
    valid_s: float


@dataclass(frozen=True, slots=True)
class Reported:
    """`conductors`: the lowest code version of the live conductors."""

    conductors: int = 1


@dataclass(frozen=True, slots=True)
class CheckConductor:
    """A request without fields."""


@dataclass(frozen=True, slots=True)
class ConductorState:
    """`trouble` is why the conductor cannot write the database now, in one sentence; empty if it can.  `now` is the
    time of its clock; None from a conductor that does not report it."""

    trouble: str
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class RotateSigningKey:
    """The conductor makes the secret, the caller the id.  `revoke`: what the former keys signed is invalid at once."""

    purpose: str
    key_id: str
    revoke: bool


DESCRIBE_FLAVOR = Method(SUBJECT, "describe_flavor", DescribeFlavor, Ack, "Set a flavor's description.", (NotFound,))
EDIT_EXTRA_SPECS = Method(SUBJECT, "edit_extra_specs", EditExtraSpecs, Ack, "Edit a flavor's extra specs.", (NotFound,))
SET_FLAVOR_ACCESS = Method(
    SUBJECT,
    "set_flavor_access",
    FlavorAccess,
    Ack,
    "Give a project access to a private flavor, or remove it.",
    (NotFound,),
)
CREATE_AGGREGATE = Method(
    SUBJECT,
    "create_aggregate",
    CreateAggregate,
    Ack,
    "Record a host aggregate. Conflict: the name is taken.",
    (Conflict,),
)
UPDATE_AGGREGATE = Method(
    SUBJECT,
    "update_aggregate",
    UpdateAggregate,
    Ack,
    "Update an aggregate. Conflict: the name is taken. InvalidInput: its hosts cannot be in the zone.",
    (NotFound, Conflict, InvalidInput),
)
DELETE_AGGREGATE = Method(
    SUBJECT,
    "delete_aggregate",
    DeleteAggregate,
    Ack,
    "Delete an aggregate. InvalidInput: it has hosts.",
    (InvalidInput,),
)
SET_AGGREGATE_HOST = Method(
    SUBJECT,
    "set_aggregate_host",
    AggregateHost,
    Ack,
    "Add a host to an aggregate, or remove it. Conflict: the host is in another zone.",
    (NotFound, Conflict),
)
DELETE_SERVICE = Method(
    SUBJECT,
    "delete_service",
    DeleteService,
    Ack,
    "Delete a service and its host. Conflict: it is up, or has instances.",
    (Conflict,),
)
LAST_HEARD = Method(
    SUBJECT,
    "last_heard",
    AskLastHeard,
    LastHeard,
    "When each host last sent a heartbeat, as the conductor that replies has received them.",
    timeout_s=2.0,
    attempt_s=1.0,
)
REPORT_SERVICE = Method(
    SUBJECT,
    "report_service",
    ReportService,
    Reported,
    "Keep the record of an API process or a conductor, which expires without a new report.",
    timeout_s=8,
    attempt_s=4,
    since=2,
)
ADOPT_HOST = Method(
    SUBJECT,
    "adopt_host",
    AdoptHost,
    Adopted,
    "Assign a host to the process that was refused last. Conflict: no other process registered.",
    (NotFound, Conflict),
)
FORGET_HOST = Method(
    SUBJECT,
    "forget_host",
    ForgetHost,
    Forgotten,
    "Give up a host that will not return. Conflict: it is alive.",
    (NotFound, Conflict),
    timeout_s=30,
    attempt_s=10,
    since=2,
)
CHECK_CONDUCTOR = Method(
    SUBJECT,
    "check_conductor",
    CheckConductor,
    ConductorState,
    "Whether a conductor answers, and can write the database.",
    timeout_s=2.0,
    attempt_s=1.0,
    changes=False,
    since=2,
)
ROTATE_SIGNING_KEY = Method(
    SUBJECT,
    "rotate_signing_key",
    RotateSigningKey,
    Ack,
    "Make a new key that signs; the former keys are retired, or deleted.",
    since=2,
)
