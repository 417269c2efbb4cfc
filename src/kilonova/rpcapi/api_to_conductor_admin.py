# SPDX-License-Identifier: Apache-2.0
"""What the API asks of the conductor on an operator's word: flavors as they are later, aggregates, dead services."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kilonova.base.unset import UNSET, OrUnset
from kilonova.objects.ids import FlavorId, HostName
from kilonova.rpcapi.method import Ack, Caller, Method

SUBJECT = "conductor.operators"


@dataclass(frozen=True, slots=True)
class DescribeFlavor:
    flavor_id: FlavorId
    description: str | None


@dataclass(frozen=True, slots=True)
class EditExtraSpecs:
    """`remove` is taken away, then `put` merged in."""

    flavor_id: FlavorId
    put: Mapping[str, str] = field(default_factory=dict[str, str])
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlavorAccess:
    """Whether a project may use a flavor that is not public."""

    flavor_id: FlavorId
    project_id: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class CreateAggregate:
    """The id is the conductor's, the UUID the caller's."""

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
    """Whether a host is to be in an aggregate."""

    aggregate_id: int
    host: HostName
    member: bool


@dataclass(frozen=True, slots=True)
class DeleteService:
    service_id: str


@dataclass(frozen=True, slots=True)
class AdoptHost:
    """Another process than the present one is to have the host."""

    host: HostName


@dataclass(frozen=True, slots=True)
class Adopted:
    """In words: the process that had the host, and the one that asked for it last."""

    former: str
    claimant: str


@dataclass(frozen=True, slots=True)
class AskLastHeard:
    """The question, and nothing besides."""


@dataclass(frozen=True, slots=True)
class LastHeard:
    """The conductor that answers (its host, when it started, its clock), and when it last heard a heartbeat of each
    host: of those that it has heard since its start."""

    conductor: HostName
    started_at: datetime
    now: datetime
    hosts: Mapping[HostName, datetime]


DESCRIBE_FLAVOR = Method("describe_flavor", DescribeFlavor, Ack, "Change a flavor's description.")
EDIT_EXTRA_SPECS = Method("edit_extra_specs", EditExtraSpecs, Ack, "Change a flavor's extra specs.")
SET_FLAVOR_ACCESS = Method("set_flavor_access", FlavorAccess, Ack, "Open a flavor to a project, or close it.")
CREATE_AGGREGATE = Method("create_aggregate", CreateAggregate, Ack, "Record an aggregate, whose name is new.")
UPDATE_AGGREGATE = Method("update_aggregate", UpdateAggregate, Ack, "Change an aggregate's name, metadata, zone.")
DELETE_AGGREGATE = Method("delete_aggregate", DeleteAggregate, Ack, "Forget an aggregate that has no hosts.")
SET_AGGREGATE_HOST = Method("set_aggregate_host", AggregateHost, Ack, "Put a host into an aggregate, or take it out.")
DELETE_SERVICE = Method("delete_service", DeleteService, Ack, "Forget a service that is down, and its host.")
LAST_HEARD = Method(
    "last_heard", AskLastHeard, LastHeard, "Say when each host was last heard.", timeout_s=2.0, attempt_s=1.0
)

ADOPT_HOST = Method("adopt_host", AdoptHost, Adopted, "Take a host from its process, for one that was refused.")


class OperatorAPI:
    """The API's end.  Each is safe to send again: a repeat of what was done is accepted."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def describe_flavor(self, flavor_id: FlavorId, description: str | None) -> None:
        """Raises NotFound."""
        await self._caller.call(SUBJECT, DESCRIBE_FLAVOR, DescribeFlavor(flavor_id, description))

    async def edit_extra_specs(self, request: EditExtraSpecs) -> None:
        """Raises NotFound."""
        await self._caller.call(SUBJECT, EDIT_EXTRA_SPECS, request)

    async def set_flavor_access(self, request: FlavorAccess) -> None:
        """Raises NotFound (the flavor)."""
        await self._caller.call(SUBJECT, SET_FLAVOR_ACCESS, request)

    async def create_aggregate(self, uuid: str, name: str, availability_zone: str | None) -> None:
        """Raises Conflict (the name is another's)."""
        await self._caller.call(SUBJECT, CREATE_AGGREGATE, CreateAggregate(uuid, name, availability_zone))

    async def update_aggregate(self, request: UpdateAggregate) -> None:
        """Raises NotFound, Conflict (the name is another's), InvalidInput (a zone that its hosts cannot be in)."""
        await self._caller.call(SUBJECT, UPDATE_AGGREGATE, request)

    async def delete_aggregate(self, aggregate_id: int) -> None:
        """Raises InvalidInput (it has hosts).  That there is none is no error."""
        await self._caller.call(SUBJECT, DELETE_AGGREGATE, DeleteAggregate(aggregate_id))

    async def set_aggregate_host(self, request: AggregateHost) -> None:
        """Raises NotFound (the aggregate, the host), Conflict (the host is in another zone)."""
        await self._caller.call(SUBJECT, SET_AGGREGATE_HOST, request)

    async def delete_service(self, service_id: str) -> None:
        """Raises Conflict (it is up, or has instances).  That there is none is no error."""
        await self._caller.call(SUBJECT, DELETE_SERVICE, DeleteService(service_id))

    async def adopt_host(self, host: HostName) -> Adopted:
        """Raises NotFound, Conflict (no other process has asked for the host)."""
        return await self._caller.call(SUBJECT, ADOPT_HOST, AdoptHost(host))

    async def last_heard(self) -> LastHeard:
        """Of one conductor, whichever answers."""
        return await self._caller.call(SUBJECT, LAST_HEARD, AskLastHeard())
